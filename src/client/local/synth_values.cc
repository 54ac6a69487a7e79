#include "client/local/synth_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/text.h"
#include "client/local/pattern_text.h"
#include "client/local/synth_words.h"
#include "data/columnar/text.h"
#include "data/expr/rules.h"

namespace runink::local {
namespace {

using columnar::ColumnBuilder;
using columnar::DataType;
using columnar::int128;
using columnar::TypeId;
using columnar::Value;
using contract::ContractField;

constexpr int64_t kSecond = 1'000'000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;

// The index of another row, one to one: neighbours in order are far from each other in value.
uint64_t scattered(uint64_t index, uint64_t capacity) {
  if (capacity < 3) return index;
  // A step near the golden ratio of the capacity that shares no divisor with it.
  auto step = static_cast<uint64_t>(static_cast<long double>(capacity) * 0.6180339887498949L);
  while (step < 1 || std::gcd(step, capacity) != 1) ++step;
  return static_cast<uint64_t>(static_cast<unsigned __int128>(index) * step % capacity);
}

class BoolMaker final : public ValueMaker {
 public:
  void append(SynthRandom& random, ColumnBuilder& out) const override { out.append_bool(random.below(2) == 1); }
  uint64_t capacity() const override { return 2; }
  void append_at(uint64_t index, ColumnBuilder& out) const override { out.append_bool(index == 1); }
};

// Whole numbers from lo to hi in steps: integers, and what is kept as one. Likely ones are near `centre`, at distances of
// about `scale`; a few are anywhere. scale 0: all are as likely.
struct WholeRange {
  int64_t lo = 0, hi = 0, step = 1;
  int64_t centre = 0;
  double scale = 0;

  uint64_t count() const {
    const uint64_t steps = (static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo)) / static_cast<uint64_t>(step);
    return steps == UINT64_MAX ? UINT64_MAX : steps + 1;
  }
  int64_t at(uint64_t index) const {
    return static_cast<int64_t>(static_cast<uint64_t>(lo) + index * static_cast<uint64_t>(step));
  }
  int64_t likely(SynthRandom& random) const {
    if (scale > 0 && !random.chance(0.02)) {
      for (int attempt = 0; attempt < 4; ++attempt) {
        const double distance = -std::log(1.0 - random.unit()) * scale;
        const double side = lo == centre || (hi != centre && random.below(2) == 0) ? 1.0 : -1.0;
        const double value = static_cast<double>(centre) + side * distance;
        if (value < static_cast<double>(lo) || value > static_cast<double>(hi) || std::abs(value) > 9e15) continue;
        return std::clamp(static_cast<int64_t>(value), lo, hi);
      }
    }
    return at(random.below(std::max<uint64_t>(count(), 1)));
  }
};

class IntMaker final : public ValueMaker {
 public:
  IntMaker(WholeRange range, bool is_unsigned) : range_(range), unsigned_(is_unsigned) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override { put(range_.likely(random), out); }
  uint64_t capacity() const override { return range_.count(); }
  void append_at(uint64_t index, ColumnBuilder& out) const override { put(range_.at(index), out); }

 private:
  void put(int64_t value, ColumnBuilder& out) const {
    if (unsigned_) out.append_uint64(static_cast<uint64_t>(value));
    else out.append_int64(value);
  }
  WholeRange range_;
  bool unsigned_;
};

// Dates, times, timestamps, durations: numbers in steps of what their format can say.
class TimeMaker final : public ValueMaker {
 public:
  explicit TimeMaker(WholeRange range) : range_(range) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override { out.append_int64(range_.at(random.below(range_.count()))); }
  uint64_t capacity() const override { return range_.count(); }
  void append_at(uint64_t index, ColumnBuilder& out) const override { out.append_int64(range_.at(index)); }

