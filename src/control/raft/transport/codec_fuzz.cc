// What a peer with a good certificate may send: a stream of frames, and what is in them. Whatever decodes is encoded
// again and must be the same bytes; and what is held for an input stays in proportion to its size, whatever counts it
// claims.
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/check.h"
#include "control/raft/transport/codec.h"

namespace runink::raft {
namespace {

// A sanitizer's allocator does not count for mallinfo2.
#if defined(__SANITIZE_ADDRESS__) || defined(RUNINK_FUZZ)
size_t held_bytes() { return 0; }
#else
size_t held_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}
#endif

// An entry of two bytes becomes an Entry and, with data, a shared string: about 64 times as much, up to kMaxEntries of
// them.
constexpr size_t kMostGrowth = 8 << 20;

void check_message(std::string_view payload) {
  const size_t before = held_bytes();
  const Result<Message> message = decode_message(payload);
  RUNINK_CHECK(held_bytes() <= before + std::min(payload.size() * 64 + 4096, kMostGrowth + payload.size()));
  if (!message.ok()) return;
  RUNINK_CHECK(fits(*message) || payload.size() > kMaxFrameBytes / 2);
  std::string again;
  encode(*message, again);
  RUNINK_CHECK(again == payload);
}

void check_bulk(std::string_view payload) {
  std::string again;
  if (const auto request = decode_bulk_request(payload); request.ok()) {
    encode(request->id, request->request, again);
    RUNINK_CHECK(again == payload);
  }
  again.clear();
  if (const auto answer = decode_bulk_answer(payload); answer.ok()) {
    encode(answer->id, answer->answer, again);
    RUNINK_CHECK(again == payload);
  }
}

void check_hello(std::string_view payload) {
  const Result<Hello> hello = decode_hello(payload);
  if (!hello.ok() || hello->newest > 1) return;
  std::string again;
  encode(*hello, again);
  RUNINK_CHECK(again == payload);
}

void check_frames(std::string_view bytes) {
  FrameReader reader;
  while (!bytes.empty()) {
    const std::span<char> room = reader.room();
    const size_t size = std::min({bytes.size(), room.size(), size_t{1000}});
    std::memcpy(room.data(), bytes.data(), size);
    reader.add(size);
    bytes.remove_prefix(size);
    Frame frame;
    while (true) {
      const Result<bool> found = reader.next(&frame);
      if (!found.ok()) return;
      if (!*found) break;
      check_message(frame.payload);
      check_bulk(frame.payload);
      check_hello(frame.payload);
    }
  }
}

}  // namespace
}  // namespace runink::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  runink::raft::check_message(bytes);
  runink::raft::check_bulk(bytes);
  runink::raft::check_hello(bytes);
  runink::raft::check_frames(bytes);
  return 0;
}
