// Writes that are not in the store yet, over the store: what one batch of entries sees of its own changes. Changes
// since a mark can be taken back. One thread.
#pragma once

#include <map>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

#include "control/barn/row_cache.h"
#include "control/barn/store.h"

namespace runink::barn {

class Overlay : public StateReader {
 public:
  explicit Overlay(const StateStore* store, size_t cache_bytes = 0)
      : store_(store), cache_(cache_bytes), first_piece_(new char[kPieceBytes]), memory_(first_piece_.get(), kPieceBytes) {}

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
  // In key order; the overlay is then empty. The batch has to get into the store before anything is asked again.
  void flush(WriteBatch& batch);

  struct Slot {
    using allocator_type = std::pmr::polymorphic_allocator<>;
    explicit Slot(allocator_type a) : value(a) {}
    bool present = false;
    std::pmr::string value;
  };
  using Slots = std::pmr::map<std::pmr::string, Slot, std::less<>>;

 private:
  static constexpr size_t kPieceBytes = 256 << 10;
  void set(std::string_view key, bool present, std::string_view value);
  struct Undo {
    std::string key;
    bool existed;  // in slots_, like this
    bool present;
    std::string value;
  };
  const StateStore* store_;
  mutable RowCache cache_;  // of what the store holds
  // All slots of a batch come from one piece of memory that is given back whole by flush().
  std::unique_ptr<char[]> first_piece_;
  std::pmr::monotonic_buffer_resource memory_;
  Slots slots_{&memory_};
  size_t bytes_ = 0;
  bool remembering_ = false;
  std::vector<Undo> undo_;
};

}  // namespace runink::barn
