// The state of a real member: RocksDB in a state folder, snapshots of it made and handed to peers, and a peer's
// snapshot fetched chunk by chunk and put in its place. The long work (hashing, reading, writing) is done on a worker
// thread; transfers use the bulk connection only, with a few chunks under way.
//
// Called on the event loop's thread, as StateKeeper and BulkSource say.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/stop.h"
#include "control/barn/rocks/state_folder.h"
#include "control/raft/transport/transport.h"
#include "control/replica/state_keeper.h"
#include "control/server/worker.h"

namespace runink::server {

struct KeeperOptions {
  std::string root;                       // of the state folder
  std::optional<crypto::SealingKey> key;  // the sub-key "state"
  uint64_t cache_bytes = 128 << 20, write_buffer_bytes = 32 << 20;
};

class RocksKeeper final : public barn::StateKeeper, public raft::BulkSource {
 public:
  // `post` runs a function on the event loop, from any thread, and outlives this. Errors as StateFolder::open and
  // RocksStore::open.
  static Result<std::unique_ptr<RocksKeeper>> open(KeeperOptions options,
                                                   std::function<void(std::function<void()>)> post);
  ~RocksKeeper() override;
  // Where chunks are fetched from; must outlive every install_snapshot.
  void set_transport(raft::Transport* transport) { transport_ = transport; }

  // Called whenever a store is about to be closed that another has replaced: views and iterators of it must be gone
  // when this returns.
  void before_release(std::function<void()> callback) { before_release_.push_back(std::move(callback)); }

  barn::StateStore* store() override { return store_.get(); }
  void release_old_store() override {
    for (const auto& before : before_release_) before();
    old_store_.reset();
    (void)folder_->remove_old_states();  // otherwise the next start does
  }
  Status sync() override { return store_->sync(); }
  void make_snapshot(const raft::SnapshotMeta& meta, std::function<void(Status)> done) override;
  std::optional<raft::SnapshotMeta> newest_snapshot() const override { return newest_; }
  void install_snapshot(raft::NodeId from, const raft::SnapshotMeta& meta, std::function<void(Status)> done) override;

  void answer(raft::NodeId asker, raft::BulkRequest request, raft::BulkAnswer answer) override;

  const barn::RocksStore& rocks() const { return *store_; }
  // For a reader that may still be at it when a snapshot takes the place of the state; it then meets files that are
  // gone.
  std::shared_ptr<const barn::StateStore> share_store() const { return store_; }
  // OK as long as the store is good, and is the one that the next start will open. What it says then ends the member.
  Status failure() const { return broken_.ok() ? store_->failure() : broken_; }
  struct Counters {
    uint64_t snapshots = 0, snapshots_failed = 0, transfers = 0, transfers_failed = 0, bytes_received = 0,
             bytes_found = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Transfer;
  RocksKeeper(KeeperOptions options, std::function<void(std::function<void()>)> post)
      : options_(std::move(options)), post_(std::move(post)) {}
  Result<std::unique_ptr<barn::RocksStore>> open_store() const;
  Status find_newest();
  void take_checkpoint(const raft::SnapshotMeta& wanted, const std::function<void(Status)>& done);
  void snapshot_over(const Status& status, const raft::SnapshotMeta& meta, const std::function<void(Status)>& done);
  void begin_transfer(const std::shared_ptr<Transfer>& transfer, std::string manifest);
  void ask(const std::shared_ptr<Transfer>& transfer);
  void received(const std::shared_ptr<Transfer>& transfer, const barn::SnapshotReceiver::Wanted& place,
                Result<std::string> bytes);
  void finish(const std::shared_ptr<Transfer>& transfer, Status status);
  void take_over(const std::shared_ptr<Transfer>& transfer, const std::string& folder);
  Result<std::string> read_for(const raft::BulkRequest& request);

  const KeeperOptions options_;
  std::function<void(std::function<void()>)> post_;
  raft::Transport* transport_ = nullptr;
  std::unique_ptr<barn::StateFolder> folder_;
  std::shared_ptr<barn::RocksStore> store_, old_store_;
  Status broken_;
  uint64_t installed_ = 0;  // snapshots of peers that have taken the place of the state
  std::optional<raft::SnapshotMeta> newest_;
  std::vector<std::function<void()>> before_release_;
  Counters counters_;
  StopFlag stop_;
  // Callbacks that come after this is gone do nothing.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  // The worker's own: readers by snapshot folder.
  std::map<std::string, std::unique_ptr<barn::SnapshotReader>> readers_;
  std::unique_ptr<Worker> worker_ = std::make_unique<Worker>();
};

}  // namespace runink::server
