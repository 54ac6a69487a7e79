// What the store holds for keys that were looked up or written lately, so that a write to a key that is in use need not
// ask the store what was there: with RocksDB that look-up costs as much as the write. Bounded in bytes; whoever was not
// used for longest goes first. One thread; whoever writes to the store says so here.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace runink::barn {

class RowCache {
 public:
  explicit RowCache(size_t bytes_max) : bytes_max_(bytes_max) {}

  // Null: it is not known. Otherwise what is stored; no value: nothing is. Good until the next call.
  const std::optional<std::string>* find(std::string_view key);
  void set(std::string_view key, std::optional<std::string_view> value);

  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    std::optional<std::string> value;
  };
  static constexpr size_t kOverheadBytes = 160;  // of an entry: list, table, two strings
  static size_t cost(const Entry& entry) {
    return kOverheadBytes + entry.key.size() + (entry.value ? entry.value->size() : 0);
  }

  const size_t bytes_max_;
  size_t bytes_ = 0;
  std::list<Entry> entries_;                                                 // the last used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;  // never iterated: its order is nobody's
};

}  // namespace runink::barn
