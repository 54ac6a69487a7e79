#include "control/barn/dump.h"

#include <xxhash.h>

#include <algorithm>

#include "control/barn/coding.h"
#include "control/barn/tables.h"

namespace runink::barn {
namespace {

constexpr std::string_view kMagic = "RUNKDUMP";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 8 + 4 + 8 + 8 + 16 + 8 + 8;
constexpr size_t kBlockBytes = 256 << 10;
constexpr uint32_t kBlockBytesMax = 128 << 20;  // of one record: events of the largest deletion there can be
constexpr size_t kImportBytes = 1 << 20;
constexpr size_t kBeginningsKept = 64;

uint64_t chain(uint64_t before, std::string_view bytes) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), before);
}

std::string encode_header(const DumpInfo& info) {
  std::string out(kMagic);
  append_u32(out, kVersion);
  append_u64(out, info.position.index);
  append_u64(out, info.position.term);
  append_u64(out, info.position.digest.high);
  append_u64(out, info.position.digest.low);
  append_u64(out, info.incarnation);
  append_u64(out, static_cast<uint64_t>(info.unix_micros));
  return out;
}

// Head and cluster of what a view shows.
struct Described {
  tables::Head head;
  tables::Cluster cluster;
};
Result<Described> describe(const StateReader& state) {
  Described out;
  std::string bytes;
  if (!RUNINK_TRY(state.get(tables::kHeadKey, &bytes)))
    return failed_precondition("the state is empty: nothing was applied to it");
  out.head = RUNINK_TRY(tables::decode_head(bytes));
  if (RUNINK_TRY(state.get(tables::kClusterKey, &bytes))) out.cluster = RUNINK_TRY(tables::decode_cluster(bytes));
  return out;
}

Status damaged(const std::string& what) {
  return data_loss("the dump is cut or damaged: {}", what)
      .with_kind("barn.dump.damaged")
      .with_hint("nothing was changed; use another copy");
}

// Reads a dump once from its beginning, checking everything. f(key, value) is called for each record, block by block,
// after the block's checksum was found right.
class DumpReader {
 public:
  explicit DumpReader(ByteSource& source) : source_(source) {}

  Result<DumpInfo> header() {
    std::string bytes = RUNINK_TRY(take(kHeaderBytes, "the header"));
    Decoder in(bytes);
    if (in.take(kMagic.size()) != kMagic) return damaged("it does not begin as a dump does");
    const uint32_t version = in.u32();
    if (version != kVersion) {
      return unimplemented("the dump has format {}, and this program knows format {}", version, kVersion)
          .with_hint("a newer version of Runink wrote it: restore it with that version");
    }
    info_.position.index = in.u64();
    info_.position.term = in.u64();
    info_.position.digest.high = in.u64();
    info_.position.digest.low = in.u64();
    info_.incarnation = in.u64();
    info_.unix_micros = static_cast<int64_t>(in.u64());
    RUNINK_RETURN_IF_ERROR(check(bytes, "the header"));
    return info_;
  }

  template <typename F>
  Result<DumpInfo> records(F&& f) {
    while (true) {
      const std::string where = fmt::format("the block at byte {}", at_);
      const std::string head = RUNINK_TRY(take(8, where));
      Decoder in(head);
      const uint32_t size = in.u32(), count = in.u32();
      if (size == 0 && count == 0) return end(head);
      if (size > kBlockBytesMax) return damaged(where + " claims to be too large");
      const std::string payload = RUNINK_TRY(take(size, where));
      RUNINK_RETURN_IF_ERROR(check(head + payload, where));
      Decoder body(payload);
      uint32_t seen = 0;
      for (; body.ok() && body.left() > 0; ++seen) {
        const std::string_view key = body.bytes(), value = body.bytes();
        if (!body.ok() || key.empty() || key >= tables::kEnd || key <= last_key_)
          return damaged(where + " holds what is no record");
        last_key_ = key;
        ++info_.records;
        info_.bytes += key.size() + value.size();
        RUNINK_RETURN_IF_ERROR(f(key, value));
      }
      if (!body.ok() || seen != count) return damaged(where + " holds what is no record");
    }
  }

 private:
  Result<DumpInfo> end(const std::string& head) {
    const std::string counts = RUNINK_TRY(take(16, "the end"));
    RUNINK_RETURN_IF_ERROR(check(head + counts, "the end"));
    Decoder in(counts);
    if (in.u64() != info_.records || in.u64() != info_.bytes) return damaged("its counts at the end do not fit");
    char more;
    if (RUNINK_TRY(source_.read(&more, 1)) != 0) return damaged("something follows its end");
    return info_;
  }
  Result<std::string> take(size_t size, const std::string& what) {
    std::string out;
    while (out.size() < size) {  // in pieces, so that a size which lies does not allocate
      const size_t had = out.size();
      out.resize(had + std::min<size_t>(size - had, 1 << 20));
      const size_t got = RUNINK_TRY(source_.read(out.data() + had, out.size() - had));
      if (got == 0) return damaged(fmt::format("it ends in {}", what));
      out.resize(had + got);
    }
    at_ += size;
    return out;
  }
  Status check(std::string_view bytes, const std::string& what) {
    chain_ = chain(chain_, bytes);
    const std::string sum = RUNINK_TRY(take(8, what));
    return Decoder(sum).u64() == chain_ ? Status() : damaged("the checksum of " + what + " is wrong");
  }

