// Writes that are not in the store yet, over the store: what one batch of entries sees of its own changes. Changes
// since a mark can be taken back. One thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/barn/store.h"

namespace runink::barn {

class Overlay : public StateReader {
 public:
  explicit Overlay(const StateStore* store) : store_(store) {}

  Result<bool> get(std::string_view key, std::string* value) const override;
  // Must be gone before the overlay is changed.
  std::unique_ptr<StateIterator> iterate(std::string_view from, std::string_view to) const override;

  void put(std::string_view key, std::string_view value);
  void remove(std::string_view key);

  void mark();      // begins to remember
  void release();   // keeps what was done since
  void rollback();  // takes it back

  bool empty() const { return slots_.empty(); }
  size_t bytes() const { return bytes_; }
  void flush(WriteBatch& batch);  // in key order; the overlay is then empty

  struct Slot {
    bool present = false;
    std::string value;
  };
  using Slots = std::map<std::string, Slot, std::less<>>;

 private:
  void set(std::string_view key, bool present, std::string_view value);
  struct Undo {
    std::string key;
    bool existed;  // in slots_
    Slot slot;
  };
  const StateStore* store_;
  Slots slots_;
  size_t bytes_ = 0;
  bool remembering_ = false;
  std::vector<Undo> undo_;
};

}  // namespace runink::barn