 private:
  WholeRange range_;
};

class FloatMaker final : public ValueMaker {
 public:
  FloatMaker(double lo, double hi, double centre, double scale, bool single)
      : lo_(lo), hi_(hi), centre_(centre), scale_(scale), single_(single) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override {
    double value = lo_ + (hi_ - lo_) * random.unit();
    if (scale_ > 0 && !random.chance(0.02)) {
      const double near = centre_ + (lo_ < centre_ && random.below(2) == 1 ? 1 : -1) * std::log(1.0 - random.unit()) * scale_;
      if (near >= lo_ && near <= hi_) value = near;
    }
    const double rounded = std::round(value * 10000) / 10000;
    if (rounded >= lo_ && rounded <= hi_ && std::abs(value) < 1e11) value = rounded;
    out.append_double(value);
  }
  // Steps of a whole number of doubles would be too close to tell apart in text for float32; a grid is enough.
  uint64_t capacity() const override { return single_ ? 1u << 20 : uint64_t{1} << 40; }
  void append_at(uint64_t index, ColumnBuilder& out) const override {
    out.append_double(lo_ + (hi_ - lo_) * (static_cast<double>(index) / static_cast<double>(capacity())));
  }

 private:
  double lo_, hi_, centre_, scale_;
  bool single_;
};

class DecimalMaker final : public ValueMaker {
 public:
  DecimalMaker(int128 lo, int128 hi, double scale) : lo_(lo), hi_(hi), scale_(scale) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override {
    const int128 base = lo_ <= 0 && hi_ >= 0 ? 0 : lo_;
    if (scale_ > 0 && !random.chance(0.02)) {
      const double distance = std::min(-std::log(1.0 - random.unit()) * scale_, 9e17);
      const int128 value = base + static_cast<int128>(distance);
      if (value >= lo_ && value <= hi_) {
        out.append_decimal(value);
        return;
      }
    }
    const auto width = static_cast<unsigned __int128>(hi_ - lo_);
    out.append_decimal(lo_ + static_cast<int128>(width >= UINT64_MAX ? random.next() : random.below(static_cast<uint64_t>(width) + 1)));
  }
  uint64_t capacity() const override {
    const auto width = static_cast<unsigned __int128>(hi_ - lo_);
    return width >= UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(width) + 1;
  }
  void append_at(uint64_t index, ColumnBuilder& out) const override { out.append_decimal(lo_ + static_cast<int128>(index)); }

 private:
  int128 lo_, hi_;
  double scale_;
};

class PatternMaker final : public ValueMaker {
 public:
  PatternMaker(PatternText pattern, uint64_t different, uint64_t length_min, uint64_t length_max)
      : pattern_(std::move(pattern)), form_(pattern_.form(std::max<uint64_t>(different, 1))), min_(length_min), max_(length_max) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override {
    std::string text;
    for (int attempt = 0; attempt < 20; ++attempt) {
      text.clear();
      pattern_.append(random, text);
      if (min_ == 0 && max_ == UINT64_MAX) break;
      const uint64_t length = count_code_points(text);
      if (length >= min_ && length <= max_) break;
    }
    out.append_text(text);
  }
  uint64_t capacity() const override { return form_.capacity(); }
  void append_at(uint64_t index, ColumnBuilder& out) const override {
    std::string text;
    form_.append_at(scattered(index, form_.capacity()), text);
    out.append_text(text);
  }

