// min, max, first, last, list: values kept as they are.
#include <cmath>

#include "data/expr/accumulators.h"

namespace runink::expr {

namespace {

// --- min, max, first, last

// A total order, so that the result does not depend on the order of rows: NaN above all numbers, -0 below 0.
template <typename T>
bool is_below(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const int order = compare_doubles(static_cast<double>(a), static_cast<double>(b));
    if (order != 0) return order < 0;
    return std::signbit(a) && !std::signbit(b);
  } else {
    return a < b;
  }
}

template <typename T>
struct OneState {
  T value{};
  uint8_t known = 0;
};

template <typename T>
class FixedChoice : public PlainAccumulator<FixedChoice<T>, OneState<T>> {
 public:
  explicit FixedChoice(const AggregateSpec& spec) : type_(spec.result_type), function_(spec.function) {}
  void begin(const Column* argument) { values_ = argument->data<T>(); }
  void add(OneState<T>& s, int64_t i) { consider(s, values_[i]); }
  void combine(OneState<T>& a, const OneState<T>& b) {
    if (b.known != 0) consider(a, b.value);
  }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(type_, static_cast<int64_t>(count));
    for (size_t g = first; g < first + count; ++g) {
      const auto& s = this->states_[g];
      if (s.known != 0) {
        out.template append_fixed<T>(s.value);
      } else {
        out.append_null();
      }
    }
    return out.finish();
  }

 private:
  void consider(OneState<T>& s, T v) {
    bool better = s.known == 0;
    if (!better) {
      switch (function_) {
        case AggregateFunction::kMin:
          better = is_below(v, s.value);
          break;
        case AggregateFunction::kMax:
          better = is_below(s.value, v);
          break;
        case AggregateFunction::kLast:
          better = true;
          break;
        default:
          break;
      }
    }
    if (!better) return;
    s.value = v;
    s.known = 1;
  }
  DataType type_;
  AggregateFunction function_;
  const T* values_ = nullptr;
};

// Texts and uuids, which compare as bytes.
class TextChoice : public Accumulator {
 public:
  explicit TextChoice(const AggregateSpec& spec) : spec_(spec) {}
  void resize(size_t groups) override {
    if (groups <= states_.size()) return;
    states_.resize(groups);
    known_.resize(groups);
  }
  size_t groups() const override { return states_.size(); }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { consider(group[i], bytes_at(*argument, i)); });
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { consider(group, bytes_at(*argument, i)); });
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const TextChoice&>(other);
    for (size_t g = 0; g < theirs.states_.size(); ++g) {
      if (theirs.known_[g] != 0) consider(group_of[g], theirs.states_[g]);
    }
  }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(spec_.result_type, static_cast<int64_t>(count));
    size_t total = 0;
    for (size_t g = first; g < first + count; ++g) {
      total += states_[g].size();
      if (total > columnar::ColumnBuilder::kMaxTextBytes) return no_room(spec_);
      if (known_[g] != 0) {
        append_bytes(out, states_[g]);
      } else {
        out.append_null();
      }
    }
    return out.finish();
  }
  void write(uint32_t group, std::string& out) const override {
    put(out, known_[group]);
    put_text(out, states_[group]);
  }
  Status read(uint32_t group, std::string_view& in) override {
    uint8_t known = 0;
    std::string_view text;
    if (!take(in, &known) || !take_text(in, &text)) return broken();
    if (known != 0) consider(group, text);
    return Status();
  }
  size_t memory_bytes() const override {
    return sizeof(*this) + states_.capacity() * sizeof(std::string) + known_.capacity() + heap_;
  }
  void clear() override {
    std::vector<std::string>().swap(states_);
    std::vector<uint8_t>().swap(known_);
    heap_ = 0;
  }

 private:
  void consider(uint32_t g, std::string_view v) {
    std::string& s = states_[g];
    bool better = known_[g] == 0;
    if (!better) {
      switch (spec_.function) {
        case AggregateFunction::kMin:
          better = v < s;
          break;
        case AggregateFunction::kMax:
          better = s < v;
          break;
        case AggregateFunction::kLast:
          better = true;
          break;
        default:
          break;
      }
    }
    if (!better) return;
    const size_t before = s.capacity() > 15 ? s.capacity() : 0;
    s.assign(v);
    heap_ += (s.capacity() > 15 ? s.capacity() : 0) - before;
    known_[g] = 1;
  }
  AggregateSpec spec_;
  std::vector<std::string> states_;
  std::vector<uint8_t> known_;
  size_t heap_ = 0;
};

