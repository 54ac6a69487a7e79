#include "control/barn/memory_store.h"

#include <algorithm>

namespace runink::barn {
namespace {

constexpr uint64_t kNewest = UINT64_MAX;

uint8_t table_of(std::string_view key) { return key.empty() ? 0 : static_cast<uint8_t>(key[0]); }

// What a reader sees of this key who sees batches up to `view`; null: nothing.
const MemoryStore::Version* seen(const MemoryStore::Version& newest, uint64_t view) {
  const MemoryStore::Version* version = &newest;
  while (version != nullptr && version->made > view) version = version->older.get();
  return version != nullptr && version->present ? version : nullptr;
}

}  // namespace

class MemoryIterator : public StateIterator {
 public:
  MemoryIterator(const MemoryStore* store, uint64_t view, std::string_view from, std::string_view to)
      : store_(store), view_(view), to_(to), table_(table_of(from)) {
    store_->views_.insert(view_);
    at_ = store_->tables_[table_].lower_bound(from);
    settle();
  }
  ~MemoryIterator() override { store_->release(view_); }

  bool valid() const override { return valid_; }
  void next() override {
    RUNINK_CHECK(valid_);
    ++at_;
    settle();
  }
  std::string_view key() const override { return at_->first; }
  // Looked up again: writing since then may have moved what the view sees to another place.
  std::string_view value() const override { return seen(at_->second, view_)->value; }
  Status status() const override { return {}; }

 private:
  // Goes on to the next key that the view sees.
  void settle() {
    valid_ = false;
    while (true) {
      while (at_ == store_->tables_[table_].end()) {
        if (table_ == 255) return;
        at_ = store_->tables_[++table_].begin();
      }
      if (!to_.empty() && at_->first >= to_) return;
      valid_ = seen(at_->second, view_) != nullptr;
      if (valid_) return;
      ++at_;
    }
  }

  const MemoryStore* store_;
  uint64_t view_;
  std::string to_;
  size_t table_;
  MemoryStore::Table::iterator at_;
  bool valid_ = false;
};

class MemoryView : public StateView {
 public:
  MemoryView(const MemoryStore* store, uint64_t view) : store_(store), view_(view) { store_->views_.insert(view_); }
  ~MemoryView() override { store_->release(view_); }

  Result<bool> get(std::string_view key, std::string* value) const override {
    const auto& table = store_->tables_[table_of(key)];
    const auto at = table.find(key);
    const MemoryStore::Version* version = at == table.end() ? nullptr : seen(at->second, view_);
    if (version != nullptr) *value = version->value;
    return version != nullptr;
  }
  std::unique_ptr<StateIterator> iterate(std::string_view from, std::string_view to) const override {
    return std::make_unique<MemoryIterator>(store_, view_, from, to);
  }

 private:
  const MemoryStore* store_;
  uint64_t view_;
};

MemoryStore::~MemoryStore() { RUNINK_CHECK(views_.empty()); }

Result<bool> MemoryStore::get(std::string_view key, std::string* value) const {
  const Table& table = tables_[table_of(key)];
  const auto at = table.find(key);
  if (at == table.end() || !at->second.present) return false;
  *value = at->second.value;
  return true;
}

std::unique_ptr<StateIterator> MemoryStore::iterate(std::string_view from, std::string_view to) const {
  return std::make_unique<MemoryIterator>(this, batch_, from, to);
}

std::unique_ptr<StateView> MemoryStore::view() const { return std::make_unique<MemoryView>(this, batch_); }

Status MemoryStore::apply(const WriteBatch& batch) {
  ++batch_;
  batch.for_each([&](WriteBatch::Kind kind, std::string_view key, std::string_view value) {
    switch (kind) {
      case WriteBatch::Kind::kPut:
        return set(key, true, value);
      case WriteBatch::Kind::kRemove:
        return set(key, false, {});
      case WriteBatch::Kind::kRemoveRange:
        break;
    }
    for (size_t t = table_of(key); t <= table_of(value); ++t) {
      Table& table = tables_[t];
      for (auto at = table.lower_bound(key); at != table.end() && at->first < value;) {
        const auto next = std::next(at);
        if (at->second.present) set_at(table, at, false, {});
        at = next;
      }
    }
  });
  return {};
}

void MemoryStore::set(std::string_view key, bool present, std::string_view value) {
  Table& table = tables_[table_of(key)];
  auto at = table.lower_bound(key);
  if (at == table.end() || at->first != key) {
    if (!present) return;
    at = table.emplace_hint(at, std::string(key), Version());
  }
  set_at(table, at, present, value);
}

void MemoryStore::set_at(Table& table, Table::iterator at, bool present, std::string_view value) {
  Version& newest = at->second;
  if (newest.present) bytes_ -= at->first.size() + newest.value.size();
  if (present) bytes_ += at->first.size() + value.size();
  // A view sees the present version unless it was made after the youngest view.
  const bool seen_by_view = newest.made != 0 && !views_.empty() && newest.made <= *views_.rbegin();
  if (seen_by_view) {
    auto older = std::make_unique<Version>(std::move(newest));
    newest = Version();
    newest.older = std::move(older);
    stale_.insert(at->first);
  } else if (!present && newest.older == nullptr) {
    table.erase(at);
    return;
  }
  newest.made = batch_;
  newest.present = present;
  newest.value = value;
}

void MemoryStore::release(uint64_t view) const {
  views_.erase(views_.find(view));
  if (!views_.empty()) return;
  for (const std::string& key : stale_) {
    Table& table = tables_[table_of(key)];
    const auto at = table.find(key);
    at->second.older.reset();
    if (!at->second.present) table.erase(at);
  }
  stale_.clear();
}

std::unique_ptr<MemoryStore> MemoryStore::copy() const {
  auto out = std::make_unique<MemoryStore>();
  out->batch_ = 1;
  for (size_t t = 0; t < tables_.size(); ++t) {
    for (const auto& [key, version] : tables_[t]) {
      if (version.present) out->set(key, true, version.value);
    }
  }
  return out;
}

bool MemoryStore::damage(std::string_view key, size_t byte, uint8_t flip) {
  Table& table = tables_[table_of(key)];
  const auto at = table.find(key);
  if (at == table.end() || !at->second.present || byte >= at->second.value.size()) return false;
  at->second.value[byte] = static_cast<char>(at->second.value[byte] ^ flip);
  return true;
}

}  // namespace runink::barn
