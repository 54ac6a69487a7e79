// What makers of values are made of, for the synth_*.cc that make them.
#pragma once

#include "client/local/synth_values.h"

namespace runink::local {

// append_all by append, with no virtual call for each value.
template <class Maker>
class MakerOf : public ValueMaker {
 public:
  void append_all(SynthDraw& draw, std::span<const uint64_t> whos, double nulls,
                  columnar::ColumnBuilder& out) const final {
    const auto& self = static_cast<const Maker&>(*this);
    for (const uint64_t who : whos) {
      draw.who = who;
      if (nulls > 0 && draw.random.chance(nulls))
        out.append_null();
      else
        self.Maker::append(draw, out);
    }
  }
};

// The index of another value, one to one: neighbours in order are far from each other.
class Scatter {
 public:
  explicit Scatter(uint64_t capacity);
  uint64_t operator()(uint64_t index) const {
    if (capacity_ <= UINT32_MAX) return index * step_ % capacity_;
    return static_cast<uint64_t>(static_cast<unsigned __int128>(index) * step_ % capacity_);
  }

 private:
  uint64_t capacity_, step_;
};

ValueMakerPtr int_maker(const contract::ContractField& field, const MakerOptions& options);
ValueMakerPtr decimal_maker(const contract::ContractField& field, const MakerOptions& options);
ValueMakerPtr float_maker(const contract::ContractField& field);
// Dates, times, timestamps, durations.
Result<ValueMakerPtr> time_maker(const contract::ContractField& field, const MakerOptions& options);
Result<ValueMakerPtr> text_maker(const contract::ContractField& field, const MakerOptions& options);
ValueMakerPtr json_maker(const contract::ContractField& field);
ValueMakerPtr bytes_maker(const contract::ContractField& field);
ValueMakerPtr uuid_maker();
// Draws from given values; those that stand first are the likelier ones where `skewed`.
ValueMakerPtr drawing_maker(const columnar::DataType& type, const std::vector<columnar::Value>& values, bool skewed);

// The whole number that a bound of an integer or of a time is.
int64_t whole_number(const columnar::Value& value);

}  // namespace runink::local
