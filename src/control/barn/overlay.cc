#include "control/barn/overlay.h"

#include <tuple>

#include "base/check.h"

namespace runink::barn {
namespace {

// Both in key order; where both have a key, the overlay's counts.
class Merged : public StateIterator {
 public:
  Merged(Overlay::Slots::const_iterator begin, Overlay::Slots::const_iterator end, std::unique_ptr<StateIterator> below)
      : slot_(begin), end_(end), below_(std::move(below)) {
    settle();
  }

  bool valid() const override { return from_slot_ || from_below_; }
  void next() override {
    RUNINK_CHECK(valid());
    if (from_slot_) ++slot_;
    if (from_below_) below_->next();
    settle();
  }
  std::string_view key() const override { return from_slot_ ? std::string_view(slot_->first) : below_->key(); }
  std::string_view value() const override {
    return from_slot_ ? std::string_view(slot_->second.value) : below_->value();
  }
  Status status() const override { return below_->status(); }

 private:
  void settle() {
    while (true) {
      // An error below ends everything: what comes next is not known.
      if (!below_->valid() && !below_->status().ok()) {
        from_slot_ = from_below_ = false;
        return;
      }
      const bool below = below_->valid();
      if (slot_ == end_ || (below && below_->key() < slot_->first)) {
        from_slot_ = false;
        from_below_ = below;
        return;
      }
      const bool hides = below && below_->key() == slot_->first;
      if (slot_->second.present) {
        from_slot_ = true;
        from_below_ = hides;  // both move on
        return;
      }
      if (hides) below_->next();
      ++slot_;
    }
  }

  Overlay::Slots::const_iterator slot_, end_;
  std::unique_ptr<StateIterator> below_;
  bool from_slot_ = false, from_below_ = false;
};

}  // namespace

Result<bool> Overlay::get(std::string_view key, std::string* value) const {
  const auto at = slots_.find(key);
  if (at == slots_.end()) {
    if (const auto* known = cache_.find(key)) {
      if (*known) *value = **known;
      return known->has_value();
    }
    const bool there = RUNINK_TRY(store_->get(key, value));
    cache_.set(key, there ? std::optional<std::string_view>(*value) : std::nullopt);
    return there;
  }
  if (at->second.present) *value = at->second.value;
  return at->second.present;
}

std::unique_ptr<StateIterator> Overlay::iterate(std::string_view from, std::string_view to) const {
  auto below = store_->iterate(from, to);
  if (slots_.empty()) return below;
  const auto begin = slots_.lower_bound(from);
  auto end = slots_.end();
  if (!to.empty()) end = to <= from ? begin : slots_.lower_bound(to);
  return std::make_unique<Merged>(begin, end, std::move(below));
}

void Overlay::put(std::string_view key, std::string_view value) { set(key, true, value); }
void Overlay::remove(std::string_view key) { set(key, false, {}); }

void Overlay::set(std::string_view key, bool present, std::string_view value) {
  auto at = slots_.lower_bound(key);
  const bool existed = at != slots_.end() && at->first == key;
  if (remembering_) {
    Undo& undo = undo_.emplace_back(Undo{std::string(key), existed, false, {}});
    if (existed) {
      undo.present = at->second.present;
      undo.value = at->second.value;
    }
  }
  if (!existed) {
    at = slots_.emplace_hint(at, std::piecewise_construct, std::forward_as_tuple(key), std::forward_as_tuple());
    bytes_ += key.size();
  }
  bytes_ += value.size();
  bytes_ -= at->second.value.size();
  at->second.present = present;
  at->second.value = value;
}

void Overlay::mark() {
  RUNINK_CHECK(!remembering_);
  remembering_ = true;
}

void Overlay::release() {
  remembering_ = false;
  undo_.clear();
}

void Overlay::rollback() {
  remembering_ = false;
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
    const auto at = slots_.find(std::string_view(undo->key));
    bytes_ -= at->second.value.size();
    if (undo->existed) {
      bytes_ += undo->value.size();
      at->second.present = undo->present;
      at->second.value = undo->value;
    } else {
      bytes_ -= at->first.size();
      slots_.erase(at);
    }
  }
  undo_.clear();
}

void Overlay::flush(WriteBatch& batch) {
  RUNINK_CHECK(!remembering_);
  for (const auto& [key, slot] : slots_) {
    if (slot.present) {
      batch.put(key, slot.value);
      cache_.set(key, slot.value);
    } else {
      batch.remove(key);
      cache_.set(key, std::nullopt);
    }
  }
  slots_.clear();
  memory_.release();
  bytes_ = 0;
}

}  // namespace runink::barn
