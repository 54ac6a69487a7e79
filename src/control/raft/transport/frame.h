// Frames: what a connection between members carries, inside TLS, which has already seen to secrecy and to damage.
//
//     length of the payload (4 bytes, little endian) | type (1) | version (1) | payload
//
// A length beyond the limit, a type or a version that is not known ends the connection. A length alone makes nobody
// hold memory: the buffer grows with what has really come.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace runink::raft {

inline constexpr size_t kMaxFrameBytes = 8 << 20;  // of a payload
inline constexpr size_t kFrameHeaderBytes = 6;
inline constexpr uint8_t kFrameVersion = 1;

enum class FrameType : uint8_t {
  kHello = 1,  // the first in either direction: codec.h
  kPing = 2,   // 8 bytes that come back
  kPong = 3,
  kMessage = 4,      // one raft::Message; on a control connection only
  kBulkRequest = 5,  // these on a bulk connection only
  kBulkAnswer = 6,
};

struct Frame {
  FrameType type = FrameType::kHello;
  std::string_view payload;
};

// Appends a header whose length end_frame() fills in, once the payload has been appended behind it. Returns where it
// begins.
size_t begin_frame(std::string& out, FrameType type);
void end_frame(std::string& out, size_t begin);

// Cuts what arrives into frames.
class FrameReader {
 public:
  explicit FrameReader(size_t max_payload = kMaxFrameBytes) : max_payload_(max_payload) {}
  void set_max_payload(size_t bytes) { max_payload_ = bytes; }

  // Where to put what arrives: at least 16 KiB. Voids frames given before.
  std::span<char> room();
  void add(size_t bytes);  // so many have been put there

  // True with the next whole frame; its payload lies in the reader until room() is called. kInvalidArgument: what came
  // is not a frame, and nothing behind it can be trusted.
  Result<bool> next(Frame* frame);

  size_t capacity() const { return capacity_; }  // bytes held

 private:
  void make_room(size_t capacity);

  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0, begin_ = 0, end_ = 0;
  size_t max_payload_;
};

}  // namespace runink::raft