// --- list

// Per group the values' bytes: fixed-width ones side by side, texts each after its length.
class ListOf : public Accumulator, public ValueKeeper {
 public:
  explicit ListOf(const AggregateSpec& spec)
      : spec_(spec), text_(spec.argument.type().is_text()), width_(static_cast<size_t>(spec.argument.type().width())) {}
  void resize(size_t groups) override {
    if (groups > lists_.size()) lists_.resize(groups);
  }
  size_t groups() const override { return lists_.size(); }
  const ValueKeeper* values() const override { return this; }
  bool copy_values(uint32_t group, size_t* at, int64_t rows_max, size_t bytes_max,
                   columnar::ColumnBuilder& out) const override {
    std::string_view rest = std::string_view(lists_[group]).substr(*at);
    for (size_t bytes = 0; !rest.empty();) {
      if (out.length() >= rows_max || bytes >= bytes_max) return true;
      const std::string_view value = take_value(rest);
      bytes += value.size();
      append_bytes(out, value);
      *at = lists_[group].size() - rest.size();
    }
    return false;
  }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { push(group[i], bytes_at(*argument, i)); });
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { push(group, bytes_at(*argument, i)); });
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const ListOf&>(other).lists_;
    for (size_t g = 0; g < theirs.size(); ++g) append(group_of[g], theirs[g]);
  }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(spec_.result_type, static_cast<int64_t>(count));
    size_t total = 0;
    for (size_t g = first; g < first + count; ++g) {
      total += lists_[g].size();
      if (total > columnar::ColumnBuilder::kMaxTextBytes) return no_room(spec_);
      std::string_view rest = lists_[g];
      while (!rest.empty()) append_bytes(out.child(), take_value(rest));
      out.close_list();
    }
    return out.finish();
  }
  void write(uint32_t group, std::string& out) const override { put_text(out, lists_[group]); }
  Status read(uint32_t group, std::string_view& in) override {
    std::string_view bytes;
    if (!take_text(in, &bytes) || !is_well_formed(bytes)) return broken();
    append(group, bytes);
    return Status();
  }
  size_t memory_bytes() const override { return sizeof(*this) + lists_.capacity() * sizeof(std::string) + heap_; }
  void clear() override {
    std::vector<std::string>().swap(lists_);
    heap_ = 0;
  }

 private:
  // The first value of a list's bytes, taken off them.
  std::string_view take_value(std::string_view& rest) const {
    std::string_view bytes;
    if (text_) {
      RUNINK_CHECK(take_text(rest, &bytes));
    } else {
      bytes = rest.substr(0, width_);
      rest.remove_prefix(width_);
    }
    return bytes;
  }
  bool is_well_formed(std::string_view bytes) const {
    if (!text_) return bytes.size() % width_ == 0;
    std::string_view one;
    while (!bytes.empty()) {
      if (!take_text(bytes, &one)) return false;
    }
    return true;
  }
  void append(uint32_t g, std::string_view bytes) {
    std::string& list = lists_[g];
    const size_t before = list.capacity();
    list += bytes;
    heap_ += list.capacity() - before;
  }
  void push(uint32_t g, std::string_view bytes) {
    std::string& list = lists_[g];
    const size_t before = list.capacity();
    if (text_) {
      put_text(list, bytes);
    } else {
      list += bytes;
    }
    heap_ += list.capacity() - before;
  }
  AggregateSpec spec_;
  bool text_;
  size_t width_;
  std::vector<std::string> lists_;
  size_t heap_ = 0;
};

}  // namespace

std::unique_ptr<Accumulator> make_choice(const AggregateSpec& spec) {
  std::unique_ptr<Accumulator> out;
  with_fixed_type(spec.argument.type().id(),
                  [&](auto zero) { out = std::make_unique<FixedChoice<decltype(zero)>>(spec); });
  if (!out) out = std::make_unique<TextChoice>(spec);
  return out;
}

std::unique_ptr<Accumulator> make_list(const AggregateSpec& spec) { return std::make_unique<ListOf>(spec); }

}  // namespace runink::expr
