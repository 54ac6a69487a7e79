// What the accumulators share: rows, the bytes of a spilled state, and states that are plain structs. Internal.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "data/columnar/builder.h"
#include "data/expr/aggregate.h"
#include "data/expr/kernel.h"
#include "data/expr/number.h"

namespace runink::expr {

std::unique_ptr<Accumulator> make_sum(const AggregateSpec& spec);     // sum, avg
std::unique_ptr<Accumulator> make_spread(const AggregateSpec& spec);  // stddev, variance
std::unique_ptr<Accumulator> make_choice(const AggregateSpec& spec);  // min, max, first, last
std::unique_ptr<Accumulator> make_list(const AggregateSpec& spec);
std::unique_ptr<Accumulator> make_quantile(const AggregateSpec& spec);
std::unique_ptr<Accumulator> make_distinct_count(const AggregateSpec& spec);

// --- bytes of states

template <typename T>
void put(std::string& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
template <typename T>
bool take(std::string_view& in, T* value) {
  if (in.size() < sizeof(T)) return false;
  std::memcpy(value, in.data(), sizeof(T));
  in.remove_prefix(sizeof(T));
  return true;
}
inline void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}
inline bool take_text(std::string_view& in, std::string_view* text) {
  uint64_t size = 0;
  if (!take(in, &size) || size > in.size()) return false;
  *text = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}
inline Status broken() { return data_loss("read the state of an aggregate: the bytes are not those of one"); }

// --- rows

template <typename F>
void each_row(int64_t rows, const Column* argument, const uint8_t* skip, F f) {
  const uint8_t* bits = argument != nullptr && argument->validity != nullptr ? argument->validity->data() : nullptr;
  if (argument != nullptr && argument->type.id() == TypeId::kNull) return;
  if (bits == nullptr && skip == nullptr) {
    for (int64_t i = 0; i < rows; ++i) f(i);
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    if (skip != nullptr && skip[i] != 0) continue;
    if (bits != nullptr && !columnar::get_bit(bits, i)) continue;
    f(i);
  }
}

// An accumulator whose state of one group is a plain struct. The derived class has
//   void begin(const Column*)           looks at the argument of the rows that follow
//   void add(State&, int64_t row)
//   void combine(State&, const State&)  the second's rows come later
template <typename Derived, typename State>
class PlainAccumulator : public Accumulator {
 public:
  void resize(size_t groups) override {
    if (groups > states_.size()) states_.resize(groups);
  }
  size_t groups() const override { return states_.size(); }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    Derived& self = static_cast<Derived&>(*this);
    self.begin(argument);
    State* states = states_.data();
    each_row(rows, argument, skip, [&](int64_t i) { self.add(states[group[i]], i); });
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    Derived& self = static_cast<Derived&>(*this);
    self.begin(argument);
    State state = states_[group];
    each_row(rows, argument, skip, [&](int64_t i) { self.add(state, i); });
    states_[group] = state;
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const Derived&>(other).states_;
    for (size_t g = 0; g < theirs.size(); ++g) static_cast<Derived&>(*this).combine(states_[group_of[g]], theirs[g]);
  }
  void write(uint32_t group, std::string& out) const override { put(out, states_[group]); }
  Status read(uint32_t group, std::string_view& in) override {
    State state;
    if (!take(in, &state)) return broken();
    static_cast<Derived&>(*this).combine(states_[group], state);
    return Status();
  }
  size_t memory_bytes() const override { return sizeof(Derived) + states_.capacity() * sizeof(State); }
  void clear() override { std::vector<State>().swap(states_); }

 protected:
  std::vector<State> states_;
};

// --- values

// A number as float64.
template <typename T>
double as_double(const Column& column, int64_t row) {
  if constexpr (std::is_same_v<T, int128>) {
    return decimal_to_double(column.data<int128>()[row], column.type.scale());
  } else {
    return static_cast<double>(column.data<T>()[row]);
  }
}

// The bytes of a value: of a text, or of a fixed-width one.
inline std::string_view bytes_at(const Column& column, int64_t row) {
  if (column.type.is_text()) return column.text(row);
  const auto width = static_cast<size_t>(column.type.width());
  return {reinterpret_cast<const char*>(column.values->data()) + static_cast<size_t>(row) * width, width};
}
inline void append_bytes(columnar::ColumnBuilder& out, std::string_view bytes) {
  if (out.type().is_text()) return out.append_text(bytes);
  switch (bytes.size()) {
    case 1:
      return out.append_fixed(*reinterpret_cast<const uint8_t*>(bytes.data()));
    case 2: {
      uint16_t v;
      std::memcpy(&v, bytes.data(), 2);
      return out.append_fixed(v);
    }
    case 4: {
      uint32_t v;
      std::memcpy(&v, bytes.data(), 4);
      return out.append_fixed(v);
    }
    case 8: {
      uint64_t v;
      std::memcpy(&v, bytes.data(), 8);
      return out.append_fixed(v);
    }
    default: {
      int128 v;
      std::memcpy(&v, bytes.data(), 16);
      return out.append_fixed(v);
    }
  }
}
inline Status no_room(const AggregateSpec& spec) {
  return resource_exhausted("{}: the result of these groups is larger than 2 GiB of text", spec.text);
}

}  // namespace runink::expr
