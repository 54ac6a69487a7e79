// The in-memory twin of the state store: deterministic, for tests, the simulator and measurements. One thread.
//
// Views cost nothing when made; while one lives, writes keep what it still sees.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/barn/store.h"

namespace runink::barn {

class MemoryStore : public StateStore {
 public:
  MemoryStore() = default;
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;
  ~MemoryStore() override;  // no view and no iterator may be left

  Result<bool> get(std::string_view key, std::string* value) const override;
  std::unique_ptr<StateIterator> iterate(std::string_view from, std::string_view to) const override;
  std::unique_ptr<StateView> view() const override;
  Status apply(const WriteBatch& batch) override;
  uint64_t approximate_bytes() const override { return bytes_; }

  // A deep copy of the present state: what a snapshot of this replica would carry.
  std::unique_ptr<MemoryStore> copy() const;
  // For tests: changes a stored value behind everybody's back, as a bad disk does. False if there is no such key.
  bool damage(std::string_view key, size_t byte, uint8_t flip);

  struct Version {
    uint64_t made = 0;  // by the batch with this number
    bool present = false;
    std::string value;
    std::unique_ptr<Version> older;  // only where some view still sees it
  };
  using Table = std::map<std::string, Version, std::less<>>;

 private:
  friend class MemoryIterator;
  friend class MemoryView;

  void set(std::string_view key, bool present, std::string_view value);
  void set_at(Table& table, Table::iterator at, bool present, std::string_view value);
  void release(uint64_t view) const;

  // One tree for each first byte: keys of one table do not make looking up those of another slower.
  mutable std::array<Table, 256> tables_;
  uint64_t batch_ = 0;
  uint64_t bytes_ = 0;
  mutable std::multiset<uint64_t> views_;             // batch numbers that living views see
  mutable std::set<std::string, std::less<>> stale_;  // keys with older versions, or gone but for a view
};

}  // namespace runink::barn
