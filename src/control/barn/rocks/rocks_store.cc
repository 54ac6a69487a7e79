#include "control/barn/rocks/rocks_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/metadata.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <algorithm>

#include "control/barn/rocks/rocks_status.h"
#include "control/barn/rocks/sealed_file_system.h"
#include "control/barn/rocks/stoppable_files.h"
#include "control/barn/tables.h"
#include "platform/os/file.h"

namespace runink::barn {

namespace {

constexpr size_t kScanReadahead = 256 << 10;

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view_of(const rocksdb::Slice& text) { return {text.data(), text.size()}; }

// RocksDB's LOG quotes keys; failures come through statuses and the listener.
class NoLog : public rocksdb::Logger {
 public:
  NoLog() : rocksdb::Logger(rocksdb::InfoLogLevel::NUM_INFO_LOG_LEVELS) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::CompressionType fast_compression() {
  const auto supported = rocksdb::GetSupportedCompressions();
  const bool lz4 = std::find(supported.begin(), supported.end(), rocksdb::kLZ4Compression) != supported.end();
  return lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
}

// RocksDB names a lock that is held only in words.
bool says_locked(const rocksdb::Status& status) {
  const std::string text = status.ToString();
  return status.IsIOError() && (text.find("lock hold by current process") != std::string::npos ||
                                text.find("While lock file") != std::string::npos);
}

// Events have a column family of their own. They come in the order of their keys and are forgotten in that order, so
// their tables are never merged; among the other rows they would be written again with every compaction of those.
constexpr char kEventFamily[] = "events";
const std::string kEventsBegin(1, tables::kEvents), kEventsEnd(1, tables::kEvents + 1);

// Small batches are gathered up to about so much: each write costs RocksDB as much as ten rows or more.
constexpr uint32_t kGatheredRows = 64;
constexpr size_t kGatheredBytes = 64 << 10;

constexpr uint64_t kAnyKey = 0;
uint64_t hash_of(std::string_view key) { return std::hash<std::string_view>()(key) | 1; }

bool is_event(std::string_view key) { return !key.empty() && key[0] == tables::kEvents; }

struct KeySpan {
  bool events;
  std::string_view from, to;  // an empty `to` is no end
};
// The range, cut where the events begin and end.
std::vector<KeySpan> cut(std::string_view from, std::string_view to) {
  std::vector<KeySpan> out;
  const auto add = [&](bool events, std::string_view begin, std::string_view end) {
    begin = std::max(begin, from);
    if (!to.empty()) end = end.empty() ? to : std::min(end, to);
    if (end.empty() || begin < end) out.push_back({events, begin, end});
  };
  add(false, {}, kEventsBegin);
  add(true, kEventsBegin, kEventsEnd);
  add(false, kEventsEnd, {});
  return out;
}

}  // namespace

class FailureListener : public rocksdb::EventListener {
 public:
  explicit FailureListener(const RocksStore* store) : store_(store) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    store_->latch(from_rocks(*error, "background work of the state store"));
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* resume) override { *resume = false; }

 private:
  const RocksStore* store_;
};

// In the order in which they are to be destroyed from below: the database first.
struct RocksStore::Database {
  std::unique_ptr<rocksdb::Env> env;
  std::shared_ptr<rocksdb::Cache> cache;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;  // rows, events

  // What was applied and RocksDB does not have yet, in order (RocksStore::apply). Under `gathering`.
  std::mutex gathering;
  rocksdb::WriteBatch batch;     // kept for its memory
  std::vector<uint64_t> hashes;  // of the keys in it; of a range that is removed, kAnyKey

  ~Database() {
    for (rocksdb::ColumnFamilyHandle* family : families) (void)db->DestroyColumnFamilyHandle(family);
  }
  rocksdb::ColumnFamilyHandle* family(bool events) const { return families[events ? 1 : 0]; }
  rocksdb::ColumnFamilyHandle* family_of(std::string_view key) const { return family(is_event(key)); }
  uint64_t sum(const std::string& property) const {
    uint64_t out = 0;
    db->GetAggregatedIntProperty(property, &out);
    return out;
  }
};

class RocksIterator : public StateIterator {
 public:
  RocksIterator(const RocksStore* store, const rocksdb::Snapshot* snapshot, bool scan, std::string_view from,
                std::string_view to)
      : store_(store) {
    status_ = store->failure();
    if (!status_.ok() || (!to.empty() && from >= to)) return;
    if (snapshot == nullptr) store->write_gathered();
    // All at once, so that they see the same state.
    for (const KeySpan& span : cut(from, to)) {
      Part& part = *parts_.emplace_back(std::make_unique<Part>());
      part.from = span.from;
      part.to = span.to;
      part.to_slice = part.to;
      rocksdb::ReadOptions options;
      options.snapshot = snapshot;
      options.fill_cache = !scan;
      if (scan) options.readahead_size = kScanReadahead;
      if (!part.to.empty()) options.iterate_upper_bound = &part.to_slice;
      part.iterator.reset(store->database_->db->NewIterator(options, store->database_->family(span.events)));
    }
    begin();
  }
  bool valid() const override { return valid_; }
  void next() override {
    at()->Next();
    look();
  }
  std::string_view key() const override { return view_of(at()->key()); }
  std::string_view value() const override { return view_of(at()->value()); }
  Status status() const override { return status_; }