 private:
  PatternText pattern_;
  PatternText::Form form_;
  uint64_t min_, max_;
};

// Texts by subject, fitted to the lengths allowed.
class WordsMaker final : public ValueMaker {
 public:
  WordsMaker(TextSubject subject, uint64_t length_min, uint64_t length_max)
      : subject_(subject), min_(length_min), max_(std::max(length_min, std::min<uint64_t>(length_max, uint64_t{1} << 20))) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override {
    std::string text;
    compose(random, text);
    fit(random, text);
    out.append_text(text);
  }
  uint64_t capacity() const override {
    uint64_t capacity = 1;
    for (uint64_t i = 0; i < digits() && capacity < UINT64_MAX / 36; ++i) capacity *= 36;
    return digits() > 12 ? UINT64_MAX : capacity;
  }
  void append_at(uint64_t index, ColumnBuilder& out) const override {
    std::string number;
    for (uint64_t n = index; n > 0 || number.empty(); n /= 36) number += "0123456789abcdefghijklmnopqrstuvwxyz"[n % 36];
    std::reverse(number.begin(), number.end());
    if (max_ < 20) {  // no room for words
      const uint64_t length = std::max<uint64_t>(min_, std::min<uint64_t>(max_, 8));
      if (number.size() < length) number.insert(0, length - number.size(), '0');
      out.append_text(number);
      return;
    }
    // The number ends in a fixed way for its subject, so texts of different numbers differ.
    SynthRandom random(index, 0x756e6971);
    std::string text;
    if (subject_ == TextSubject::kEmail && max_ >= 45) {
      text = to_lower_ascii(pick(first_names(), random)) + "." + number + "@example.org";
    } else {
      text = to_lower_ascii(pick(plain_words(), random)) + "-" + number;
    }
    if (text.size() < min_) text.insert(0, min_ - text.size(), 'x');
    out.append_text(text);
  }

 private:
  uint64_t digits() const { return max_ < 20 ? std::max<uint64_t>(min_, std::min<uint64_t>(max_, 8)) : 13; }
  static const std::string& pick(const std::vector<std::string>& from, SynthRandom& random) { return from[random.below(from.size())]; }
  void compose(SynthRandom& random, std::string& text) const {
    const auto& values = values_of(subject_);
    const auto number = [&](uint64_t lo, uint64_t hi) { return std::to_string(lo + random.below(hi - lo + 1)); };
    switch (subject_) {
      case TextSubject::kFirstName: text = pick(first_names(), random); return;
      case TextSubject::kLastName: text = pick(last_names(), random); return;
      case TextSubject::kFullName: text = pick(first_names(), random) + " " + pick(last_names(), random); return;
      case TextSubject::kEmail:
        text = to_lower_ascii(pick(first_names(), random)) + "." + to_lower_ascii(pick(last_names(), random)) + number(1, 999) + "@example." +
               (random.below(2) == 0 ? "org" : "com");
        return;
      case TextSubject::kUser: text = to_lower_ascii(pick(first_names(), random)) + number(1, 9999); return;
      case TextSubject::kPhone: text = "+1 555 " + number(100, 999) + " " + number(1000, 9999); return;
      case TextSubject::kStreet: text = number(1, 240) + " " + pick(street_names(), random); return;
      case TextSubject::kPostcode: text = number(10000, 99999); return;
      case TextSubject::kUrl: text = "https://www.example.org/" + pick(plain_words(), random) + "/" + number(1, 99999); return;
      case TextSubject::kHost: text = pick(plain_words(), random) + "-" + number(1, 64) + ".example.org"; return;
      case TextSubject::kIpAddress: text = "192.0.2." + number(1, 254); return;
      case TextSubject::kVersion: text = number(0, 9) + "." + number(0, 20) + "." + number(0, 40); return;
      case TextSubject::kSentence:
        text = pick(plain_words(), random);
        text[0] = static_cast<char>(text[0] - 32);
        for (uint64_t i = 0, n = 2 + random.below(6); i < n; ++i) text += " " + pick(plain_words(), random);
        return;
      default:
        if (!values.empty()) {
          text = pick(values, random);
        } else {
          text = pick(plain_words(), random);
          if (random.below(3) == 0) text += " " + pick(plain_words(), random);
        }
        return;
    }
  }
  void fit(SynthRandom& random, std::string& text) const {
    while (text.size() < min_) text += (text.empty() ? "" : " ") + pick(plain_words(), random);
    if (text.size() <= max_) return;
    text.resize(max_);  // the words are ASCII
    while (text.ends_with(' ') && text.size() > min_) text.pop_back();
    if (text.ends_with(' ')) text.back() = 'x';
  }

