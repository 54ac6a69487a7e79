// Bulk on a member's disk, named by content: what is too large for the log lies here, and the log holds hash and size.
//
// A chunk is a file <folder>/<first two digits>/<64 digits of its SHA-256>, of at most kChunkBytes. Sealed where a key
// is given (associated: hash and size, never the path). The name of a sealed chunk still tells who knows a content
// whether it is stored here; hide what must not be confirmed by other means.
//
// A put() chunk is pinned until unpin(): collect() keeps pinned ones, so that nothing is lost between put() and the log
// entry that refers to it. Pins do not outlive the process; roots given to collect() must therefore include what
// entries refer to that are in the log and not yet applied.
//
// Threads: any number at once, in one process (a lock file keeps others out).
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/seal.h"
#include "platform/os/lock.h"

namespace runink::barn {

inline constexpr size_t kChunkBytes = 8 << 20;  // plain, at most

using ChunkHash = crypto::Digest256;

struct ChunkInfo {
  ChunkHash hash{};
  uint64_t stored_bytes = 0;  // of its file: some more than the content
  bool operator==(const ChunkInfo&) const = default;
};

class ChunkStore {
 public:
  // `key`: the sub-key "chunks". kAborted, kind "lock.held": another process has it. kFailedPrecondition, kinds
  // "key.wrong", "key.missing", "key.unsealed": <folder>/key-id names another key than the one given.
  static Result<std::unique_ptr<ChunkStore>> open(const std::string& folder, std::optional<crypto::SealingKey> key);
  // The same of what is there already (kNotFound: no store), and changes nothing but the text of the lock.
  // Only get(), has() and list() may be called.
  static Result<std::unique_ptr<const ChunkStore>> open_to_read(const std::string& folder,
                                                                std::optional<crypto::SealingKey> key);

  // Durable when it returns, and pinned once more. A chunk that is there is read and kept if it is good, written anew
  // if it is damaged. kInvalidArgument beyond kChunkBytes; kResourceExhausted on a full disk (nothing is left of it).
  Result<ChunkHash> put(std::string_view bytes);
  // The content, checked. kNotFound; kDataLoss, kind "barn.chunk.damaged", for a file that does not hold it (it stays
  // where it is: put() of the same content, from another member, repairs it).
  Result<std::string> get(const ChunkHash& hash) const;
  Result<bool> has(const ChunkHash& hash) const;  // that there is such a file, not that it is good
  struct Stored {
    uint64_t chunks = 0, bytes = 0;  // good or not; bytes of their files
  };
  // Kept in step with what is done here; what others do to the files is known after a recount(), during which nothing
  // may be put, removed or collected.
  Stored stored() const { return {chunks_, bytes_}; }
  Status recount();
  // Of all files, ascending by hash. The other names that it meets are skipped.
  Result<std::vector<ChunkInfo>> list() const;
  // False: there was none. A pinned chunk is kFailedPrecondition.
  Result<bool> remove(const ChunkHash& hash);
  void unpin(const ChunkHash& hash);  // once for each put()

  struct Collected {
    uint64_t removed = 0, removed_bytes = 0, kept = 0;
  };
  // Removes what is neither pinned nor a root. `is_root` is called once for each chunk, with no lock held.
  Result<Collected> collect(const std::function<bool(const ChunkHash&)>& is_root);

 private:
  ChunkStore(std::string folder, std::optional<crypto::SealingKey> key)
      : folder_(std::move(folder)), key_(std::move(key)) {}
  Status lock();
  std::string key_text() const;
  Status check_key() const;
  Status remove_leftovers();
  Status remove_file(const ChunkHash& hash);
  std::string path_of(const ChunkHash& hash) const;
  Status write(const std::string& path, const ChunkHash& hash, std::string_view bytes);
  // Takes the right to change the chunk's file; waits for another thread that has it.
  class Claim;
  bool pinned(const ChunkHash& hash) const;  // mutex_ held

  const std::string folder_;
  const std::optional<crypto::SealingKey> key_;
  os::FileLock lock_;
  std::atomic<uint64_t> chunks_{0}, bytes_{0};
  mutable std::mutex mutex_;
  std::condition_variable released_;
  std::set<ChunkHash> claimed_;
  std::map<ChunkHash, uint64_t> pins_;
};

}  // namespace runink::barn