 private:
  struct Part {
    std::string from, to;
    rocksdb::Slice to_slice;
    std::unique_ptr<rocksdb::Iterator> iterator;
  };
  rocksdb::Iterator* at() const { return parts_[part_]->iterator.get(); }
  void begin() {
    if (part_ == parts_.size()) return;
    at()->Seek(slice(parts_[part_]->from));
    look();
  }
  void look() {
    valid_ = at()->Valid();
    if (valid_) return;
    if (at()->status().ok()) {
      ++part_;
      return begin();
    }
    status_ = from_rocks(at()->status(), "read a range of the state");
    store_->latch(status_);
  }

  const RocksStore* store_;
  std::vector<std::unique_ptr<Part>> parts_;
  size_t part_ = 0;
  bool valid_ = false;
  Status status_;
};

namespace {

Result<bool> get_from(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const rocksdb::Snapshot* snapshot,
                      std::string_view key, std::string* value, const RocksStore* store,
                      void (RocksStore::*latch)(const Status&) const) {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  const rocksdb::Status status = db.Get(options, family, slice(key), value);
  if (status.ok()) return true;
  if (status.IsNotFound()) return false;
  Status failure = from_rocks(status, "read a key of the state");
  (store->*latch)(failure);
  return failure;
}

}  // namespace

class RocksView : public StateView {
 public:
  RocksView(const RocksStore* store, bool scan) : store_(store), snapshot_(store->written_snapshot()), scan_(scan) {}
  ~RocksView() override { store_->database_->db->ReleaseSnapshot(snapshot_); }

  Result<bool> get(std::string_view key, std::string* value) const override {
    if (store_->failed_.load()) return store_->failure();
    return get_from(*store_->database_->db, store_->database_->family_of(key), snapshot_, key, value, store_,
                    &RocksStore::latch);
  }
  std::unique_ptr<StateIterator> iterate(std::string_view from, std::string_view to) const override {
    return std::make_unique<RocksIterator>(store_, snapshot_, scan_, from, to);
  }

 private:
  const RocksStore* store_;
  const rocksdb::Snapshot* snapshot_;
  const bool scan_;
};

RocksStore::RocksStore(RocksOptions options) : options_(std::move(options)), database_(std::make_unique<Database>()) {}

RocksStore::~RocksStore() {
  if (database_->db) write_gathered();
}

Result<std::unique_ptr<RocksStore>> RocksStore::open(RocksOptions options) {
  options.folder = RUNINK_TRY(os::absolute_path(options.folder));
  if (!options.read_only) RUNINK_RETURN_IF_ERROR(os::make_directories(options.folder, 0700));
  std::unique_ptr<RocksStore> store(new RocksStore(std::move(options)));
  Status opened = store->open_database();
  if (!opened.ok()) return std::move(opened).with_context(fmt::format("open the state in {}", store->options_.folder));
  return store;
}

Status RocksStore::open_database() {
  // A store is sealed from its beginning or not at all. RocksDB would find that out itself, but not say it.
  const std::string current = os::join_path(options_.folder, "CURRENT");
  if (os::exists(current)) {
    RUNINK_RETURN_IF_ERROR(status_of(FileReader::open(current, options_.key ? &*options_.key : nullptr)));
  } else if (options_.read_only) {
    return not_found("there is no state (no file {})", current);
  }

  Database& to = *database_;
  rocksdb::Options options;
  if (options_.key) {
    to.env = rocksdb::NewCompositeEnv(sealed_file_system(*options_.key));
    options.env = to.env.get();
  }
  options.create_if_missing = options.create_missing_column_families = true;
  options.atomic_flush = true;  // without a log: else one family could be ahead of the other after a crash
  options.info_log = std::make_shared<NoLog>();
  options.listeners.push_back(std::make_shared<FailureListener>(this));

  options.paranoid_checks = true;
  options.max_bgerror_resume_count = 0;
  options.allow_mmap_reads = options.allow_mmap_writes = false;

  // Memory.
  to.cache = rocksdb::NewLRUCache(options_.cache_bytes);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = to.cache;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.db_write_buffer_size = options_.write_buffer_bytes;
  options.write_buffer_size = std::max<uint64_t>(options_.write_buffer_bytes / 2, 1 << 20);
  options.max_write_buffer_number = 3;

  // A put asks first what is there; of a new key the memtable shall say so without a search.
  options.memtable_prefix_bloom_size_ratio = 0.02;
  options.memtable_whole_key_filtering = true;

  // Files.
  options.compression = fast_compression();
  options.target_file_size_base = options_.table_bytes;
  options.level_compaction_dynamic_level_bytes = true;
  options.max_background_jobs = options_.background_jobs;
  options.compaction_readahead_size = 256 << 10;  // else each block of a sealed table is read, and opened, for itself
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = options.stats_persist_period_sec = 0;

  rocksdb::ColumnFamilyOptions events = options;
  table.filter_policy.reset();  // none is asked for by its key
  events.memtable_prefix_bloom_size_ratio = 0;
  events.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, options},
                                                                 {kEventFamily, events}};

  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      options_.read_only ? rocksdb::DB::OpenForReadOnly(options, options_.folder, families, &to.families, &db)
                         : rocksdb::DB::Open(options, options_.folder, families, &to.families, &db);
  to.db.reset(db);
  if (!status.ok() && says_locked(status)) {
    return aborted("{}", status.ToString()).with_kind("barn.state.locked");
  }
  RUNINK_RETURN_IF_ERROR(from_rocks(status, options_.read_only ? "read-only" : "for writing"));
  return failure();
}

