// distinct_count: one table for all groups.
#include <algorithm>
#include <cmath>

#include "data/columnar/row_key.h"
#include "data/expr/accumulators.h"

namespace runink::expr {

namespace {

// One open-addressing table for all groups: (group, bytes of the value). Up to 8 bytes are kept in the entry.
class DistinctCount : public Accumulator, public ValueKeeper {
 public:
  explicit DistinctCount(const AggregateSpec& spec) : float_id_(spec.argument.type().id()) {}
  void resize(size_t groups) override {
    if (groups > counts_.size()) counts_.resize(groups);
  }
  size_t groups() const override { return counts_.size(); }
  const ValueKeeper* values() const override { return this; }
  bool copy_values(uint32_t group, size_t* at, int64_t rows_max, size_t bytes_max,
                   columnar::ColumnBuilder& out) const override {
    index_groups();
    const size_t begin = group_begin_[group], end = group_begin_[group + 1];
    for (size_t bytes = 0; begin + *at < end; ++*at) {
      if (out.length() >= rows_max || bytes >= bytes_max) return true;
      const std::string_view value = bytes_of(entries_[by_group_[begin + *at]]);
      bytes += value.size();
      append_bytes(out, value);
    }
    return false;
  }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { later(group[i], *argument, i); });
    insert_pending();
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { later(group, *argument, i); });
    insert_pending();
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const DistinctCount&>(other);
    for (const Entry& e : theirs.entries_) insert(group_of[e.group], theirs.bytes_of(e));
  }
  Result<Column> finish(size_t first, size_t count) override {
    Column out = columnar::make_fixed_column(TypeId::kInt64, static_cast<int64_t>(count));
    std::copy_n(counts_.begin() + static_cast<std::ptrdiff_t>(first), count, out.mutable_data<int64_t>());
    return out;
  }
  void write(uint32_t group, std::string& out) const override {
    index_groups();
    const size_t begin = group_begin_[group], end = group_begin_[group + 1];
    put(out, static_cast<uint64_t>(end - begin));
    for (size_t i = begin; i < end; ++i) put_text(out, bytes_of(entries_[by_group_[i]]));
  }
  Status read(uint32_t group, std::string_view& in) override {
    uint64_t count = 0;
    if (!take(in, &count)) return broken();
    for (uint64_t i = 0; i < count; ++i) {
      std::string_view bytes;
      if (!take_text(in, &bytes)) return broken();
      insert(group, bytes);
    }
    return Status();
  }
  size_t memory_bytes() const override {
    return sizeof(*this) + counts_.capacity() * sizeof(int64_t) + entries_.capacity() * sizeof(Entry) +
           slots_.capacity() * sizeof(uint32_t) + arena_.capacity() + by_group_.capacity() * sizeof(uint32_t) +
           group_begin_.capacity() * sizeof(size_t);
  }
  void clear() override {
    std::vector<int64_t>().swap(counts_);
    std::vector<Entry>().swap(entries_);
    std::vector<uint32_t>().swap(slots_);
    std::string().swap(arena_);
    std::vector<uint32_t>().swap(by_group_);
    std::vector<size_t>().swap(group_begin_);
  }

 private:
  struct Entry {
    uint64_t hash;
    uint64_t place;  // the bytes themselves, or where they begin in the arena
    uint32_t length;
    uint32_t group;
  };
  static constexpr uint32_t kEmpty = UINT32_MAX;
  static constexpr size_t kPending = 32;

  std::string_view bytes_of(const Entry& e) const {
    if (e.length <= 8) return {reinterpret_cast<const char*>(&e.place), e.length};
    return std::string_view(arena_).substr(e.place, e.length);
  }
  // The bytes that stand for a value: -0 is 0 and every NaN is the same, as for group keys.
  std::string_view key_at(const Column& column, int64_t row, uint64_t* room) const {
    if (float_id_ == TypeId::kFloat64) {
      double v = column.data<double>()[row];
      if (v == 0) v = 0;
      if (std::isnan(v)) v = std::nan("");
      std::memcpy(room, &v, sizeof(v));
      return {reinterpret_cast<const char*>(room), sizeof(v)};
    }
    if (float_id_ == TypeId::kFloat32) {
      float v = column.data<float>()[row];
      if (v == 0) v = 0;
      if (std::isnan(v)) v = std::nanf("");
      std::memcpy(room, &v, sizeof(v));
      return {reinterpret_cast<const char*>(room), sizeof(v)};
    }
    return bytes_at(column, row);
  }
  // Some rows wait while their places in the table are fetched: the table is larger than any cache.
  struct Pending {
    uint64_t hash;
    uint64_t room;  // a float's bytes
    std::string_view bytes;
    uint32_t group;
  };
  void later(uint32_t group, const Column& column, int64_t row) {
    Pending& p = pending_[pending_count_++];
    p.group = group;
    p.bytes = key_at(column, row, &p.room);
    p.hash = hash_of(group, p.bytes);
    if (!slots_.empty()) __builtin_prefetch(&slots_[p.hash & (slots_.size() - 1)]);
    if (pending_count_ == kPending) insert_pending();
  }
  void insert_pending() {
    for (size_t i = 0; i < pending_count_ && !slots_.empty(); ++i) {
      const uint32_t entry = slots_[pending_[i].hash & (slots_.size() - 1)];
      if (entry != kEmpty) __builtin_prefetch(&entries_[entry]);
    }
    for (size_t i = 0; i < pending_count_; ++i) insert(pending_[i].group, pending_[i].bytes, pending_[i].hash);
    pending_count_ = 0;
  }
  static uint64_t hash_of(uint32_t group, std::string_view bytes) {
    uint64_t h = 0;
    if (bytes.size() <= 8) {
      std::memcpy(&h, bytes.data(), bytes.size());
      h += bytes.size() * 0x9E3779B97F4A7C15ULL;
    } else {
      h = columnar::hash_bytes(bytes);
    }
    h = (h ^ (static_cast<uint64_t>(group) * 0xD6E8FEB86659FD93ULL)) * 0x9E3779B97F4A7C15ULL;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93ULL;
    return h ^ (h >> 29);
  }
  void insert(uint32_t group, std::string_view bytes) { insert(group, bytes, hash_of(group, bytes)); }
  void insert(uint32_t group, std::string_view bytes, uint64_t hash) {
    if (entries_.size() * 2 >= slots_.size()) grow();
    const size_t mask = slots_.size() - 1;
    size_t slot = hash & mask;
    while (slots_[slot] != kEmpty) {
      const Entry& e = entries_[slots_[slot]];
      if (e.hash == hash && e.group == group && bytes_of(e) == bytes) return;
      slot = (slot + 1) & mask;
    }
    Entry e{hash, 0, static_cast<uint32_t>(bytes.size()), group};
    if (bytes.size() <= 8) {
      std::memcpy(&e.place, bytes.data(), bytes.size());
    } else {
      e.place = arena_.size();
      arena_ += bytes;
    }
    slots_[slot] = static_cast<uint32_t>(entries_.size());
    RUNINK_CHECK(entries_.size() < kEmpty);
    entries_.push_back(e);
    ++counts_[group];
    by_group_.clear();
  }
  void grow() {
    const size_t size = slots_.empty() ? 64 : slots_.size() * 2;
    slots_.assign(size, kEmpty);
    for (size_t i = 0; i < entries_.size(); ++i) {
      size_t slot = entries_[i].hash & (size - 1);
      while (slots_[slot] != kEmpty) slot = (slot + 1) & (size - 1);
      slots_[slot] = static_cast<uint32_t>(i);
    }
  }
  // Entries by group, for writing; made again after a change.
  void index_groups() const {
    if (by_group_.size() == entries_.size() && group_begin_.size() == counts_.size() + 1) return;
    group_begin_.assign(counts_.size() + 1, 0);
    for (size_t g = 0; g < counts_.size(); ++g) group_begin_[g + 1] = group_begin_[g] + static_cast<size_t>(counts_[g]);
    by_group_.resize(entries_.size());
    std::vector<size_t> next(group_begin_.begin(), group_begin_.end() - 1);
    for (size_t i = 0; i < entries_.size(); ++i) by_group_[next[entries_[i].group]++] = static_cast<uint32_t>(i);
  }

  TypeId float_id_;
  std::vector<int64_t> counts_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;
  std::string arena_;
  Pending pending_[kPending];
  size_t pending_count_ = 0;
  mutable std::vector<uint32_t> by_group_;
  mutable std::vector<size_t> group_begin_;
};

}  // namespace

std::unique_ptr<Accumulator> make_distinct_count(const AggregateSpec& spec) {
  return std::make_unique<DistinctCount>(spec);
}

}  // namespace runink::expr
