// Makers of whole numbers, decimals and floats.
#include <algorithm>
#include <cmath>
#include <limits>

#include "client/local/synth_makers.h"
#include "client/local/synth_words.h"

namespace runink::local {
namespace {

using columnar::ColumnBuilder;
using columnar::int128;
using columnar::TypeId;
using contract::ContractField;
using uint128 = unsigned __int128;

constexpr double kAnywhere = 0.02;  // share of values that lie anywhere in their range, however unlikely

// Numbers from lo to hi. Likely ones are near `centre`, at distances of about `scale`; scale 0: all are as likely.
// Held in 128 bits, where every integer and every decimal has its place.
struct Numbers {
  int128 lo = 0, hi = 0, centre = 0;
  double scale = 0;

  uint128 width() const { return static_cast<uint128>(hi) - static_cast<uint128>(lo); }
  uint64_t count() const { return width() >= UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(width()) + 1; }
  int128 at(uint64_t index) const { return static_cast<int128>(static_cast<uint128>(lo) + index); }
  int128 anywhere(SynthRandom& random) const {
    if (width() < UINT64_MAX) return at(random.below(count()));
    const uint128 bits = static_cast<uint128>(random.next()) << 64 | random.next();
    const uint128 size = width() + 1;
    return static_cast<int128>(static_cast<uint128>(lo) + (size == 0 ? bits : bits % size));
  }
  int128 likely(SynthRandom& random) const {
    if (scale <= 0 || random.chance(kAnywhere)) return anywhere(random);
    for (int attempt = 0; attempt < 4; ++attempt) {
      const auto distance = static_cast<uint128>(random.distance() * scale);  // at most 64 / 1.5 scales
      const bool up = lo == centre || (hi != centre && (random.next() >> 63) == 0);
      const uint128 room = up ? static_cast<uint128>(hi) - static_cast<uint128>(centre)
                              : static_cast<uint128>(centre) - static_cast<uint128>(lo);
      if (distance > room) continue;
      const auto from = static_cast<uint128>(centre);
      return static_cast<int128>(up ? from + distance : from - distance);
    }
    return anywhere(random);
  }
};

struct Bounds {
  int128 lo, hi;
};
Bounds of_type(TypeId id) {
  switch (id) {
    case TypeId::kInt8:
      return {INT8_MIN, INT8_MAX};
    case TypeId::kInt16:
      return {INT16_MIN, INT16_MAX};
    case TypeId::kInt32:
      return {INT32_MIN, INT32_MAX};
    case TypeId::kUInt8:
      return {0, UINT8_MAX};
    case TypeId::kUInt16:
      return {0, UINT16_MAX};
    case TypeId::kUInt32:
      return {0, UINT32_MAX};
    case TypeId::kUInt64:
      return {0, UINT64_MAX};
    default:
      return {INT64_MIN, INT64_MAX};
  }
}

// Where nothing is said: what numbers of this name usually are.
Bounds usual(const std::string& name) {
  if (has_part(name, "age")) return {0, 99};
  if (has_part(name, "year")) return {1990, 2030};
  if (has_part(name, "month")) return {1, 12};
  if (has_part(name, "day")) return {1, 28};
  if (has_part(name, "hour")) return {0, 23};
  if (has_part(name, "minute") || has_part(name, "second")) return {0, 59};
  if (has_part(name, "percent") || has_part(name, "score")) return {0, 100};
  if (has_part(name, "quantity") || has_part(name, "items") || has_part(name, "count") || has_part(name, "seats"))
    return {1, 20};
  if (has_part(name, "port")) return {1024, 65535};
  if (has_part(name, "id") || has_part(name, "number") || has_part(name, "no")) return {1, 1'000'000};
  return {0, 10'000};
}

int128 whole128(const columnar::Value& value) {
  if (const auto* u = std::get_if<uint64_t>(&value.data)) return *u;
  if (const auto* d = std::get_if<int128>(&value.data)) return *d;
  return std::get<int64_t>(value.data);
}

// Wide ranges are limits, not what is likely: most values are near zero, or near the least one; the nearer where both
// limits were given.
void lean(Numbers* numbers, bool limits, double widest_scale) {
  numbers->centre = numbers->lo < 0 && numbers->hi > 0 ? 0 : numbers->lo;
  const auto width = static_cast<double>(numbers->width());
  if (width > 500) numbers->scale = std::max(std::min(width / (limits ? 250 : 100), widest_scale), 20.0);
}

class IntMaker final : public MakerOf<IntMaker> {
 public:
  IntMaker(Numbers range, bool is_unsigned) : range_(range), unsigned_(is_unsigned) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override { put(range_.likely(draw.random), out); }
  uint64_t capacity() const override { return range_.count(); }
  void append_at(uint64_t index, SynthDraw&, ColumnBuilder& out) const override { put(range_.at(index), out); }

 private:
  void put(int128 value, ColumnBuilder& out) const {
    if (unsigned_)
      out.append_uint64(static_cast<uint64_t>(value));
    else
      out.append_int64(static_cast<int64_t>(value));
  }
  Numbers range_;
  bool unsigned_;
};

class DecimalMaker final : public MakerOf<DecimalMaker> {
 public:
  explicit DecimalMaker(Numbers range) : range_(range) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override { out.append_decimal(range_.likely(draw.random)); }
  uint64_t capacity() const override { return range_.count(); }
  void append_at(uint64_t index, SynthDraw&, ColumnBuilder& out) const override {
    out.append_decimal(range_.at(index));
  }

 private:
  Numbers range_;
};

class FloatMaker final : public MakerOf<FloatMaker> {
 public:
  FloatMaker(double lo, double hi, double centre, double scale, bool single)
      : lo_(lo), hi_(hi), centre_(centre), scale_(scale), single_(single) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    double value = between(draw.random.unit());
    if (scale_ > 0 && !draw.random.chance(kAnywhere)) {
      const double side = lo_ < centre_ && (draw.random.next() >> 63) == 1 ? -1 : 1;
      const double near = centre_ + side * draw.random.distance() * scale_;
      if (near >= lo_ && near <= hi_) value = near;
    }
    // Four decimals are what people write; more only where the range is too narrow for that.
    const double rounded = std::floor(value * 10000 + 0.5) / 10000;
    if (rounded >= lo_ && rounded <= hi_ && std::abs(value) < 1e11) value = rounded;
    put(value, out);
  }
  // Neighbouring doubles could not be told apart in a float32; a grid is enough.
  uint64_t capacity() const override { return hi_ > lo_ ? (single_ ? 1u << 20 : uint64_t{1} << 40) : 1; }
  void append_at(uint64_t index, SynthDraw&, ColumnBuilder& out) const override {
    put(between(static_cast<double>(index) / static_cast<double>(capacity())), out);
  }

 private:
  // lo and hi may be so far apart that their difference is infinite.
  double between(double share) const { return lo_ * (1 - share) + hi_ * share; }
  void put(double value, ColumnBuilder& out) const { out.append_double(std::clamp(value, lo_, hi_)); }
  double lo_, hi_, centre_, scale_;
  bool single_;
};

int128 power_of_ten(int exponent) {
  int128 out = 1;
  for (int i = 0; i < exponent; ++i) out *= 10;
  return out;
}

}  // namespace

int64_t whole_number(const columnar::Value& value) {
  if (const auto* u = std::get_if<uint64_t>(&value.data))
    return static_cast<int64_t>(std::min<uint64_t>(*u, INT64_MAX));
  return std::get<int64_t>(value.data);
}

ValueMakerPtr int_maker(const ContractField& field, const MakerOptions& options) {
  const Bounds type = of_type(field.type.id()), likely = usual(field.name);
  Numbers range;
  range.lo = field.min ? whole128(*field.min) : std::max(likely.lo, type.lo);
  if (!field.min && field.max) range.lo = std::max(type.lo, std::min(range.lo, whole128(*field.max) - 10'000));
  if (!field.min && field.max && whole128(*field.max) > likely.lo) range.lo = std::max(likely.lo, type.lo);
  range.hi = field.max ? whole128(*field.max) : std::min(type.hi, range.lo < likely.hi ? likely.hi : range.lo + 10'000);
  if (!field.max && range.count() < options.different) range.hi = type.hi;
  if (!field.min && range.count() < options.different) range.lo = type.lo;
  lean(&range, field.min && field.max, 100'000);
  return std::make_unique<IntMaker>(range, !field.type.is_signed_integer());
}

ValueMakerPtr decimal_maker(const ContractField& field, const MakerOptions& options) {
  const int128 most = power_of_ten(field.type.precision()) - 1, unit = power_of_ten(field.type.scale());
  const int128 usual_width = std::min<int128>(unit, power_of_ten(30)) * 10'000;
  Numbers range;
  range.lo = field.min ? whole128(*field.min) : 0;
  if (!field.min && field.max && whole128(*field.max) <= 0)
    range.lo = std::max(-most, whole128(*field.max) - std::min(usual_width, most));
  range.hi = field.max ? whole128(*field.max) : range.lo > most - usual_width ? most : range.lo + usual_width;
  if (!field.max && range.count() < options.different) range.hi = most;
  if (!field.min && range.count() < options.different) range.lo = -most;
  lean(&range, field.min && field.max, static_cast<double>(unit) * 100);
  return std::make_unique<DecimalMaker>(range);
}

ValueMakerPtr float_maker(const ContractField& field) {
  double lo = 0, hi = 1000, centre = 0, scale = 0;
  const auto called = [&](std::initializer_list<const char*> parts) {
    return std::any_of(parts.begin(), parts.end(), [&](const char* part) { return has_part(field.name, part); });
  };
  if (called({"lat", "latitude"})) lo = -60, hi = 70;
  if (called({"lon", "lng", "longitude"})) lo = -180, hi = 180;
  if (called({"share", "ratio", "probability", "rate"})) hi = 1;
  if (called({"temperature", "celsius"})) lo = -20, hi = 40;
  if (field.max) hi = std::get<double>(field.max->data);
  if (field.min) lo = std::get<double>(field.min->data);
  if (field.min && !field.max && hi <= lo) hi = lo + std::max(1000.0, std::abs(lo));
  if (field.max && !field.min && lo >= hi) lo = hi - std::max(1000.0, std::abs(hi));
  const bool single = field.type.id() == TypeId::kFloat32;
  const double most = single ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
  lo = std::clamp(lo, -most, most);
  hi = std::clamp(hi, lo, most);
  if (hi / 2 - lo / 2 > 5e5) {
    centre = lo < 0 && hi > 0 ? 0 : lo;
    scale = std::min(hi / 100 - lo / 100, 1e6);
  }
  return std::make_unique<FloatMaker>(lo, hi, centre, scale, single);
}

}  // namespace runink::local
