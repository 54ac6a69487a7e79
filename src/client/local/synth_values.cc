#include "client/local/synth_values.h"

#include <algorithm>
#include <numeric>

#include "client/local/synth_makers.h"
#include "data/columnar/value.h"
#include "data/expr/rules.h"

namespace runink::local {

Scatter::Scatter(uint64_t capacity) : capacity_(std::max<uint64_t>(capacity, 1)), step_(1) {
  if (capacity_ < 3) return;
  // A step near the golden ratio of the capacity that shares no divisor with it.
  step_ = static_cast<uint64_t>(static_cast<long double>(capacity_) * 0.6180339887498949L);
  while (step_ < 1 || std::gcd(step_, capacity_) != 1) ++step_;
}

namespace {

using columnar::ColumnBuilder;
using columnar::DataType;
using columnar::TypeId;
using columnar::Value;
using contract::ContractField;

constexpr double kNullMembers = 0.05;
constexpr uint64_t kLongestList = 10'000;  // elements; a longer one is not made

class BoolMaker final : public MakerOf<BoolMaker> {
 public:
  void append(SynthDraw& draw, ColumnBuilder& out) const override { out.append_bool((draw.random.next() >> 63) == 1); }
  uint64_t capacity() const override { return 2; }
  void append_at(uint64_t index, SynthDraw&, ColumnBuilder& out) const override { out.append_bool(index == 1); }
};

class DrawingMaker final : public MakerOf<DrawingMaker> {
 public:
  DrawingMaker(const DataType& type, const std::vector<Value>& values, bool skewed)
      : values_(columnar::make_column(type, values)), text_(type.is_text()), skewed_(skewed) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    double at = draw.random.unit();
    if (skewed_) at *= at;
    put(static_cast<int64_t>(at * static_cast<double>(values_.length)), out);
  }
  uint64_t capacity() const override { return static_cast<uint64_t>(values_.length); }
  void append_at(uint64_t index, SynthDraw&, ColumnBuilder& out) const override {
    put(static_cast<int64_t>(index), out);
  }

 private:
  void put(int64_t row, ColumnBuilder& out) const {
    if (text_)
      out.append_text(values_.text(row));
    else
      out.append_from(values_, row);
  }
  columnar::Column values_;
  bool text_, skewed_;
};

class StructMaker final : public MakerOf<StructMaker> {
 public:
  struct Member {
    ValueMakerPtr maker;
    bool nullable;
  };
  explicit StructMaker(std::vector<Member> members) : members_(std::move(members)) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].nullable && draw.random.chance(kNullMembers))
        out.child(i).append_null();
      else
        members_[i].maker->append(draw, out.child(i));
    }
    out.close_struct();
  }

 private:
  std::vector<Member> members_;
};

class ListMaker final : public MakerOf<ListMaker> {
 public:
  ListMaker(ValueMakerPtr element, uint64_t length_min, uint64_t length_max)
      : element_(std::move(element)),
        min_(std::min(length_min, kLongestList)),
        max_(std::max(min_, std::min(length_max, min_ + 3))) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    for (uint64_t i = 0, n = min_ + draw.random.below(max_ - min_ + 1); i < n; ++i) {
      draw.who = SynthRandom::mix(draw.who + i);  // each element is about somebody else
      element_->append(draw, out.child());
    }
    out.close_list();
  }

 private:
  ValueMakerPtr element_;
  uint64_t min_, max_;
};

// The elements of a list by their type alone.
ContractField element_of(const ContractField& list) {
  ContractField out;
  out.name = list.name;
  out.type = list.type.element();
  out.format = list.format;
  out.zone = list.zone;
  out.elements = list.elements;
  out.required = true;
  return out;
}

std::vector<Value> labels_of(const DataType& type) {
  std::vector<Value> values;
  for (size_t i = 0; i < type.labels().size(); ++i) values.emplace_back(static_cast<int64_t>(i));
  return values;
}

Result<ValueMakerPtr> struct_maker(const ContractField& field, const MakerOptions& options) {
  std::vector<StructMaker::Member> members;
  for (size_t i = 0; i < field.type.fields().size(); ++i) {
    ContractField member;
    if (i < field.elements.size()) {
      member = field.elements[i];
    } else {
      member.name = field.type.fields()[i].name;
      member.type = field.type.fields()[i].type;
    }
    members.push_back(
        {RUNINK_TRY(make_value_maker(member, {options.now_micros, 0, options.about})), member.nullable()});
  }
  return ValueMakerPtr(std::make_unique<StructMaker>(std::move(members)));
}

}  // namespace

ValueMakerPtr drawing_maker(const DataType& type, const std::vector<Value>& values, bool skewed) {
  return std::make_unique<DrawingMaker>(type, values, skewed);
}

Result<ValueMakerPtr> make_value_maker(const ContractField& field, const MakerOptions& options) {
  if (!field.one_of.empty()) return drawing_maker(field.type, field.one_of, true);
  switch (field.type.id()) {
    case TypeId::kBool:
      return ValueMakerPtr(std::make_unique<BoolMaker>());
    case TypeId::kFloat32:
    case TypeId::kFloat64:
      return float_maker(field);
    case TypeId::kDecimal:
      return decimal_maker(field, options);
    case TypeId::kString:
      return text_maker(field, options);
    case TypeId::kBytes:
      return bytes_maker(field);
    case TypeId::kJson:
      return json_maker(field);
    case TypeId::kUuid:
      return uuid_maker();
    case TypeId::kDate:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
      return time_maker(field, options);
    case TypeId::kEnum:
      return drawing_maker(field.type, labels_of(field.type), true);
    case TypeId::kList:
      return ValueMakerPtr(std::make_unique<ListMaker>(
          RUNINK_TRY(make_value_maker(element_of(field), {options.now_micros, 0, options.about})),
          field.length_min.value_or(0), field.length_max.value_or(UINT64_MAX)));
    case TypeId::kStruct:
      return struct_maker(field, options);
    default:
      if (field.type.is_integer()) return int_maker(field, options);
      return invalid_argument("cannot make values of type {} (field {})", field.type.to_string(), field.name);
  }
}

// ---- rules of one value
// ------------------------------------------------------------------------------------------------

struct FieldJudge::Impl {
  DataType type;
  std::vector<expr::RulePtr> rules;
};
FieldJudge::FieldJudge(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FieldJudge::~FieldJudge() = default;
FieldJudge::FieldJudge(FieldJudge&&) noexcept = default;
FieldJudge& FieldJudge::operator=(FieldJudge&&) noexcept = default;

Result<FieldJudge> FieldJudge::make(const ContractField& field) {
  auto impl = std::make_unique<Impl>();
  impl->type = field.type;
  if (field.min || field.max) impl->rules.push_back(RUNINK_TRY(expr::rule_range(field.type, field.min, field.max)));
  if (field.length_min || field.length_max)
    impl->rules.push_back(RUNINK_TRY(expr::rule_length(field.type, field.length_min, field.length_max)));
  if (!field.pattern.empty()) impl->rules.push_back(RUNINK_TRY(expr::rule_pattern(field.type, field.pattern)));
  if (!field.one_of.empty()) impl->rules.push_back(RUNINK_TRY(expr::rule_one_of(field.type, field.one_of)));
  return FieldJudge(std::move(impl));
}

bool FieldJudge::accepts(const Value& value) const {
  if (value.is_null()) return true;
  const columnar::Column column = columnar::make_column(impl_->type, {value});
  return std::all_of(impl_->rules.begin(), impl_->rules.end(),
                     [&](const auto& rule) { return rule->passes(column, 0); });
}

}  // namespace runink::local