void RocksStore::latch(const Status& status) const {
  if (status.ok()) return;
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.ok()) return;
    failure_ = status;
    failed_.store(true);
  }
  if (options_.on_failure) options_.on_failure(status);
}

Status RocksStore::failure() const {
  if (!failed_.load()) return Status();
  const std::lock_guard lock(mutex_);
  return failure_;
}

Result<bool> RocksStore::get(std::string_view key, std::string* value) const {
  if (failed_.load()) return failure();
  if (gathered_.load()) write_gathered(key);
  return get_from(*database_->db, database_->family_of(key), nullptr, key, value, this, &RocksStore::latch);
}

std::unique_ptr<StateIterator> RocksStore::iterate(std::string_view from, std::string_view to) const {
  return std::make_unique<RocksIterator>(this, nullptr, false, from, to);
}

std::unique_ptr<StateView> RocksStore::view() const { return std::make_unique<RocksView>(this, false); }
std::unique_ptr<StateView> RocksStore::scan_view() const { return std::make_unique<RocksView>(this, true); }

Status RocksStore::apply(const WriteBatch& batch) {
  if (failed_.load()) return failure();
  if (options_.read_only) return failed_precondition("write to the state in {}, opened read-only", options_.folder);
  const std::lock_guard lock(database_->gathering);
  rocksdb::Status status = gather(batch);
  const rocksdb::WriteBatch& all = database_->batch;
  const bool small = batch.count() < kGatheredRows;  // it may still hold large values
  if (status.ok() && small && all.Count() < kGatheredRows && all.GetDataSize() < kGatheredBytes) {
    gathered_.store(all.Count() > 0);
    return failure();
  }
  if (status.ok()) return write_batch();
  Status ours = from_rocks(status, "gather a batch for the state");
  latch(ours);
  return ours;
}

rocksdb::Status RocksStore::gather(const WriteBatch& batch) {
  rocksdb::WriteBatch& to = database_->batch;
  std::vector<uint64_t>& hashes = database_->hashes;
  // A large batch is written at once: nobody will look for its keys.
  const bool look = batch.count() < kGatheredRows;
  rocksdb::Status status;
  batch.for_each([&](WriteBatch::Kind kind, std::string_view key, std::string_view value) {
    if (!status.ok()) return;
    if (look) hashes.push_back(kind == WriteBatch::Kind::kRemoveRange ? kAnyKey : hash_of(key));
    switch (kind) {
      case WriteBatch::Kind::kPut:
        status = to.Put(database_->family_of(key), slice(key), slice(value));
        break;
      case WriteBatch::Kind::kRemove:
        status = to.Delete(database_->family_of(key), slice(key));
        break;
      case WriteBatch::Kind::kRemoveRange:
        if (key >= value) break;
        for (const KeySpan& span : cut(key, value)) {
          if (status.ok()) status = to.DeleteRange(database_->family(span.events), slice(span.from), slice(span.to));
        }
        break;
    }
  });
  return status;
}

