// Files whose content is sealed piece by piece, and read as if it were not.
//
// A file begins with a header of kHeaderBytes: magic, format, layout, block size, a random file id, the id of the key.
// Its pieces are sealed (platform/crypto/seal.h) with a key derived from the caller's for this file id, so no count of
// nonces runs over the life of a store, only over that of a file. Associated with each piece: format, layout, file id,
// the offset of the piece in the plain content, and whether it is the last; never the path, so files may be renamed and
// linked.
//
//   kBlocks  for what is written once and read anywhere (tables): pieces of exactly kBlockBytes, the last one shorter,
//            possibly empty, and marked as the last. A file that was cut, also at a block, does not read as whole.
//            The last block is kept in memory until sync() or close(); appending after sync() writes it anew (with a
//            new nonce), so a power cut then may cost it: detected, never silent.
//   kFrames  for what grows and is read from its beginning (logs): each append() becomes one piece or more of at most
//            kFrameBytes with its length before it. Nothing is ever written twice. An end that is cut in the midst of a
//            piece, or consists of zeros, reads as the end of the file, as a crash leaves it; anything else that is not
//            authentic is kDataLoss. That whole pieces are missing at the end cannot be seen from the file alone.
//
// Without a key (nullptr) all of this is a plain file, so that callers have one way for both.
//
// Errors: kDataLoss for content that is not authentic; kFailedPrecondition, kind "key.wrong", for another key (naming
// file and both ids), kind "key.unsealed" for a plain file where a key is given, "key.missing" for the contrary.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/crypto/seal.h"
#include "platform/os/fd.h"

namespace runink::barn {

enum class Layout : uint8_t { kBlocks = 1, kFrames = 2 };

inline constexpr size_t kHeaderBytes = 64;
inline constexpr size_t kBlockBytes = 4096;   // plain bytes
inline constexpr size_t kFrameBytes = 65536;  // plain bytes, at most
inline constexpr size_t kFrameHeaderBytes = 8;

using FileId = std::array<uint8_t, 16>;

// Purpose under which keys of files are derived from the key that the functions below are given.
inline constexpr std::string_view kFilePurpose = "file";

// Writes a new file. One thread at a time. After an error every later call returns it: a write or sync is never
// repeated.
class FileWriter {
 public:
  // Where a file of that name exists it is removed first (never emptied: links to it keep their content).
  static Result<std::unique_ptr<FileWriter>> create(const std::string& path, Layout layout,
                                                    const crypto::SealingKey* key);
  // Goes on after the content of a file of frames (or a plain file); an end cut in the midst of a piece is cut off. The
  // content is checked on the way. kUnimplemented for blocks.
  static Result<std::unique_ptr<FileWriter>> reopen(const std::string& path, const crypto::SealingKey* key);
  ~FileWriter();  // closes without the mark of the last block: a file not closed does not read as whole

  Status append(std::string_view bytes);
  Status sync();   // what was appended is on disk (fdatasync); the name of a new file is the folder's affair
  Status close();  // without sync
  uint64_t size() const { return size_; }  // plain bytes appended

 private:
  FileWriter(os::Fd fd, Layout layout) : fd_(std::move(fd)), layout_(layout) {}
  void start(const crypto::SealingKey& key);
  Status append_blocks(std::string_view bytes);
  Status append_frames(std::string_view bytes);
  Status write_last_block();
  void seal_block(std::string_view plain, bool last);
  Status write_out();  // buffer_ to the end of the file
  Status latch(Status status);

  os::Fd fd_;
  Layout layout_;
  std::optional<crypto::SealingKey> key_;  // of this file; nothing for a plain one
  FileId id_{};
  std::string buffer_;     // sealed and not yet written
  std::string tail_;       // kBlocks: the block that may be the last, plain
  uint64_t physical_ = 0;  // kBlocks: where tail_ belongs; kFrames: end of the file
  uint64_t size_ = 0;
  bool last_written_ = false;  // kBlocks: tail_ is in the file, as the last block
  Status failed_;
};

// Reads a file. read_at() may be called by any number of threads at once. A file of frames may grow meanwhile.
class FileReader {
 public:
  enum class Expect {
    kWhole,       // blocks: the last one must be marked
    kUnfinished,  // blocks: written by somebody who did not come to close it; whole blocks are read
  };
  static Result<std::unique_ptr<FileReader>> open(const std::string& path, const crypto::SealingKey* key,
                                                  Expect expect = Expect::kWhole);

  // Bytes from `offset` on; fewer than `size` only at the end of the content.
  Result<size_t> read_at(uint64_t offset, char* out, size_t size) const;
  // Plain bytes. Blocks: from the size of the file, which is as good as the last block (not read here). Frames: as far
  // as the file can be followed now.
  Result<uint64_t> size() const;
  const std::string& path() const { return fd_.path(); }
  // Frames and plain files: where the content ends in the file itself.
  Result<uint64_t> physical_end() const;

 private:
  explicit FileReader(os::Fd fd) : fd_(std::move(fd)) {}
  // Where one frame lies. Of length 0: none.
  struct Frame {
    uint64_t physical = kHeaderBytes, offset = 0;
    uint32_t length = 0;
    uint64_t next() const;  // where the one after it begins in the file
  };
  Result<bool> take_header(const crypto::SealingKey& key) const;
  Status measure_blocks(Expect expect);
  Result<size_t> read_blocks(uint64_t offset, char* out, size_t size) const;
  Status open_block(uint64_t block, std::string_view sealed, char* out) const;
  Result<size_t> read_frames(uint64_t offset, char* out, size_t size) const;
  Result<bool> ready_for_frames() const;
  Result<std::optional<Frame>> frame_at(uint64_t physical, uint64_t offset) const;
  Result<Frame> last_frame() const;
  Status open_frame(const Frame& frame) const;

  os::Fd fd_;
  bool plain_ = false, in_blocks_ = false, unfinished_ = false;
  uint64_t blocks_ = 0, size_ = 0;  // kBlocks
  // A file of frames may be opened before its header has been written, hence:
  mutable std::mutex mutex_;
  mutable std::optional<crypto::SealingKey> given_;  // until the header has been read
  mutable std::optional<crypto::SealingKey> key_;    // of this file
  mutable FileId id_{};
  mutable Layout layout_ = Layout::kFrames;
  mutable Frame cursor_;  // the frame whose plain bytes are in frame_bytes_
  mutable std::string frame_bytes_;
};

// The layout and key id that stand in a file's header; nothing for a file that is not sealed or shorter than a header.
struct SealedHeader {
  Layout layout = Layout::kFrames;
  FileId id{};
  crypto::KeyId key_id{};
};
Result<std::optional<SealedHeader>> read_sealed_header(const os::Fd& fd);

}  // namespace runink::barn