  ByteSource& source_;
  DumpInfo info_;
  uint64_t chain_ = 0;
  uint64_t at_ = 0;
  std::string last_key_;
};

Result<DumpInfo> read_whole(ByteSource& source, const std::function<Status(std::string_view, std::string_view)>& f) {
  DumpReader reader(source);
  RUNINK_RETURN_IF_ERROR(status_of(reader.header()));
  return reader.records(f);
}

// Changed for a new cluster: its incarnation, and nothing of who the members of the old one were.
Result<std::string> restored_cluster(const tables::Cluster& old, uint64_t incarnation, Index after) {
  tables::Cluster cluster = old;
  cluster.beginnings.push_back({incarnation, after});
  if (cluster.beginnings.size() > kBeginningsKept) cluster.beginnings.erase(cluster.beginnings.begin());
  cluster.alarms.clear();
  cluster.membership.clear();
  return tables::encode_cluster(cluster);
}

}  // namespace

Result<size_t> StringSource::read(char* data, size_t size) {
  const size_t n = std::min(size, bytes_.size() - at_);
  std::copy_n(bytes_.data() + at_, n, data);
  at_ += n;
  return n;
}

Status StringSource::rewind() {
  at_ = 0;
  return {};
}

Result<DumpInfo> export_dump(const StateView& view, const ByteSink& sink) {
  const Described described = RUNINK_TRY(describe(view));
  DumpInfo info;
  info.position = described.head.position;
  info.incarnation = described.cluster.beginnings.back().incarnation;
  info.unix_micros = described.head.unix_micros;
  uint64_t sum = 0;
  const auto send = [&](std::string bytes) {
    sum = chain(sum, bytes);
    append_u64(bytes, sum);
    return sink(bytes);
  };
  RUNINK_RETURN_IF_ERROR(send(encode_header(info)));
  std::string payload;
  uint32_t count = 0;
  const auto send_block = [&] {
    std::string block;
    append_u32(block, static_cast<uint32_t>(payload.size()));
    append_u32(block, count);
    block += payload;
    payload.clear();
    count = 0;
    return send(std::move(block));
  };
  const auto at = view.iterate("", tables::kEnd);
  for (; at->valid(); at->next()) {
    const uint64_t record = at->key().size() + at->value().size();
    if (record > kBlockBytesMax - kBlockBytes - 32)
      return resource_exhausted("a record of {} bytes is too large for a dump", record);
    append_bytes(payload, at->key());
    append_bytes(payload, at->value());
    ++count;
    ++info.records;
    info.bytes += record;
    if (payload.size() >= kBlockBytes) RUNINK_RETURN_IF_ERROR(send_block());
  }
  RUNINK_RETURN_IF_ERROR(at->status());
  if (count > 0) RUNINK_RETURN_IF_ERROR(send_block());
  std::string end;
  append_u32(end, 0);
  append_u32(end, 0);
  append_u64(end, info.records);
  append_u64(end, info.bytes);
  RUNINK_RETURN_IF_ERROR(send(std::move(end)));
  return info;
}

Result<DumpInfo> verify_dump(ByteSource& source) {
  std::string head;
  const DumpInfo info = RUNINK_TRY(read_whole(source, [&](std::string_view key, std::string_view value) {
    if (key == tables::kHeadKey) head = value;
    return Status();
  }));
  const Result<tables::Head> decoded = tables::decode_head(head);
  if (!decoded.ok()) return decoded.status().with_context("read the dump");
  if (decoded->position != info.position) return damaged("its header does not fit what it holds");
  return info;
}

Result<DumpInfo> import_dump(ByteSource& source, StateStore& store, const ImportOptions& options) {
  {
    const auto at = store.iterate("", tables::kEnd);
    RUNINK_RETURN_IF_ERROR(at->status());
    if (at->valid()) return failed_precondition("the store that a dump is to be read into is not empty");
  }
  const DumpInfo info = RUNINK_TRY(verify_dump(source));
  const bool restore = options.incarnation != 0;
  if (restore && options.incarnation <= info.incarnation) {
    return invalid_argument("a restored cluster needs an incarnation above {}, not {}", info.incarnation,
                            options.incarnation);
  }
  RUNINK_RETURN_IF_ERROR(source.rewind());

  WriteBatch batch;
  std::string head;
  tables::Cluster cluster;
  Result<DumpInfo> again = read_whole(source, [&](std::string_view key, std::string_view value) {
    if (key == tables::kHeadKey) {
      head = value;
      return Status();
    }
    if (restore && key == tables::kClusterKey) {
      cluster = RUNINK_TRY(tables::decode_cluster(value));
      return Status();
    }
    if (restore && key[0] == tables::kSessions) return Status();
    batch.put(key, value);
    if (batch.bytes() < kImportBytes) return Status();
    Status status = store.apply(batch);
    batch.clear();
    return status;
  });
  Status status = status_of(Result<DumpInfo>(again));
  if (status.ok() && again->position != info.position) status = damaged("it changed while it was read");
  if (status.ok() && restore) {
    batch.put(tables::kClusterKey, RUNINK_TRY(restored_cluster(cluster, options.incarnation, info.position.index)));
  }
  if (!status.ok()) {
    WriteBatch undo;
    undo.remove_range(std::string_view("\0", 1), tables::kEnd);
    (void)store.apply(undo);  // what went wrong first is what is told
    return status;
  }
  batch.put(tables::kHeadKey, head);
  RUNINK_RETURN_IF_ERROR(store.apply(batch));
  return info;
}

}  // namespace runink::barn
