// What changed at one Raft index: the unit in which watches are told. Stored by index until compaction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/barn/ids.h"

namespace runink::barn {

enum class EventKind : uint8_t { kPut = 1, kDelete = 2 };

// Views of the encoded record. The modify index of all of them is the record's index.
struct Event {
  EventKind kind = EventKind::kPut;
  std::string_view key, value;  // a deletion has no value
  Index create_index = 0;
  uint64_t version = 0;
  LeaseId lease;
  bool chunk = false;
};

// Record: 8 bytes little endian, the bytes of all event records before this one since the beginning (so that compaction
// knows what it frees by looking at one record), then the events one behind the other.
constexpr size_t kEventRecordHead = 8;
void append_event(std::string& record, const Event& event);
// f(const Event&) for each; kDataLoss where the record is damaged, after those before the damage.
template <typename F>
Status for_each_event(std::string_view record, F&& f);

// One step of it: takes the first event off `rest`.
Status next_event(std::string_view& rest, Event* event);

template <typename F>
Status for_each_event(std::string_view record, F&& f) {
  if (record.size() < kEventRecordHead) return data_loss("an event record of {} bytes", record.size());
  record.remove_prefix(kEventRecordHead);
  Event event;
  while (!record.empty()) {
    RUNINK_RETURN_IF_ERROR(next_event(record, &event));
    f(event);
  }
  return {};
}

}  // namespace runink::barn
