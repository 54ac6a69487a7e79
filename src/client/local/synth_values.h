// Makers of values: one per field, from its type, rules and name.
//
// A maker knows how to make any number of likely values, and, for fields that must not repeat, value number n of many
// different ones. Values satisfy the field's own rules wherever that can be arranged; whoever needs certainty checks
// them. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/local/synth_random.h"
#include "data/columnar/builder.h"
#include "data/contract/contract.h"

namespace runink::local {

// What a maker draws from. One per column and block of records.
struct SynthDraw {
  SynthRandom random;  // the column's own
  // The record's own number: what belongs together in a record (a person's name and e-mail address, when it was ordered
  // and when shipped) follows from it.
  uint64_t who = 0;
  std::string text;  // memory that makers of text use again
};

class ValueMaker {
 public:
  virtual ~ValueMaker() = default;
  virtual void append(SynthDraw& draw, columnar::ColumnBuilder& out) const = 0;
  // A value for each record, null with this share.
  virtual void append_all(SynthDraw& draw, std::span<const uint64_t> whos, double nulls,
                          columnar::ColumnBuilder& out) const = 0;
  // How many different values append_at can make; 0: it cannot.
  virtual uint64_t capacity() const { return 0; }
  // Value number `index`, below capacity(); different for different numbers. Null where this number has none.
  virtual void append_at(uint64_t index, SynthDraw& draw, columnar::ColumnBuilder& out) const {}
};
using ValueMakerPtr = std::unique_ptr<const ValueMaker>;

struct MakerOptions {
  int64_t now_micros = 0;  // dates and times lie in the two years before it
  uint64_t different = 0;  // how many values will be asked of append_at; 0: the field may repeat
  std::string about;       // what the records are, "Airport": its "name" is no person's
};

// kInvalidArgument where no value can be made (a pattern that is not understood).
Result<ValueMakerPtr> make_value_maker(const contract::ContractField& field, const MakerOptions& options);

// Whether a value keeps the rules of its field: range, length, pattern, one_of.
class FieldJudge {
 public:
  static Result<FieldJudge> make(const contract::ContractField& field);
  ~FieldJudge();
  FieldJudge(FieldJudge&&) noexcept;
  FieldJudge& operator=(FieldJudge&&) noexcept;
  bool accepts(const columnar::Value& value) const;

 private:
  struct Impl;
  explicit FieldJudge(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace runink::local
