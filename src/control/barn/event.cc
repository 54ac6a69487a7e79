#include "control/barn/event.h"

#include "control/barn/coding.h"

namespace runink::barn {
namespace {

// Kind in the two lowest bits, then what follows.
constexpr uint8_t kKindMask = 3, kChunk = 4, kLease = 8, kKnown = kKindMask | kChunk | kLease;

}  // namespace

void append_event(std::string& record, const Event& event) {
  uint8_t head = static_cast<uint8_t>(event.kind);
  if (event.chunk) head |= kChunk;
  if (!event.lease.none()) head |= kLease;
  append_u8(record, head);
  append_bytes(record, event.key);
  if (event.kind == EventKind::kDelete) return;
  append_varint(record, event.create_index);
  append_varint(record, event.version);
  if (!event.lease.none()) append_token(record, event.lease);
  append_bytes(record, event.value);
}

Status next_event(std::string_view& rest, Event* event) {
  Decoder in(rest);
  *event = {};
  const uint8_t head = in.u8();
  event->kind = static_cast<EventKind>(head & kKindMask);
  event->chunk = (head & kChunk) != 0;
  event->key = in.bytes();
  if (event->kind == EventKind::kPut) {
    event->create_index = in.varint();
    event->version = in.varint();
    if ((head & kLease) != 0) event->lease = in.token();
    event->value = in.bytes();
  } else if (event->kind != EventKind::kDelete || head != static_cast<uint8_t>(EventKind::kDelete)) {
    in.fail();
  }
  if (!in.ok() || (head & ~kKnown) != 0) return data_loss("a stored event cannot be read");
  rest = in.rest();
  return {};
}

}  // namespace runink::barn