  TextSubject subject_;
  uint64_t min_, max_;
};

class BytesMaker final : public ValueMaker {
 public:
  BytesMaker(uint64_t length_min, uint64_t length_max)
      : min_(length_min), max_(std::max(length_min, std::min<uint64_t>(length_max, length_min + 16))) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override { put(random, min_ + random.below(max_ - min_ + 1), out); }
  uint64_t capacity() const override { return max_ >= 8 ? UINT64_MAX : uint64_t{1} << (8 * max_); }
  void append_at(uint64_t index, ColumnBuilder& out) const override {
    std::string bytes(max_, '\0');
    for (size_t i = 0; i < bytes.size() && i < 8; ++i) bytes[i] = static_cast<char>(index >> (8 * i));
    out.append_text(bytes);
  }

 private:
  static void put(SynthRandom& random, uint64_t length, ColumnBuilder& out) {
    std::string bytes(length, '\0');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    out.append_text(bytes);
  }
  uint64_t min_, max_;
};

class JsonMaker final : public ValueMaker {
 public:
  void append(SynthRandom& random, ColumnBuilder& out) const override {
    const auto& words = plain_words();
    out.append_text(fmt::format("{{\"{}\":{},\"tags\":[\"{}\"]}}", words[random.below(words.size())], random.below(1000), words[random.below(words.size())]));
  }
};

class UuidMaker final : public ValueMaker {
 public:
  void append(SynthRandom& random, ColumnBuilder& out) const override { put(random.next(), random.next(), out); }
  uint64_t capacity() const override { return UINT64_MAX; }
  void append_at(uint64_t index, ColumnBuilder& out) const override {
    // The number itself stands in the half that the version does not touch, by a reversible mix.
    SynthRandom random(index);
    put(random.next(), (index * 0x9e3779b97f4a7c15ull) ^ 0x5bd1e995, out);
  }

 private:
  static void put(uint64_t high, uint64_t low, ColumnBuilder& out) {
    char bytes[16];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(high >> (56 - 8 * i));
    // The variant takes two bits; the rest of the number moves on into the high half.
    for (int i = 0; i < 8; ++i) bytes[8 + i] = static_cast<char>(low >> (56 - 8 * i));
    bytes[0] = static_cast<char>(low >> 62);
    bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
    out.append_string(std::string_view(bytes, 16));
  }
};

// Given values; those that stand first are the likelier ones where `skewed`.
class DrawingMaker final : public ValueMaker {
 public:
  DrawingMaker(DataType type, std::vector<Value> values, bool skewed) : type_(std::move(type)), values_(std::move(values)), skewed_(skewed) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override {
    double at = random.unit();
    if (skewed_) at *= at;
    out.append_value(values_[static_cast<size_t>(at * static_cast<double>(values_.size()))]);
  }
  uint64_t capacity() const override { return values_.size(); }
  void append_at(uint64_t index, ColumnBuilder& out) const override { out.append_value(values_[index]); }

 private:
  DataType type_;
  std::vector<Value> values_;
  bool skewed_;
};

class StructMaker final : public ValueMaker {
 public:
  struct Member {
    ValueMakerPtr maker;
    bool nullable;
  };
  explicit StructMaker(std::vector<Member> members) : members_(std::move(members)) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].nullable && random.chance(0.05)) out.child(i).append_null();
      else members_[i].maker->append(random, out.child(i));
    }
    out.close_struct();
  }

 private:
  std::vector<Member> members_;
};

class ListMaker final : public ValueMaker {
 public:
  ListMaker(ValueMakerPtr element, uint64_t length_min, uint64_t length_max)
      : element_(std::move(element)), min_(length_min), max_(std::max(length_min, std::min<uint64_t>(length_max, length_min + 3))) {}
  void append(SynthRandom& random, ColumnBuilder& out) const override {
    for (uint64_t i = 0, n = min_ + random.below(max_ - min_ + 1); i < n; ++i) element_->append(random, out.child());
    out.close_list();
  }

 private:
  ValueMakerPtr element_;
  uint64_t min_, max_;
};

// ---- ranges by type, rules and name ----------------------------------------------------------------------------------

