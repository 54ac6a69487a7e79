// Where one member keeps its state and snapshots of it, and how a received snapshot takes the place of the state.
//
//   <root>/LIVE                        one line: the name of the folder with the state
//   <root>/state-000001                the state (a RocksStore)
//   <root>/snapshot-<index>-<term>     snapshots made here, with their manifests; 20 digits each, so that they sort
//   <root>/taking-…, *.tmp             a snapshot being made: removed at the next start
//   <root>/lock                        held while it is open, against a second server in the same folder
//   <root>/incoming-<id>               a snapshot being received: gone on with by SnapshotReceiver
//
// LIVE is changed by rename, after all that it will name is on disk. So whenever the process ends, the next start finds
// the old state or the new one, each whole.
//
// Threads: one at a time, but finish_snapshot(), which works on a folder of its own and may run on any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "control/barn/rocks/rocks_store.h"
#include "control/barn/rocks/snapshot_manifest.h"
#include "control/barn/rocks/snapshot_receiver.h"
#include "control/barn/rocks/snapshot_writer.h"
#include "platform/os/lock.h"

namespace runink::barn {

class StateFolder {
 public:
  // Makes what is missing and removes what interrupted work left behind. kDataLoss where LIVE names nothing that is
  // there, or is missing though there is a state: that is for a person to look at. kAborted, kind
  // "lock.held": another process has it open.
  static Result<std::unique_ptr<StateFolder>> open(const std::string& root, std::optional<crypto::SealingKey> key,
                                                   StepHook step = {});
  // The same of what is there already (kNotFound where there is no state), and changes nothing but the text of the
  // lock: what interrupted work left behind stays. Only live() and snapshots() may be called.
  static Result<std::unique_ptr<StateFolder>> open_to_read(const std::string& root,
                                                           std::optional<crypto::SealingKey> key);

  std::string live() const;  // the folder to open a RocksStore in
  const std::string& root() const { return root_; }

  // The first half, by the thread that applies, between two batches: a checkpoint of the store, whose applied position
  // is `position`. Returns the folder for the second half.
  Result<std::string> begin_snapshot(RocksStore& store, const Position& position);
  // The second half, long, any thread: hashes, manifest, name. Returns the snapshot's folder. Where there is one of
  // this position already (a peer may be reading it), that one stays.
  Result<std::string> finish_snapshot(const std::string& taken, const Position& position, std::string_view membership,
                                      const StopFlag* stop = nullptr) const;

  // Folders of whole snapshots, the newest first. Any thread.
  Result<std::vector<std::string>> snapshots() const;
  // Removes all but the newest `keep`. A SnapshotReader of a removed one gets kNotFound at its next file.
  Status remove_snapshots(size_t keep);

  // Where finish_snapshot() puts the snapshot of this index and term, whether there is one or not.
  std::string snapshot_folder(raft::Index index, raft::Term term) const;

  // Puts what SnapshotReceiver::finish() returned in the place of the state. The RocksStore of the old one is to be
  // closed (before or after) and never written to again; live() is the new one from now on.
  Status install(const std::string& received);
  // Removes the states that were live before, once their RocksStores are closed. (The next open() does it too.)
  Status remove_old_states();

 private:
  StateFolder(std::string root, std::optional<crypto::SealingKey> key, StepHook step)
      : root_(std::move(root)), key_(std::move(key)), step_(std::move(step)) {}
  Status lock();
  Result<bool> find_live();  // false: there is none, nor was there one
  Status make_first();
  Status write_live(const std::string& name);
  Status tidy();
  Status step(std::string_view name) const { return step_ ? step_(name) : Status(); }
  std::string path(std::string_view name) const;

  std::string root_;
  os::FileLock lock_;
  std::optional<crypto::SealingKey> key_;
  StepHook step_;
  std::string live_;  // name
};

}  // namespace runink::barn
