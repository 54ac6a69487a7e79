// What the store holds for keys that were looked up or written lately, so that a write to a key that is in use need not
// ask the store what was there: with RocksDB that look-up costs as much as the write. Bounded in bytes; whoever was not
// used for longest goes first. One thread; whoever writes to the store says so here.
//
// Every put looks here twice, so the index is one flat table with open addressing (linear probing, at most half full,
// deletion by shifting back): a look-up touches one line of it, and one entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runink::barn {

class RowCache {
 public:
  explicit RowCache(size_t bytes_max) : bytes_max_(bytes_max) {}

  // Null: it is not known. Otherwise what is stored; no value: nothing is. Good until the next call.
  const std::optional<std::string>* find(std::string_view key);
  void set(std::string_view key, std::optional<std::string_view> value);

  size_t bytes() const { return bytes_; }

 private:
  using Number = uint32_t;  // of an entry
  static constexpr Number kNone = UINT32_MAX;
  struct Entry {
    std::string key;
    std::optional<std::string> value;
    uint64_t hash = 0;
    Number newer = kNone, older = kNone;  // by use
  };
  struct Slot {
    uint32_t tag = 0;  // the high half of the hash
    Number entry = kNone;
  };
  static constexpr size_t kOverheadBytes = 160;  // of an entry: itself, its slots, two strings' allocations
  static size_t cost(const Entry& entry) {
    return kOverheadBytes + entry.key.size() + (entry.value ? entry.value->size() : 0);
  }

  size_t slot_of(uint64_t hash) const { return hash & (table_.size() - 1); }
  // The slot of the key, or the empty one where it would stand.
  size_t look_up(std::string_view key, uint64_t hash) const;
  void use(Number number);  // it is the newest
  void unlink(Number number);
  void insert(std::string_view key, uint64_t hash, std::optional<std::string_view> value);
  void erase(size_t slot);
  void grow();

  const size_t bytes_max_;
  size_t bytes_ = 0;
  std::vector<Slot> table_ = std::vector<Slot>(64);  // a power of two
  std::vector<Entry> entries_;
  std::vector<Number> free_;
  Number newest_ = kNone, oldest_ = kNone;
};

}  // namespace runink::barn