struct Bounds {
  int64_t lo, hi;
};
Bounds of_type(TypeId id) {
  switch (id) {
    case TypeId::kInt8: return {INT8_MIN, INT8_MAX};
    case TypeId::kInt16: return {INT16_MIN, INT16_MAX};
    case TypeId::kInt32: return {INT32_MIN, INT32_MAX};
    case TypeId::kUInt8: return {0, UINT8_MAX};
    case TypeId::kUInt16: return {0, UINT16_MAX};
    case TypeId::kUInt32: return {0, UINT32_MAX};
    case TypeId::kUInt64: return {0, INT64_MAX};
    default: return {INT64_MIN, INT64_MAX};
  }
}

int64_t whole(const Value& value) {
  if (const auto* u = std::get_if<uint64_t>(&value.data)) return static_cast<int64_t>(std::min<uint64_t>(*u, INT64_MAX));
  return std::get<int64_t>(value.data);
}

// Where nothing is said: what numbers of this name usually are.
Bounds usual(const std::string& name) {
  if (has_part(name, "age")) return {0, 99};
  if (has_part(name, "year")) return {1990, 2030};
  if (has_part(name, "month")) return {1, 12};
  if (has_part(name, "day")) return {1, 28};
  if (has_part(name, "hour")) return {0, 23};
  if (has_part(name, "percent")) return {0, 100};
  if (has_part(name, "quantity") || has_part(name, "items") || has_part(name, "count")) return {1, 20};
  if (has_part(name, "id") || has_part(name, "number")) return {1, INT64_MAX};
  return {0, 10000};
}

