#include "control/server/rocks_keeper.h"

#include <algorithm>

#include "base/check.h"
#include "control/barn/read.h"
#include "control/barn/state_machine.h"
#include "control/barn/tables.h"
#include "control/raft/core/membership.h"

namespace runink::server {
namespace {

constexpr size_t kSnapshotsKept = 2;  // the newest, and the one before it, which a peer may be fetching

Result<raft::SnapshotMeta> meta_of(const barn::SnapshotManifest& manifest) {
  raft::SnapshotMeta meta;
  meta.index = manifest.position.index;
  meta.term = manifest.position.term;
  meta.membership = RUNINK_TRY(raft::decode_membership(manifest.membership));
  return meta;
}

}  // namespace

// One snapshot on its way here. The receiver belongs to the worker; the rest to the loop.
struct RocksKeeper::Transfer {
  raft::NodeId from = 0;
  raft::SnapshotMeta meta;
  std::function<void(Status)> done;
  std::unique_ptr<barn::SnapshotReceiver> receiver;
  bool over = false;
};

Result<std::unique_ptr<RocksKeeper>> RocksKeeper::open(KeeperOptions options,
                                                       std::function<void(std::function<void()>)> post) {
  std::unique_ptr<RocksKeeper> keeper(new RocksKeeper(std::move(options), std::move(post)));
  keeper->folder_ = RUNINK_TRY(barn::StateFolder::open(keeper->options_.root, keeper->options_.key));
  keeper->store_ = RUNINK_TRY(keeper->open_store());
  RUNINK_RETURN_IF_ERROR(keeper->find_newest());
  return keeper;
}

RocksKeeper::~RocksKeeper() {
  *alive_ = false;
  stop_.request();
  worker_.reset();  // it uses the rest
}

Result<std::unique_ptr<barn::RocksStore>> RocksKeeper::open_store() const {
  barn::RocksOptions rocks;
  rocks.folder = folder_->live();
  rocks.key = options_.key;
  rocks.cache_bytes = options_.cache_bytes;
  rocks.write_buffer_bytes = options_.write_buffer_bytes;
  return barn::RocksStore::open(std::move(rocks));
}

Status RocksKeeper::find_newest() {
  newest_.reset();
  for (const std::string& folder : RUNINK_TRY(folder_->snapshots())) {
    auto manifest = barn::read_manifest(folder, options_.key);
    if (!manifest.ok()) continue;  // an older one may do
    newest_ = RUNINK_TRY(meta_of(*manifest));
    break;
  }
  return {};
}

// ---- making one

// The memtables are written by the worker first. The loop waits only for what is applied meanwhile: the checkpoint is
// of the moment when it is made.
void RocksKeeper::make_snapshot(const raft::SnapshotMeta& meta, std::function<void(Status)> done) {
  worker_->submit([this, alive = alive_, store = store_, installed = installed_, meta, done = std::move(done)] {
    // The store must not be kept by what is posted, which may outlive this object.
    post_([this, alive, installed, meta, done, status = store->sync()] {
      if (!*alive) return;
      if (!status.ok()) return snapshot_over(status, meta, done);
      if (installed != installed_) return snapshot_over(aborted("another state has taken the place"), meta, done);
      take_checkpoint(meta, done);
    });
  });
}

void RocksKeeper::take_checkpoint(const raft::SnapshotMeta& wanted, const std::function<void(Status)>& done) {
  barn::Position position;
  raft::SnapshotMeta meta = wanted;
  const auto take = [&]() -> Result<std::string> {
    position = RUNINK_TRY(barn::applied_position(*store_));
    RUNINK_CHECK(position.index >= wanted.index);
    meta.index = position.index;
    meta.term = position.term;
    std::string cluster;
    if (RUNINK_TRY(store_->get(barn::tables::kClusterKey, &cluster))) {
      const std::string members = RUNINK_TRY(barn::tables::decode_cluster(cluster)).membership;
      if (!members.empty()) meta.membership = RUNINK_TRY(raft::decode_membership(members));
    }
    return folder_->begin_snapshot(*store_, position);
  };
  const Result<std::string> taken = take();
  if (!taken.ok()) return snapshot_over(taken.status(), wanted, done);
  worker_->submit([this, alive = alive_, position, meta, folder = *taken, done] {
    const auto made = folder_->finish_snapshot(folder, position, raft::encode(meta.membership), &stop_);
    post_([this, alive, meta, done, status = made.ok() ? Status() : made.status()] {
      if (*alive) snapshot_over(status, meta, done);
    });
  });
}

void RocksKeeper::snapshot_over(const Status& status, const raft::SnapshotMeta& meta,
                                const std::function<void(Status)>& done) {
  if (status.ok()) {
    ++counters_.snapshots;
    newest_ = meta;
    (void)folder_->remove_snapshots(kSnapshotsKept);
  } else {
    ++counters_.snapshots_failed;
  }
  done(status);
}

// ---- handing one out

void RocksKeeper::answer(raft::NodeId, raft::BulkRequest request, raft::BulkAnswer answer) {
  worker_->submit([this, request = std::move(request), answer = std::move(answer)] { answer(read_for(request)); });
}

Result<std::string> RocksKeeper::read_for(const raft::BulkRequest& request) {
  if (request.kind != raft::BulkKind::kManifest && request.kind != raft::BulkKind::kChunk) {
    return unimplemented("bulk of kind {} is not kept here", static_cast<int>(request.kind));
  }
  const std::string folder = folder_->snapshot_folder(request.index, request.term);
  auto found = readers_.find(folder);
  if (request.kind == raft::BulkKind::kManifest) {
    // Readers of snapshots that are gone go with the next one that is asked for.
    readers_.clear();
    found = readers_.emplace(folder, RUNINK_TRY(barn::SnapshotReader::open(folder, options_.key))).first;
    return barn::encode_manifest(found->second->manifest());
  }
  if (found == readers_.end())
    found = readers_.emplace(folder, RUNINK_TRY(barn::SnapshotReader::open(folder, options_.key))).first;
  const auto& files = found->second->manifest().files;
  const auto file = std::lower_bound(files.begin(), files.end(), request.name,
                                     [](const auto& f, const std::string& name) { return f.name < name; });
  if (file == files.end() || file->name != request.name)
    return not_found("the snapshot has no file \"{}\"", request.name);
  std::string bytes;
  RUNINK_RETURN_IF_ERROR(
      found->second->read(static_cast<uint32_t>(file - files.begin()), request.offset, request.size, &bytes));
  return bytes;
}

// ---- fetching one

void RocksKeeper::install_snapshot(raft::NodeId from, const raft::SnapshotMeta& meta,
                                   std::function<void(Status)> done) {
  auto transfer = std::make_shared<Transfer>();
  transfer->from = from;
  transfer->meta = meta;
  transfer->done = std::move(done);
  ++counters_.transfers;
  raft::BulkRequest request;
  request.kind = raft::BulkKind::kManifest;
  request.index = meta.index;
  request.term = meta.term;
  transport_->fetch(from, std::move(request), [this, alive = alive_, transfer](Result<std::string> manifest) {
    if (!*alive) return;
    if (!manifest.ok()) return finish(transfer, manifest.status().with_context("ask for the snapshot's manifest"));
    begin_transfer(transfer, std::move(*manifest));
  });
}

void RocksKeeper::begin_transfer(const std::shared_ptr<Transfer>& transfer, std::string encoded) {
  auto own = folder_->snapshots();
  if (!own.ok()) return finish(transfer, own.status());
  worker_->submit([this, alive = alive_, transfer, encoded = std::move(encoded), own = std::move(*own)] {
    const auto begin = [&]() -> Status {
      barn::SnapshotManifest manifest = RUNINK_TRY(barn::decode_manifest(encoded));
      const raft::SnapshotMeta meta = RUNINK_TRY(meta_of(manifest));
      if (!(meta == transfer->meta))
        return data_loss("the manifest is of another snapshot than the one that was offered");
      barn::ReceiverOptions options;
      options.root = options_.root;
      options.key = options_.key;
      options.own_snapshots = own;
      options.position_of = [](barn::StateStore& store) -> Result<barn::Position> {
        return barn::applied_position(store);
      };
      transfer->receiver = RUNINK_TRY(barn::SnapshotReceiver::begin(std::move(options), std::move(manifest)));
      return {};
    };
    const Status status = begin();
    post_([this, alive, transfer, status] {
      if (!*alive) return;
      if (!status.ok()) return finish(transfer, status);
      ask(transfer);
    });
  });
}

// One chunk after the other: while one is on its way the one before is written, since accept() is quick against the
// disk's cache.
void RocksKeeper::ask(const std::shared_ptr<Transfer>& transfer) {
  worker_->submit([this, alive = alive_, transfer] {
    const auto place = transfer->receiver->wanted();
    if (!place) {
      auto folder = transfer->receiver->finish();
      post_([this, alive, transfer, folder = std::make_shared<Result<std::string>>(std::move(folder))] {
        if (!*alive) return;
        if (!folder->ok()) return finish(transfer, folder->status());
        take_over(transfer, **folder);
      });
      return;
    }
    raft::BulkRequest request;
    request.kind = raft::BulkKind::kChunk;
    request.index = transfer->meta.index;
    request.term = transfer->meta.term;
    request.name = transfer->receiver->manifest().files[place->file].name;
    request.offset = place->offset;
    request.size = place->size;
    post_([this, alive, transfer, place = *place, request = std::move(request)] {
      if (!*alive) return;
      transport_->fetch(transfer->from, request, [this, alive, transfer, place](Result<std::string> bytes) {
        if (*alive) received(transfer, place, std::move(bytes));
      });
    });
  });
}

void RocksKeeper::received(const std::shared_ptr<Transfer>& transfer, const barn::SnapshotReceiver::Wanted& place,
                           Result<std::string> bytes) {
  if (!bytes.ok()) return finish(transfer, bytes.status().with_context("fetch a piece of the snapshot"));
  counters_.bytes_received += bytes->size();
  worker_->submit([this, alive = alive_, transfer, place, bytes = std::make_shared<std::string>(std::move(*bytes))] {
    const Status status = transfer->receiver->accept(place, *bytes);
    post_([this, alive, transfer, status] {
      if (!*alive) return;
      if (!status.ok()) return finish(transfer, status);
      ask(transfer);
    });
  });
}

void RocksKeeper::take_over(const std::shared_ptr<Transfer>& transfer, const std::string& folder) {
  counters_.bytes_found += transfer->receiver->bytes_found();
  Status switched = folder_->install(folder);
  // A full disk has changed nothing. After any other error nobody knows which state the next start will find: the old
  // one must not go on, or the log would be cut according to a state that is left behind.
  if (!switched.ok() && switched.code() != Code::kResourceExhausted) broken_ = switched;
  if (!switched.ok()) return finish(transfer, std::move(switched));
  auto store = open_store();
  if (!store.ok()) {
    // There is no way back: the folder says that the new state counts.
    broken_ = store.status().with_context("take over a snapshot");
    return finish(transfer, broken_);
  }
  old_store_ = std::move(store_);
  store_ = std::move(*store);
  ++installed_;
  finish(transfer, Status());
}

void RocksKeeper::finish(const std::shared_ptr<Transfer>& transfer, Status status) {
  if (transfer->over) return;
  transfer->over = true;
  if (!status.ok()) ++counters_.transfers_failed;
  transfer->done(std::move(status));
}

}  // namespace runink::server
