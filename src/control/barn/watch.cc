#include "control/barn/watch.h"

#include <algorithm>

#include "base/zoo.h"
#include "control/barn/tables.h"

namespace runink::barn {
namespace {

enum class Shape : uint8_t { kKey, kPrefix, kOther };

Shape shape_of(const KeyRange& range) {
  if (range.to.size() == range.from.size() + 1 && range.to.back() == '\0' && range.to.starts_with(range.from))
    return Shape::kKey;
  return range.to == prefix_range(range.from).to ? Shape::kPrefix : Shape::kOther;
}

}  // namespace

// What one poll puts together.
struct WatchHub::Piece {
  WatchAnswer answer;
  size_t max_bytes;
  size_t scan_bytes;
  size_t bytes = 0, scanned = 0;
  bool full = false;
};

WatchHub::WatchHub(const StateMachine* machine, HubOptions options)
    : machine_(machine), options_(options), ring_after_(machine->position().index), published_(ring_after_) {}

// ---- beginning and ending

Status WatchHub::compacted_error(Index wanted) const {
  return out_of_range("events from index {} on are compacted; the oldest that can be asked for is {}", wanted, oldest())
      .with_kind("barn.watch.compacted")
      .with_hint("read the keys as they are now, and watch from behind the index of that reading");
}

Status WatchHub::check_start(const WatchRequest& request, Index known) const {
  if (request.from == 0) return {};
  const auto lost = [&](std::string_view why) {
    return out_of_range("index {} is not in the past of this cluster: {}", request.from, why)
        .with_kind("barn.watch.lost_future")
        .with_hint("read the keys as they are now, and watch from behind the index of that reading");
  };
  known = std::max(known, published_);
  if (request.from - 1 > known) return lost(fmt::format("the newest it knows of is {}", known));
  if (request.incarnation != 0) {
    const uint64_t now = machine_->incarnation();
    if (request.incarnation > now)
      return lost(fmt::format("it was heard from incarnation {}, and this is {}", request.incarnation, now));
    for (const Beginning& beginning : machine_->beginnings()) {  // the first that the client does not know of
      if (beginning.incarnation <= request.incarnation) continue;
      if (request.from - 1 > beginning.after) {
        return lost(
            fmt::format("incarnation {} began behind index {}, from a backup", beginning.incarnation, beginning.after));
      }
      break;
    }
  }
  if (request.from <= machine_->compacted()) return compacted_error(request.from);
  return {};
}

Result<WatchId> WatchHub::watch(const WatchRequest& request, Index known) {
  if (watches_.size() >= options_.watches_max) {
    return resource_exhausted("there are {} watches already", watches_.size()).with_kind("barn.watch.limit");
  }
  if (!request.range.to.empty() && request.range.to <= request.range.from) {
    return invalid_argument("watch a range that ends before it begins");
  }
  if (request.range.from.size() > kKeyBytesMax || request.range.to.size() > kKeyBytesMax + 1) {
    return invalid_argument("watch a range whose end is longer than a key, which is {} bytes at most", kKeyBytesMax);
  }
  RUNINK_RETURN_IF_ERROR(check_start(request, known));
  const WatchId id = ++last_id_;
  Watch& watch = watches_[id];
  watch.request = request;
  watch.next = request.from == 0 ? published_ + 1 : request.from + (zoo(Zoo::kWatchesBeginLate) ? 1 : 0);
  watch.pending = watch.next <= published_;
  file(id, request.range);
  if (watch.pending) announce(id, watch);
  return id;
}

void WatchHub::cancel(WatchId id) {
  const auto at = watches_.find(id);
  if (at == watches_.end()) return;
  unfile(id, at->second.request.range);
  if (at->second.announced) std::erase(ready_, id);
  watches_.erase(at);
}

void WatchHub::file(WatchId id, const KeyRange& range) {
  switch (shape_of(range)) {
    case Shape::kKey:
      by_key_[range.from].insert(id);
      break;
    case Shape::kPrefix:
      by_prefix_[range.from].insert(id);
      ++prefix_lengths_[range.from.size()];
      break;
    case Shape::kOther:
      by_begin_[range.from].insert(id);
      break;
  }
}

void WatchHub::unfile(WatchId id, const KeyRange& range) {
  const Shape shape = shape_of(range);
  auto& index = shape == Shape::kKey ? by_key_ : shape == Shape::kPrefix ? by_prefix_ : by_begin_;
  const auto at = index.find(range.from);
  at->second.erase(id);
  if (at->second.empty()) index.erase(at);
  if (shape == Shape::kPrefix && --prefix_lengths_[range.from.size()] == 0) prefix_lengths_.erase(range.from.size());
}

// ---- news

void WatchHub::announce(WatchId id, Watch& watch) {
  if (watch.announced) return;
  watch.announced = true;
  ready_.push_back(id);
}

void WatchHub::wake(const Ids& ids, EventKind kind, Index index) {
  for (const WatchId id : ids) {
    Watch& watch = watches_.find(id)->second;
    if (watch.pending || index < watch.next) continue;
    if (!(kind == EventKind::kPut ? watch.request.puts : watch.request.deletes)) continue;
    watch.pending = true;
    watch.next = index;  // nothing before it was for this one
    announce(id, watch);
  }
}

void WatchHub::wake_for(std::string_view key, EventKind kind, Index index) {
  if (const auto at = by_key_.find(key); at != by_key_.end()) wake(at->second, kind, index);
  for (const auto& [length, watched] : prefix_lengths_) {
    if (length > key.size()) break;
    if (const auto at = by_prefix_.find(key.substr(0, length)); at != by_prefix_.end()) wake(at->second, kind, index);
  }
  for (const auto& [begin, ids] : by_begin_) {
    if (begin > key) break;
    for (const WatchId id : ids) {
      if (watches_.find(id)->second.request.range.contains(key)) wake({id}, kind, index);
    }
  }
}

void WatchHub::publish(const Applied& applied) {
  const EventBlock& block = *applied.events;
  published_ = applied.position.index;
  if (watches_.empty()) {
    ring_.clear();
    ring_bytes_ = 0;
    ring_after_ = published_;
    return;
  }
  for (const EventBlock::Record& record : block.records) {
    // The block comes from the machine itself: it is whole.
    const Status status = for_each_event(block.record(record),
                                         [&](const Event& event) { wake_for(event.key, event.kind, record.index); });
    RUNINK_CHECK(status.ok());
  }
  if (block.records.empty()) return;
  ring_.push_back(applied.events);
  ring_bytes_ += block.bytes.size();
  while (ring_bytes_ > options_.ring_bytes && ring_.size() > 1) {
    ring_bytes_ -= ring_.front()->bytes.size();
    ring_after_ = ring_.front()->records.back().index;
    ring_.pop_front();
  }
}

void WatchHub::restart() {
  ring_.clear();
  ring_bytes_ = 0;
  const Index before = published_;
  ring_after_ = published_ = machine_->position().index;
  for (auto& [id, watch] : watches_) {
    if (!watch.pending) watch.next = std::max(watch.next, before + 1);
    watch.pending = watch.next <= published_;
    if (watch.pending) announce(id, watch);
  }
}

std::vector<WatchId> WatchHub::take_ready() {
  std::vector<WatchId> out(ready_.begin(), ready_.end());
  ready_.clear();
  return out;
}

// ---- fetching

Status WatchHub::take_record(const WatchRequest& request, Index index, std::string_view record, Piece& piece) const {
  WatchAnswer::AtIndex change{index, {}};
  size_t bytes = 0;
  RUNINK_RETURN_IF_ERROR(for_each_event(record, [&](const Event& event) {
    if (!(event.kind == EventKind::kPut ? request.puts : request.deletes) || !request.range.contains(event.key)) return;
    WatchEvent& out = change.events.emplace_back();
    out.kind = event.kind;
    out.item.key = event.key;
    if (request.values) out.item.value = event.value;
    out.item.create_index = event.create_index;
    out.item.modify_index = index;
    out.item.version = event.version;
    out.item.lease = event.lease;
    out.item.chunk = event.chunk;
    bytes += sizeof(WatchEvent) + out.item.key.size() + out.item.value.size();
  }));
  if (!change.events.empty() && !piece.answer.changes.empty() && piece.bytes + bytes > piece.max_bytes) {
    piece.full = true;  // it is the next piece's first
    return {};
  }
  piece.scanned += record.size();
  if (!change.events.empty()) {
    piece.bytes += bytes;
    piece.answer.changes.push_back(std::move(change));
  }
  return {};
}

Status WatchHub::read_table(Watch& watch, Piece& piece) {
  if (watch.next <= machine_->compacted()) return compacted_error(watch.next);
  const auto at = machine_->store().iterate(tables::event_key(watch.next), tables::event_key(ring_after_ + 1));
  for (; at->valid(); at->next()) {
    if (piece.scanned >= piece.scan_bytes || piece.bytes >= piece.max_bytes) piece.full = true;
    const Index index = tables::event_index(at->key());
    ++table_reads_;
    if (!piece.full) RUNINK_RETURN_IF_ERROR(take_record(watch.request, index, at->value(), piece));
    if (piece.full) {
      watch.next = index;
      return {};
    }
  }
  RUNINK_RETURN_IF_ERROR(at->status());
  watch.next = ring_after_ + 1;
  return {};
}

Status WatchHub::read_ring(Watch& watch, Piece& piece) const {
  for (const auto& block : ring_) {
    if (block->records.back().index < watch.next) continue;
    auto at = std::lower_bound(block->records.begin(), block->records.end(), watch.next,
                               [](const EventBlock::Record& record, Index index) { return record.index < index; });
    for (; at != block->records.end(); ++at) {
      if (piece.scanned >= piece.scan_bytes || piece.bytes >= piece.max_bytes) piece.full = true;
      if (!piece.full) RUNINK_RETURN_IF_ERROR(take_record(watch.request, at->index, block->record(*at), piece));
      if (piece.full) {
        watch.next = at->index;
        return {};
      }
    }
  }
  watch.next = published_ + 1;
  return {};
}

Result<WatchAnswer> WatchHub::poll(WatchId id, size_t max_bytes) {
  const auto at = watches_.find(id);
  if (at == watches_.end()) return not_found("there is no watch {}", id).with_kind("barn.watch.unknown");
  Watch& watch = at->second;
  if (watch.announced) {
    watch.announced = false;
    std::erase(ready_, id);
  }
  Piece piece{{}, max_bytes, options_.scan_bytes};
  if (watch.pending) {
    Status status;
    if (watch.next <= ring_after_) status = read_table(watch, piece);
    if (status.ok() && !piece.full) status = read_ring(watch, piece);
    if (!status.ok()) {
      cancel(id);
      return status;
    }
    watch.pending = piece.full;
  }
  piece.answer.more = watch.pending;
  piece.answer.through = watch.pending ? watch.next - 1 : std::max(published_, watch.next - 1);
  if (watch.pending) announce(id, watch);
  return std::move(piece.answer);
}

Result<std::optional<Index>> WatchHub::bookmark(WatchId id) const {
  const auto at = watches_.find(id);
  if (at == watches_.end()) return not_found("there is no watch {}", id).with_kind("barn.watch.unknown");
  if (at->second.pending) return std::optional<Index>();
  return std::optional<Index>(std::max(published_, at->second.next - 1));
}

}  // namespace runink::barn