WholeRange int_range(const ContractField& field, const MakerOptions& options) {
  const Bounds type = of_type(field.type.id()), likely = usual(field.name);
  WholeRange range;
  range.lo = field.min ? whole(*field.min) : field.max ? std::max(type.lo, std::min(likely.lo, whole(*field.max))) : std::max(likely.lo, type.lo);
  range.hi = field.max ? whole(*field.max) : std::min(type.hi, range.lo < likely.hi ? likely.hi : range.lo > type.hi - 10000 ? type.hi : range.lo + 10000);
  if (options.different > 0 && !field.max && range.count() < options.different) range.hi = type.hi;
  if (options.different > 0 && !field.min && range.count() < options.different) range.lo = type.lo;
  // Wide ranges are limits, not what is likely: most values are near zero, or near the least one.
  const double width = static_cast<double>(range.hi) - static_cast<double>(range.lo);
  range.centre = range.lo < 0 && range.hi > 0 ? 0 : range.lo;
  if (width > 500) range.scale = std::max(std::min(width / 100, 100'000.0), 20.0);
  return range;
}

// The step that a format can tell apart, in microseconds; of a date in days.
int64_t resolution(const ContractField& field) {
  if (field.type.id() == TypeId::kDate) return 1;
  const std::string& f = field.format;
  if (f.empty()) return kSecond;
  const auto has = [&](const char* part) { return f.find(part) != std::string::npos; };
  if (has("%f") || has("%S") || has("%T")) return kSecond;
  return has("%M") ? kMinute : has("%H") || has("%I") ? kHour : kDay;
}

WholeRange time_range(const ContractField& field, const MakerOptions& options) {
  WholeRange range;
  range.step = resolution(field);
  const TypeId id = field.type.id();
  const int64_t now = id == TypeId::kDate ? options.now_micros / kDay : options.now_micros;
  const int64_t two_years = id == TypeId::kDate ? 730 : 730 * kDay;
  const bool span = id == TypeId::kTime || id == TypeId::kDuration;
  range.lo = field.min ? whole(*field.min) : span ? 0 : field.max ? whole(*field.max) - two_years : now - two_years;
  range.hi = field.max ? whole(*field.max) : span ? std::max(range.lo, kDay - kSecond) : field.min && range.lo > now ? range.lo + two_years : now;
  if (id == TypeId::kDuration && !field.max) range.hi = range.lo + kDay;
  // A format without %z writes whole steps only.
  if (range.step > 1) {
    const int64_t rest = ((range.lo % range.step) + range.step) % range.step;
    if (rest != 0) range.lo += range.step - rest;
  }
  if (range.hi < range.lo) range.hi = range.lo;
  // More values than moments: further back, and finer where the format has a fraction.
  if (options.different > range.count() && (field.format.empty() || field.format.find("%f") != std::string::npos) && id != TypeId::kDate) range.step = 1;
  if (options.different > range.count() && !field.min && !span) {
    const auto back = static_cast<int64_t>(options.different) * range.step;
    range.lo = range.hi - std::min<int64_t>(back, id == TypeId::kDate ? 700'000 : 1900ll * 365 * kDay);
    range.lo -= ((range.lo % range.step) + range.step) % range.step;
  }
  return range;
}

int128 power_of_ten(int exponent) {
  int128 out = 1;
  for (int i = 0; i < exponent; ++i) out *= 10;
  return out;
}

ValueMakerPtr decimal_maker(const ContractField& field, const MakerOptions& options) {
  const int128 most = power_of_ten(field.type.precision()) - 1, unit = power_of_ten(field.type.scale());
  int128 lo = field.min ? std::get<int128>(field.min->data) : field.max ? std::min<int128>(0, std::get<int128>(field.max->data)) : 0;
  int128 hi = field.max ? std::get<int128>(field.max->data) : std::min(most, std::max<int128>(lo, 0) + 10'000 * std::min(unit, power_of_ten(20)));
  if (options.different > 0 && !field.max) hi = most;
  lo = std::max(lo, -most);
  hi = std::max(lo, std::min(hi, most));
  const double width = static_cast<double>(hi) - static_cast<double>(lo);
  return std::make_unique<DecimalMaker>(lo, hi, width > 500 ? std::min(width / 50, static_cast<double>(unit) * 100) : 0);
}

ValueMakerPtr float_maker(const ContractField& field) {
  double lo = 0, hi = 1000, centre = 0, scale = 0;
  if (has_part(field.name, "lat") || has_part(field.name, "latitude")) lo = -60, hi = 70;
  if (has_part(field.name, "lon") || has_part(field.name, "lng") || has_part(field.name, "longitude")) lo = -180, hi = 180;
  if (has_part(field.name, "share") || has_part(field.name, "ratio") || has_part(field.name, "probability")) hi = 1;
  if (field.max) hi = std::get<double>(field.max->data);
  if (field.min) lo = std::get<double>(field.min->data);
  if (field.min && !field.max && hi <= lo) hi = lo + 1000;
  if (field.max && !field.min && lo >= hi) lo = hi - 1000;
  if (!std::isfinite(lo)) lo = -1e9;
  if (!std::isfinite(hi)) hi = 1e9;
  if (hi - lo > 1e6) {
    centre = lo < 0 && hi > 0 ? 0 : lo;
    scale = std::min((hi - lo) / 100, 1e6);
  }
  return std::make_unique<FloatMaker>(lo, hi, centre, scale, field.type.id() == TypeId::kFloat32);
}

Result<ValueMakerPtr> text_maker(const ContractField& field, const MakerOptions& options) {
  const uint64_t min = field.length_min.value_or(0), max = field.length_max.value_or(UINT64_MAX);
  TextSubject subject = text_subject(field.name, field.pii_kind);
  if (subject == TextSubject::kCountry && max <= 3) subject = TextSubject::kCountryCode;
  if (field.pattern.empty()) return ValueMakerPtr(std::make_unique<WordsMaker>(subject, min, max));
  if (options.different == 0) {
    // Real words where the pattern lets enough of them pass.
    const FieldJudge judge = RUNINK_TRY(FieldJudge::make(field));
    for (const TextSubject s : {subject, TextSubject::kAirport, TextSubject::kCountryCode}) {
      if (s != subject && s == TextSubject::kAirport && subject != TextSubject::kWords) continue;
      if (s != subject && subject != TextSubject::kCountry) continue;
      std::vector<Value> fitting;
      for (const auto& word : values_of(s)) {
        if (judge.accepts(Value(word))) fitting.emplace_back(word);
      }
      if (fitting.size() >= 5) return ValueMakerPtr(std::make_unique<DrawingMaker>(field.type, std::move(fitting), true));
    }
  }
  return ValueMakerPtr(std::make_unique<PatternMaker>(RUNINK_TRY(PatternText::parse(field.pattern)), options.different, min, max));
}

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

}  // namespace

Result<ValueMakerPtr> make_value_maker(const ContractField& field, const MakerOptions& options) {
  if (!field.one_of.empty()) return ValueMakerPtr(std::make_unique<DrawingMaker>(field.type, field.one_of, true));
  switch (field.type.id()) {
    case TypeId::kBool: return ValueMakerPtr(std::make_unique<BoolMaker>());
    case TypeId::kFloat32: case TypeId::kFloat64: return float_maker(field);
    case TypeId::kDecimal: return decimal_maker(field, options);
    case TypeId::kString: return text_maker(field, options);
    case TypeId::kBytes:
      return ValueMakerPtr(std::make_unique<BytesMaker>(field.length_min.value_or(field.length_max ? 0 : 8), field.length_max.value_or(UINT64_MAX)));
    case TypeId::kJson: return ValueMakerPtr(std::make_unique<JsonMaker>());
    case TypeId::kUuid: return ValueMakerPtr(std::make_unique<UuidMaker>());
    case TypeId::kDate: case TypeId::kTime: case TypeId::kTimestamp: case TypeId::kDuration:
      return ValueMakerPtr(std::make_unique<TimeMaker>(time_range(field, options)));
    case TypeId::kEnum: {
      std::vector<Value> values;
      for (size_t i = 0; i < field.type.labels().size(); ++i) values.emplace_back(static_cast<int64_t>(i));
      return ValueMakerPtr(std::make_unique<DrawingMaker>(field.type, std::move(values), true));
    }
    case TypeId::kList:
      return ValueMakerPtr(std::make_unique<ListMaker>(RUNINK_TRY(make_value_maker(element_of(field), {options.now_micros, 0})),
                                                       field.length_min.value_or(0), field.length_max.value_or(UINT64_MAX)));
    case TypeId::kStruct: {
      std::vector<StructMaker::Member> members;
      for (size_t i = 0; i < field.type.fields().size(); ++i) {
        ContractField member;
        if (i < field.elements.size()) {
          member = field.elements[i];
        } else {
          member.name = field.type.fields()[i].name;
          member.type = field.type.fields()[i].type;
        }
        members.push_back({RUNINK_TRY(make_value_maker(member, {options.now_micros, 0})), member.nullable()});
      }
      return ValueMakerPtr(std::make_unique<StructMaker>(std::move(members)));
    }
    default:
      if (field.type.is_integer()) {
        return ValueMakerPtr(std::make_unique<IntMaker>(int_range(field, options), !field.type.is_signed_integer()));
      }
      return invalid_argument("cannot make values of type {} (field {})", field.type.to_string(), field.name);
  }
}

ValueMakerPtr make_drawing_maker(DataType type, std::vector<Value> values) {
  return std::make_unique<DrawingMaker>(std::move(type), std::move(values), false);
}

// ---- rules of one value ------------------------------------------------------------------------------------------------

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
  if (field.length_min || field.length_max) impl->rules.push_back(RUNINK_TRY(expr::rule_length(field.type, field.length_min, field.length_max)));
  if (!field.pattern.empty()) impl->rules.push_back(RUNINK_TRY(expr::rule_pattern(field.type, field.pattern)));
  if (!field.one_of.empty()) impl->rules.push_back(RUNINK_TRY(expr::rule_one_of(field.type, field.one_of)));
  return FieldJudge(std::move(impl));
}

bool FieldJudge::accepts(const Value& value) const {
  if (value.is_null()) return true;
  const columnar::Column column = columnar::make_column(impl_->type, {value});
  return std::all_of(impl_->rules.begin(), impl_->rules.end(), [&](const auto& rule) { return rule->passes(column, 0); });
}

}  // namespace runink::local
