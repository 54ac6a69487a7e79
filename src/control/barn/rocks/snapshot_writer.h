// Making a snapshot and reading it out for a peer. A snapshot is a folder: a checkpoint of the store
// (RocksStore::checkpoint, taken by the thread that applies, hence at exactly one position) and the manifest that
// describes it. Describing reads all files, which never change, so any thread may do it while the store goes on.
//
// Memory: one chunk of kSnapshotChunkBytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/stop.h"
#include "control/barn/rocks/sealed_file.h"
#include "control/barn/rocks/snapshot_manifest.h"

namespace runink::barn {

// SHA-256 and size of a file's plain content. kCancelled once `stop` is requested.
struct FileDigest {
  uint64_t size = 0;
  crypto::Digest256 hash{};
};
Result<FileDigest> digest_file(const std::string& path, const std::optional<crypto::SealingKey>& key,
                               const StopFlag* stop = nullptr);

// Describes the checkpoint in `folder` and writes the manifest into it. Hashes of files that are the same file (inode)
// as one of an earlier snapshot are taken from that: tables live through many snapshots.
struct EarlierSnapshot {
  std::string folder;
  SnapshotManifest manifest;
};
Result<SnapshotManifest> describe_checkpoint(const std::string& folder, const Position& position,
                                             std::string_view membership, const std::optional<crypto::SealingKey>& key,
                                             const EarlierSnapshot* earlier = nullptr, const StopFlag* stop = nullptr);

// Reads a snapshot in pieces, for one peer. One thread at a time.
class SnapshotReader {
 public:
  static Result<std::unique_ptr<SnapshotReader>> open(const std::string& folder,
                                                      const std::optional<crypto::SealingKey>& key);
  const SnapshotManifest& manifest() const { return manifest_; }
  // `size` plain bytes (at most kSnapshotChunkBytes) of the manifest's file number `file`. kOutOfRange where there are
  // no such bytes (what is asked for comes from a peer); kDataLoss where the stored file is damaged.
  Status read(uint32_t file, uint64_t offset, uint32_t size, std::string* bytes);

 private:
  SnapshotReader(std::string folder, const std::optional<crypto::SealingKey>& key)
      : folder_(std::move(folder)), key_(key) {}
  std::string folder_;
  std::optional<crypto::SealingKey> key_;
  SnapshotManifest manifest_;
  uint32_t open_file_ = 0;  // of reader_
  std::unique_ptr<FileReader> reader_;
};

}  // namespace runink::barn
