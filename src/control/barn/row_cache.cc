#include "control/barn/row_cache.h"

#include <xxhash.h>

namespace runink::barn {

namespace {

uint64_t hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }
uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

}  // namespace

size_t RowCache::look_up(std::string_view key, uint64_t hash) const {
  const size_t mask = table_.size() - 1;
  size_t slot = slot_of(hash);
  while (table_[slot].entry != kNone) {
    if (table_[slot].tag == tag_of(hash) && entries_[table_[slot].entry].key == key) break;
    slot = (slot + 1) & mask;
  }
  return slot;
}

const std::optional<std::string>* RowCache::find(std::string_view key) {
  const Number number = table_[look_up(key, hash_of(key))].entry;
  if (number == kNone) return nullptr;
  use(number);
  return &entries_[number].value;
}

void RowCache::set(std::string_view key, std::optional<std::string_view> value) {
  // One large row shall not drive out thousands of small ones.
  const bool large = value && value->size() > bytes_max_ / 64;
  const uint64_t hash = hash_of(key);
  const size_t slot = look_up(key, hash);
  if (table_[slot].entry == kNone) {
    if (!large) insert(key, hash, value);
  } else if (large) {
    erase(slot);
  } else {
    Entry& entry = entries_[table_[slot].entry];
    bytes_ -= cost(entry);
    if (!value) {
      entry.value.reset();
    } else if (entry.value) {
      entry.value->assign(*value);  // keeps its memory
    } else {
      entry.value.emplace(*value);
    }
    bytes_ += cost(entry);
    use(table_[slot].entry);
  }
  while (bytes_ > bytes_max_ && oldest_ != kNone) erase(look_up(entries_[oldest_].key, entries_[oldest_].hash));
}

void RowCache::insert(std::string_view key, uint64_t hash, std::optional<std::string_view> value) {
  const size_t live = entries_.size() - free_.size();
  if ((live + 1) * 2 > table_.size()) grow();
  Number number = static_cast<Number>(entries_.size());
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  Entry& entry = entries_[number];
  entry.key.assign(key);
  entry.hash = hash;
  entry.value.reset();
  if (value) entry.value.emplace(*value);
  bytes_ += cost(entry);
  table_[look_up(key, hash)] = {tag_of(hash), number};
  use(number);
}

void RowCache::erase(size_t slot) {
  const Number number = table_[slot].entry;
  unlink(number);
  bytes_ -= cost(entries_[number]);
  entries_[number] = Entry();
  free_.push_back(number);
  // Whoever was pushed on by it, or by those after it, moves back: no look-up may meet a gap before its key.
  const size_t mask = table_.size() - 1;
  size_t gap = slot;
  for (size_t at = (slot + 1) & mask; table_[at].entry != kNone; at = (at + 1) & mask) {
    const size_t home = slot_of(entries_[table_[at].entry].hash);
    if (((at - home) & mask) < ((at - gap) & mask)) continue;  // it stands between its home and the gap
    table_[gap] = table_[at];
    gap = at;
  }
  table_[gap] = Slot();
}

void RowCache::grow() {
  std::vector<Slot> old = std::move(table_);
  table_.assign(old.size() * 2, Slot());
  const size_t mask = table_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.entry == kNone) continue;
    size_t at = slot_of(entries_[slot.entry].hash);
    while (table_[at].entry != kNone) at = (at + 1) & mask;
    table_[at] = slot;
  }
}

void RowCache::use(Number number) {
  if (newest_ == number) return;
  Entry& entry = entries_[number];
  unlink(number);
  entry.older = newest_;
  if (newest_ != kNone) entries_[newest_].newer = number;
  newest_ = number;
  if (oldest_ == kNone) oldest_ = number;
}

void RowCache::unlink(Number number) {
  Entry& entry = entries_[number];
  if (entry.newer != kNone) entries_[entry.newer].older = entry.older;
  if (entry.older != kNone) entries_[entry.older].newer = entry.newer;
  if (newest_ == number) newest_ = entry.older;
  if (oldest_ == number) oldest_ = entry.newer;
  entry.newer = entry.older = kNone;
}

}  // namespace runink::barn
