#include "control/raft/transport/frame.h"

#include <algorithm>
#include <cstring>

#include "base/little_endian.h"
#include "base/check.h"

namespace runink::raft {

namespace {

constexpr size_t kRoomBytes = 16 << 10;  // of a TLS record
constexpr size_t kFirstCapacity = 64 << 10;
constexpr size_t kKeepCapacity = 256 << 10;  // an empty reader gives back what it holds beyond

}  // namespace

size_t begin_frame(std::string& out, FrameType type) {
  const size_t begin = out.size();
  out.append(4, '\0');
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(kFrameVersion));
  return begin;
}

void end_frame(std::string& out, size_t begin) {
  const size_t length = out.size() - begin - kFrameHeaderBytes;
  RUNINK_CHECK(length <= kMaxFrameBytes);
  store_little_endian(out.data() + begin, static_cast<uint32_t>(length));
}

std::span<char> FrameReader::room() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (capacity_ > kKeepCapacity) make_room(kFirstCapacity);
  }
  if (capacity_ - end_ < kRoomBytes) {
    const size_t held = end_ - begin_;
    // Moving what is held to the front is enough, or twice as much is needed: so each byte is moved a bounded number of
    // times.
    make_room(held + kRoomBytes <= capacity_ / 2 ? capacity_ : std::max(kFirstCapacity, capacity_ * 2));
  }
  return {bytes_.get() + end_, capacity_ - end_};
}

void FrameReader::make_room(size_t capacity) {
  const size_t held = end_ - begin_;
  if (capacity == capacity_) {
    std::memmove(bytes_.get(), bytes_.get() + begin_, held);
  } else {
    auto bytes = std::make_unique_for_overwrite<char[]>(capacity);
    if (held > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, held);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = held;
}

void FrameReader::add(size_t bytes) {
  RUNINK_CHECK(bytes <= capacity_ - end_);
  end_ += bytes;
}

Result<bool> FrameReader::next(Frame* frame) {
  const size_t held = end_ - begin_;
  if (held < kFrameHeaderBytes) return false;
  const char* const at = bytes_.get() + begin_;
  uint32_t length = 0;
  for (int i = 3; i >= 0; --i) length = length << 8 | static_cast<uint8_t>(at[i]);
  const auto type = static_cast<uint8_t>(at[4]);
  const auto version = static_cast<uint8_t>(at[5]);
  if (version != kFrameVersion)
    return invalid_argument("a frame of version {} where {} is spoken", version, kFrameVersion);
  if (type < static_cast<uint8_t>(FrameType::kHello) || type > static_cast<uint8_t>(FrameType::kBulkAnswer)) {
    return invalid_argument("a frame of unknown type {}", type);
  }
  if (length > max_payload_) return invalid_argument("a frame of {} bytes where {} are the most", length, max_payload_);
  if (held - kFrameHeaderBytes < length) return false;
  *frame = {static_cast<FrameType>(type), {at + kFrameHeaderBytes, length}};
  begin_ += kFrameHeaderBytes + length;
  return true;
}

}  // namespace runink::raft
