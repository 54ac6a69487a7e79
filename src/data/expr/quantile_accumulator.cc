// quantile, median: all values kept, the one asked for found at the end.
#include <algorithm>
#include <cmath>

#include "data/expr/accumulators.h"

namespace runink::expr {

namespace {

class Quantile : public Accumulator, public ValueKeeper {
 public:
  explicit Quantile(const AggregateSpec& spec) : spec_(spec) {}
  void resize(size_t groups) override {
    if (groups > values_.size()) values_.resize(groups);
  }
  size_t groups() const override { return values_.size(); }
  const ValueKeeper* values() const override { return this; }
  bool copy_values(uint32_t group, size_t* at, int64_t rows_max, size_t bytes_max,
                   columnar::ColumnBuilder& out) const override {
    const auto& v = values_[group];
    const auto room = static_cast<size_t>(std::max<int64_t>(0, rows_max - out.length()));
    const size_t end = std::min(v.size(), *at + std::min(room, bytes_max / sizeof(double) + 1));
    for (; *at < end; ++*at) out.append_fixed(v[*at]);
    return *at < v.size();
  }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    with_doubles(*argument,
                 [&](auto at) { each_row(rows, argument, skip, [&](int64_t i) { push(group[i], at(i)); }); });
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    with_doubles(*argument, [&](auto at) { each_row(rows, argument, skip, [&](int64_t i) { push(group, at(i)); }); });
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const Quantile&>(other).values_;
    for (size_t g = 0; g < theirs.size(); ++g) {
      for (const double v : theirs[g]) push(group_of[g], v);
    }
  }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(TypeId::kFloat64, static_cast<int64_t>(count));
    const auto below = [](double a, double b) { return compare_doubles(a, b) < 0; };
    for (size_t g = first; g < first + count; ++g) {
      auto& v = values_[g];
      if (v.empty()) {
        out.append_null();
        continue;
      }
      const double place = spec_.fraction * static_cast<double>(v.size() - 1);
      const auto low = static_cast<size_t>(place);
      std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(low), v.end(), below);
      double result = v[low];
      if (low + 1 < v.size()) {
        const double next = *std::min_element(v.begin() + static_cast<std::ptrdiff_t>(low) + 1, v.end(), below);
        const double part = place - static_cast<double>(low);
        if (part > 0) result = between(result, next, part);
      }
      out.append_double(result);
    }
    return out.finish();
  }
  void write(uint32_t group, std::string& out) const override {
    const auto& v = values_[group];
    put_text(out, {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(double)});
  }
  Status read(uint32_t group, std::string_view& in) override {
    std::string_view bytes;
    if (!take_text(in, &bytes) || bytes.size() % sizeof(double) != 0) return broken();
    for (size_t i = 0; i < bytes.size(); i += sizeof(double)) {
      double v = 0;
      std::memcpy(&v, bytes.data() + i, sizeof(double));
      push(group, v);
    }
    return Status();
  }
  size_t memory_bytes() const override { return sizeof(*this) + values_.capacity() * sizeof(values_[0]) + heap_; }
  void clear() override {
    std::vector<std::vector<double>>().swap(values_);
    heap_ = 0;
  }

 private:
  template <typename F>
  static void with_doubles(const Column& column, F f) {
    with_fixed_type(column.type.id(), [&](auto zero) {
      using T = decltype(zero);
      f([&column](int64_t i) { return as_double<T>(column, i); });
    });
  }
  void push(uint32_t g, double v) {
    auto& list = values_[g];
    const size_t before = list.capacity();
    list.push_back(v + 0.0);  // -0 becomes 0: which of equal values comes first must not matter
    if (list.capacity() != before) heap_ += (list.capacity() - before) * sizeof(double) + (before == 0 ? kBlock : 0);
  }
  static constexpr size_t kBlock = 16;  // what the allocator takes besides
  AggregateSpec spec_;
  std::vector<std::vector<double>> values_;
  size_t heap_ = 0;
};

}  // namespace

double between(double low, double high, double part) {
  const double apart = high - low;
  if (std::isfinite(apart) || !std::isfinite(low) || !std::isfinite(high)) return low + apart * part;
  return low * (1 - part) + high * part;  // further apart than float64 reaches
}

std::unique_ptr<Accumulator> make_quantile(const AggregateSpec& spec) { return std::make_unique<Quantile>(spec); }

}  // namespace runink::expr
