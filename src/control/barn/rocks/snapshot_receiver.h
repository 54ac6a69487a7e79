// Taking up a snapshot from a peer, chunk by chunk, into a side folder <root>/incoming-<id of the snapshot>.
//
// begin() finds what is there: files received earlier or in a snapshot of our own (same hash: linked) are read and
// compared and not asked for again; a file in the midst of which a transfer ended goes on at its last whole chunk. Each
// file is hashed as it comes, and synced before it gets its name. finish() opens the whole read-only and compares its
// position with the manifest's; only then is the folder fit to become the state (StateFolder::install).
//
// Memory: one chunk here and the one that the caller hands over. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/barn/rocks/sealed_file.h"
#include "control/barn/rocks/snapshot_manifest.h"
#include "control/barn/store.h"

namespace runink::barn {

// Called before each step that changes something on disk; tests make it return an error, which is passed on at once and
// nothing is tidied up, as if the process had ended there.
using StepHook = std::function<Status(std::string_view step)>;

inline constexpr std::string_view kIncomingPrefix = "incoming-";

struct ReceiverOptions {
  std::string root;                        // of the StateFolder; on the same file system as `own_snapshots`
  std::optional<crypto::SealingKey> key;   // of this member
  std::vector<std::string> own_snapshots;  // folders with a manifest
  // Index, term and digest that a stored state holds (StateMachine::open(store)->position()).
  std::function<Result<Position>(StateStore& store)> position_of;
  StepHook step;
};

class SnapshotReceiver {
 public:
  struct Wanted {
    uint32_t file = 0;  // number in the manifest
    uint64_t offset = 0;
    uint32_t size = 0;
    bool operator==(const Wanted&) const = default;
  };

  static Result<std::unique_ptr<SnapshotReceiver>> begin(ReceiverOptions options, SnapshotManifest manifest);

  // The chunk to ask for next; nothing once all is there.
  std::optional<Wanted> wanted() const;
  // It and those that will be wanted after it, at most so many (at least one unless all is there), so that several may
  // be under way. They are accepted in this order; after an accept() that failed, what else is under way is not wanted
  // any more.
  std::vector<Wanted> upcoming(size_t most) const;
  // Exactly the bytes wanted(). kInvalidArgument for others. kDataLoss, kind "barn.snapshot.damaged", when a file is
  // whole and its hash is not that of the manifest: it is then wanted again from its beginning (from another peer,
  // perhaps).
  Status accept(const Wanted& place, std::string_view bytes);

  // kFailedPrecondition while something is wanted. kDataLoss, kind "barn.snapshot.damaged", if it is not a state or not
  // of the manifest's position: the folder is then removed. Otherwise the folder, all of it on disk.
  Result<std::string> finish();

  const SnapshotManifest& manifest() const { return manifest_; }
  uint64_t bytes_received() const { return received_; }  // by accept()
  uint64_t bytes_found() const { return found_; }        // already here

 private:
  SnapshotReceiver(ReceiverOptions options, SnapshotManifest manifest);
  Status prepare();
  Result<bool> there_already(const SnapshotFile& file);
  Status remove_stale_folders();
  Status start_file();
  Status salvage(const std::string& from);
  Status end_file();
  Status next_file();
  Status step(std::string_view name) const { return options_.step ? options_.step(name) : Status(); }
  const crypto::SealingKey* key() const { return options_.key ? &*options_.key : nullptr; }
  std::string path(std::string_view name) const;

  ReceiverOptions options_;
  SnapshotManifest manifest_;
  std::string folder_;
  std::vector<bool> there_;  // by number
  uint32_t current_ = 0;     // file in work; files.size(): none
  std::unique_ptr<FileWriter> writer_;
  crypto::Sha256 hash_;
  uint64_t received_ = 0, found_ = 0;
};

}  // namespace runink::barn