// Under `gathering`.
Status RocksStore::write_batch() const {
  rocksdb::WriteOptions without_log;
  without_log.disableWAL = true;
  rocksdb::WriteBatch& batch = database_->batch;
  rocksdb::Status status;
  if (batch.Count() > 0) status = database_->db->Write(without_log, &batch);
  batch.Clear();
  database_->hashes.clear();
  gathered_.store(false);
  Status ours = from_rocks(status, "write a batch to the state");
  latch(ours);
  // A failure in the background may have come between: what was written then is not to be built upon.
  return ours.ok() ? failure() : ours;
}

void RocksStore::write_gathered() const {
  if (!gathered_.load() || failed_.load()) return;
  const std::lock_guard lock(database_->gathering);
  (void)write_batch();  // an error is latched
}

void RocksStore::write_gathered(std::string_view key) const {
  const std::lock_guard lock(database_->gathering);
  const uint64_t hash = hash_of(key);
  const bool may_be_there = std::any_of(database_->hashes.begin(), database_->hashes.end(),
                                        [&](uint64_t at) { return at == hash || at == kAnyKey; });
  if (may_be_there && !failed_.load()) (void)write_batch();
}

const rocksdb::Snapshot* RocksStore::written_snapshot() const {
  write_gathered();
  return database_->db->GetSnapshot();
}

uint64_t RocksStore::approximate_bytes() const {
  write_gathered();
  return database_->sum(rocksdb::DB::Properties::kEstimateLiveDataSize) +
         database_->sum(rocksdb::DB::Properties::kCurSizeAllMemTables);
}

Status RocksStore::sync() {
  write_gathered();
  if (failed_.load()) return failure();
  Status status = from_rocks(database_->db->Flush(rocksdb::FlushOptions(), database_->families), "write the memtables");
  latch(status);
  return status;
}

Status RocksStore::checkpoint(const std::string& folder) {
  write_gathered();
  if (failed_.load()) return failure();
  const std::string target = RUNINK_TRY(os::absolute_path(folder));
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(database_->db.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(target, 0);
  RUNINK_RETURN_IF_ERROR(from_rocks(status, fmt::format("make a checkpoint of the state in {}", target)));
  RUNINK_RETURN_IF_ERROR(failure());
  return os::sync_folder(os::folder_of(target));
}

Status RocksStore::verify() const {
  if (failed_.load()) return failure();
  Status status = from_rocks(database_->db->VerifyChecksum(), "verify the stored state");
  latch(status);
  return status;
}

std::vector<RocksStore::Table> RocksStore::tables() const {
  std::vector<rocksdb::LiveFileMetaData> files;
  database_->db->GetLiveFilesMetaData(&files);
  std::vector<Table> tables;
  for (const rocksdb::LiveFileMetaData& file : files) tables.push_back({file.db_path + file.name, file.size});
  return tables;
}

Status RocksStore::verify_table(const Table& table, const StopFlag* stop) const {
  if (failed_.load()) return failure();
  rocksdb::Options options;
  if (database_->env) options.env = database_->env.get();
  std::unique_ptr<rocksdb::Env> stoppable;
  if (stop != nullptr) {
    stoppable = rocksdb::NewCompositeEnv(stoppable_files(options.env->GetFileSystem(), stop));
    options.env = stoppable.get();
  }
  rocksdb::SstFileReader reader(options);
  rocksdb::Status status = reader.Open(table.path);
  if (status.ok()) {
    rocksdb::ReadOptions read;
    read.readahead_size = kScanReadahead;
    status = reader.VerifyChecksum(read);
  }
  if (status.ok()) return {};
  if (stop != nullptr && stop->requested()) return cancelled("verifying {} was stopped", table.path);
  const std::vector<Table> there = tables();
  const bool live = std::any_of(there.begin(), there.end(), [&](const Table& t) { return t.path == table.path; });
  if (!live) return {};  // a compaction has replaced it
  Status ours = from_rocks(status, "verify a table of the state");
  latch(ours);
  return ours;
}

uint64_t RocksStore::approximate_rows() const {
  write_gathered();
  return database_->sum(rocksdb::DB::Properties::kEstimateNumKeys);
}

RocksMemory RocksStore::memory() const {
  RocksMemory memory;
  memory.cache = database_->cache->GetUsage();
  memory.write_buffers = database_->sum(rocksdb::DB::Properties::kSizeAllMemTables);
  memory.table_readers = database_->sum(rocksdb::DB::Properties::kEstimateTableReadersMem);
  return memory;
}

}  // namespace runink::barn
