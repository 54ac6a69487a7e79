#include "control/barn/row_cache.h"

namespace runink::barn {

const std::optional<std::string>* RowCache::find(std::string_view key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &found->second->value;
}

void RowCache::set(std::string_view key, std::optional<std::string_view> value) {
  // One large row shall not drive out thousands of small ones.
  const bool large = value && value->size() > bytes_max_ / 64;
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    Entry& entry = *found->second;
    bytes_ -= cost(entry);
    if (large) {
      const auto at = found->second;
      by_key_.erase(found);
      entries_.erase(at);
      return;
    }
    if (!value) {
      entry.value.reset();
    } else if (entry.value) {
      entry.value->assign(*value);  // keeps its memory
    } else {
      entry.value.emplace(*value);
    }
    bytes_ += cost(entry);
    entries_.splice(entries_.begin(), entries_, found->second);
  } else {
    if (large) return;
    entries_.push_front({std::string(key), value ? std::optional<std::string>(*value) : std::nullopt});
    bytes_ += cost(entries_.front());
    by_key_.emplace(entries_.front().key, entries_.begin());
  }
  while (bytes_ > bytes_max_ && !entries_.empty()) {
    bytes_ -= cost(entries_.back());
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace runink::barn
