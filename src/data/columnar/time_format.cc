#include "data/columnar/time_format.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"
#include "data/columnar/calendar.h"
#include "data/columnar/digits.h"

namespace runink::columnar {

namespace {

constexpr std::string_view kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                        "July",    "August",   "September", "October", "November", "December"};

struct Letter {
  char letter;
  size_t width_max;    // when written
  bool date, time;     // part of a date, of a time of day
  std::string_view digits;  // places in YYYYMMDDHHMMSS that a fixed layout reads, as letters of that text's index
};
constexpr Letter kLetters[] = {
    {'Y', 20, true, false, "abcd"}, {'y', 2, true, false, "cd"}, {'m', 2, true, false, "ef"},
    {'d', 2, true, false, "gh"},    {'e', 2, true, false, ""},   {'j', 3, true, false, ""},
    {'b', 3, true, false, ""},      {'B', 9, true, false, ""},   {'H', 2, false, true, "ij"},
    {'I', 2, false, true, ""},      {'p', 2, false, true, ""},   {'M', 2, false, true, "kl"},
    {'S', 2, false, true, "mn"},    {'f', 6, false, true, ""},   {'z', 5, false, false, ""},
    {'Z', 8, false, false, ""}};

const Letter* find_letter(char letter) {
  for (const auto& known : kLetters) {
    if (known.letter == letter) return &known;
  }
  return nullptr;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool starts_with_word(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (lower(text[i]) != lower(word[i])) return false;
  }
  return true;
}

// Exactly `count` digits at the beginning of the text.
bool take_digits(std::string_view* text, size_t count, unsigned* out) {
  if (text->size() < count) return false;
  unsigned value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!is_digit((*text)[i])) return false;
    value = value * 10 + static_cast<unsigned>((*text)[i] - '0');
  }
  text->remove_prefix(count);
  *out = value;
  return true;
}

#if defined(__x86_64__)
const bool kHasSsse3 = __builtin_cpu_supports("ssse3");
#endif

// Local microseconds (or what the type counts) of parts that are in range.
inline int64_t count_of(TypeId type, uint32_t year, uint32_t month, uint32_t day, uint32_t seconds) {
  if (type == TypeId::kTime) return static_cast<int64_t>(seconds) * kMicrosPerSecond;
  const int64_t days = civil_to_days_positive(year, month, day);
  return type == TypeId::kDate ? days : (days * 86400 + seconds) * kMicrosPerSecond;
}

}  // namespace

// What the letters of a format said.
struct TimeFormat::Parts {
  unsigned year = 1970, month = 1, day = 1, day_of_year = 0;
  unsigned hour = 0, minute = 0, second = 0, fraction = 0;  // fraction in microseconds
  int afternoon = -1;                                       // with %I
  bool has_offset = false, inexact = false;
  int64_t offset_seconds = 0;
};

Result<TimeFormat> TimeFormat::make(std::string_view format, TypeId type, TimeZonePtr zone, bool writing_only) {
  RUNINK_CHECK(type == TypeId::kDate || type == TypeId::kTime || type == TypeId::kTimestamp);
  TimeFormat out;
  out.format_ = format;
  out.type_ = type;
  if (type == TypeId::kTimestamp && zone && !zone->is_utc()) out.zone_ = std::move(zone);
  const auto fails = [&](std::string_view why) {
    return invalid_argument("the format {}: {}", json_quote(format), why)
        .with_hint("letters: %Y %y %m %d %e %j %b %B %H %I %p %M %S %f %z %Z %F %T %%, all else stands for itself");
  };
  if (format.size() > 200) return fails("is longer than 200 bytes");

  std::string letters;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out.ops_.push_back({'c', format[i]});
      continue;
    }
    if (++i == format.size()) return fails("ends with a single %");
    std::string expanded(1, format[i]);
    if (format[i] == 'F') expanded = "Y-m-d";
    if (format[i] == 'T') expanded = "H:M:S";
    if (format[i] == '%') {
      out.ops_.push_back({'c', '%'});
      continue;
    }
    for (char c : expanded) {
      if (c == '-' || c == ':') {
        out.ops_.push_back({'c', c});
        continue;
      }
      const Letter* letter = find_letter(c);
      if (letter == nullptr) return fails(fmt::format("%{} is not a letter that Runink knows", escape_control({&c, 1})));
      if (!writing_only && letters.find(c) != letters.npos) return fails(fmt::format("has %{} twice", c));
      if (type == TypeId::kTime && !letter->time) return fails(fmt::format("a time has no %{}", c));
      if (type == TypeId::kDate && !letter->date) return fails(fmt::format("a date has no %{}", c));
      letters += c;
      out.ops_.push_back({c});
    }
  }
  for (const Op& op : out.ops_) out.max_width_ += op.kind == 'c' ? 1 : find_letter(op.kind)->width_max;
  if (writing_only) return out;
  const auto has = [&](std::string_view any) { return letters.find_first_of(any) != letters.npos; };
  if (type != TypeId::kTime) {
    if (!has("Yy")) return fails("has no year (%Y or %y)");
    if (!has("j") && !(has("mbB") && has("de"))) return fails("has no month and day (%m and %d, or %j)");
  }
  if (type == TypeId::kTime && !has("HI")) return fails("has no hour (%H, or %I with %p)");
  for (std::string_view rivals : {"Yy", "mbB", "de", "HI"}) {
    if (std::count_if(letters.begin(), letters.end(), [&](char c) { return rivals.find(c) != rivals.npos; }) > 1) {
      return fails(fmt::format("says one thing in two ways: only one of the letters {}", rivals));
    }
  }
  if (has("j") && has("mbBde")) return fails("has %j besides a month or day");
  if (has("I") != has("p")) return fails("%I and %p go together");
  if (has("MSf") && !has("HI")) return fails("has minutes or seconds but no hour");

  out.compile_fixed();
  return out;
}

void TimeFormat::compile_fixed() {
  digit_at_.fill(-1);
  size_t width = 0;
  std::vector<std::pair<size_t, uint8_t>> literals;
  for (const Op& op : ops_) {
    if (op.kind == 'c') {
      literals.emplace_back(width++, static_cast<uint8_t>(op.literal));
      continue;
    }
    const std::string_view digits = find_letter(op.kind)->digits;
    if (digits.empty()) return;
    for (char place : digits) digit_at_[static_cast<size_t>(place - 'a')] = static_cast<int8_t>(width++);
    short_year_ = short_year_ || op.kind == 'y';
    if (width > 32) return;
  }
  if (width < 8 || width > 32) return;

  constexpr uint8_t kNothing = 0x80;  // pshufb writes 0 for it
  shuffle_.fill(kNothing);
  absent_.fill(0);
  for (size_t i = 0; i < 16; ++i) {
    const int at = i < digit_at_.size() ? digit_at_[i] : -1;
    const auto place = static_cast<size_t>(at);
    if (at < 0) {
      absent_[i] = static_cast<uint8_t>((type_ == TypeId::kTime ? "1970010100000000" : "0000010100000000")[i]);
    } else if (width < 16) {
      shuffle_[i] = static_cast<uint8_t>(place < 8 ? place : 8 + place - (width - 8));
    } else if (place < 16) {
      shuffle_[i] = static_cast<uint8_t>(place);
    } else {
      shuffle_[16 + i] = static_cast<uint8_t>(place - (width - 16));
    }
  }
  for (const auto& [place, byte] : literals) {
    size_t at;
    if (width < 16) at = place < 8 ? place : 8 + place - (width - 8);
    else at = place < 16 ? place : 16 + place - (width - 16);
    literal_[at] = byte;
    literal_mask_[at] = 0xFF;
  }
  const size_t piece = width < 16 ? 8 : 16;
  write_shuffle_.fill(kNothing);
  const auto put = [&](size_t place, std::array<uint8_t, 32>* into, uint8_t byte) {
    if (place < piece) (*into)[place] = byte;
    if (place >= width - piece) (*into)[piece + place - (width - piece)] = byte;
  };
  for (size_t i = 0; i < digit_at_.size(); ++i) {
    if (digit_at_[i] >= 0) put(static_cast<size_t>(digit_at_[i]), &write_shuffle_, static_cast<uint8_t>(i));
  }
  for (const auto& [place, byte] : literals) put(place, &write_literal_, byte);
  fixed_width_ = width;
}

TextError TimeFormat::parse_portable(std::string_view text, int64_t* out) const {
  if (fixed_width_ == 0) return parse_general(text, out);
  return text.size() == fixed_width_ ? parse_fixed(text.data(), out) : TextError::kMalformed;
}

TextError TimeFormat::parse(std::string_view text, int64_t* out) const {
  if (fixed_width_ != 0) {
    if (text.size() != fixed_width_) return TextError::kMalformed;
#if defined(__x86_64__)
    if (kHasSsse3) return parse_shuffled(text.data(), out);
#endif
    return parse_fixed(text.data(), out);
  }
  return parse_general(text, out);
}

#if defined(__x86_64__)
// All parts at once: literals compared, digits brought to the order YYYYMMDDHHMMSS00 and checked, pairs of digits made
// numbers, and the numbers compared with their bounds. What is outside (and 29 February) is looked at again by
// fixed_parts().
__attribute__((target("ssse3"))) TextError TimeFormat::parse_shuffled(const char* text, int64_t* out) const {
  const auto load = [](const void* p) __attribute__((target("ssse3"), always_inline)) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  };
  __m128i wrong, digits;
  if (fixed_width_ >= 16) {
    const __m128i head = load(text), tail = load(text + fixed_width_ - 16);
    wrong = _mm_or_si128(_mm_and_si128(_mm_xor_si128(head, load(literal_.data())), load(literal_mask_.data())),
                         _mm_and_si128(_mm_xor_si128(tail, load(literal_.data() + 16)), load(literal_mask_.data() + 16)));
    digits = _mm_or_si128(_mm_shuffle_epi8(head, load(shuffle_.data())), _mm_shuffle_epi8(tail, load(shuffle_.data() + 16)));
  } else {
    const __m128i head = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(text));
    const __m128i tail = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(text + fixed_width_ - 8));
    const __m128i both = _mm_unpacklo_epi64(head, tail);
    wrong = _mm_and_si128(_mm_xor_si128(both, load(literal_.data())), load(literal_mask_.data()));
    digits = _mm_shuffle_epi8(both, load(shuffle_.data()));
  }
  digits = _mm_sub_epi8(_mm_or_si128(digits, load(absent_.data())), _mm_set1_epi8('0'));
  const __m128i nine = _mm_set1_epi8(9);
  wrong = _mm_or_si128(wrong, _mm_xor_si128(_mm_max_epu8(digits, nine), nine));
  if (_mm_movemask_epi8(_mm_cmpeq_epi8(wrong, _mm_setzero_si128())) != 0xFFFF) return TextError::kMalformed;

  const __m128i parts = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010A));  // century, year, month, day, hour, …
  const __m128i outside = _mm_or_si128(_mm_cmpgt_epi16(parts, _mm_setr_epi16(99, 99, 12, 31, 23, 59, 59, 0)),
                                       _mm_cmplt_epi16(parts, _mm_setr_epi16(0, 0, 1, 1, 0, 0, 0, 0)));
  const __m128i sums = _mm_madd_epi16(parts, _mm_setr_epi16(100, 1, 0, 0, 3600, 60, 1, 0));
  const auto low = static_cast<uint64_t>(_mm_cvtsi128_si64(parts));
  const auto year = static_cast<uint32_t>(_mm_cvtsi128_si32(sums));
  const auto clock = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums)));
  const auto month = static_cast<uint32_t>(low >> 32 & 0xFFFF), day = static_cast<uint32_t>(low >> 48);
  constexpr uint8_t kDays[16] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0};
  if (_mm_movemask_epi8(outside) != 0 || day > kDays[month & 15] || year == 0 || short_year_) {
    uint16_t pairs[8];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(pairs), parts);
    return fixed_parts(pairs, out);
  }
  const auto seconds = static_cast<uint32_t>(clock) + static_cast<uint32_t>(clock >> 32);
  const int64_t count = count_of(type_, year, month, day, seconds);
  *out = zone_ ? zone_->to_utc_micros(count) : count;
  return TextError::kOk;
}
#endif

TextError TimeFormat::parse_fixed(const char* text, int64_t* out) const {
  uint16_t parts[8];
  bool wrong = false;
  for (size_t i = 0; i < 14; i += 2) {
    unsigned pair = 0;
    for (size_t j = i; j < i + 2; ++j) {
      const int at = digit_at_[j];
      const auto digit = static_cast<unsigned>((at < 0 ? static_cast<char>(absent_[j]) : text[at]) - '0');
      wrong |= digit > 9;
      pair = pair * 10 + digit;
    }
    parts[i / 2] = static_cast<uint16_t>(pair);
  }
  size_t at = 0;
  for (const Op& op : ops_) {
    if (op.kind == 'c') wrong |= text[at++] != op.literal;
    else at += find_letter(op.kind)->digits.size();
  }
  return wrong ? TextError::kMalformed : fixed_parts(parts, out);
}

// Century, year, month, day, hour, minute, second.
TextError TimeFormat::fixed_parts(const uint16_t* parts, int64_t* out) const {
  uint32_t year = parts[0] * 100u + parts[1];
  if (short_year_) year += parts[1] < 69 ? 2000 : 1900;
  const uint32_t month = parts[2], day = parts[3], hour = parts[4], minute = parts[5], second = parts[6];
  if (month - 1 > 11 || day == 0 || day > month_days(static_cast<int32_t>(year), month) || hour > 23 || minute > 59 ||
      second > 59 || year == 0) {
    return TextError::kOutOfRange;
  }
  const int64_t count = count_of(type_, year, month, day, hour * 3600 + minute * 60 + second);
  *out = zone_ ? zone_->to_utc_micros(count) : count;
  return TextError::kOk;
}

TextError TimeFormat::parse_general(std::string_view text, int64_t* out) const {
  Parts parts;
  for (const Op& op : ops_) {
    bool good = true;
    switch (op.kind) {
      case 'c':
        good = !text.empty() && text[0] == op.literal;
        if (good) text.remove_prefix(1);
        break;
      case 'Y': good = take_digits(&text, 4, &parts.year); break;
      case 'y':
        good = take_digits(&text, 2, &parts.year);
        parts.year += parts.year < 69 ? 2000 : 1900;
        break;
      case 'm': good = take_digits(&text, 2, &parts.month); break;
      case 'd': good = take_digits(&text, 2, &parts.day); break;
      case 'e':
        if (!text.empty() && text[0] == ' ') {
          text.remove_prefix(1);
          good = take_digits(&text, 1, &parts.day);
        } else {
          good = take_digits(&text, 2, &parts.day) || take_digits(&text, 1, &parts.day);
        }
        break;
      case 'j': good = take_digits(&text, 3, &parts.day_of_year); break;
      case 'b':
      case 'B': {
        good = false;
        for (unsigned m = 0; m < 12 && !good; ++m) {
          const std::string_view name = op.kind == 'B' ? kMonths[m] : kMonths[m].substr(0, 3);
          if (!starts_with_word(text, name)) continue;
          good = true;
          parts.month = m + 1;
          text.remove_prefix(name.size());
        }
        break;
      }
      case 'H': good = take_digits(&text, 2, &parts.hour); break;
      case 'I':
        good = take_digits(&text, 2, &parts.hour);
        if (parts.hour == 0 || parts.hour > 12) parts.hour = 99;  // out of range whatever %p says
        break;
      case 'p':
        good = starts_with_word(text, "am") || starts_with_word(text, "pm");
        if (good) {
          parts.afternoon = lower(text[0]) == 'p';
          text.remove_prefix(2);
        }
        break;
      case 'M': good = take_digits(&text, 2, &parts.minute); break;
      case 'S': good = take_digits(&text, 2, &parts.second); break;
      case 'f': {
        size_t digits = 0;
        parts.fraction = 0;
        for (; digits < text.size() && digits < 9 && is_digit(text[digits]); ++digits) {
          if (digits < 6) parts.fraction = parts.fraction * 10 + static_cast<unsigned>(text[digits] - '0');
          else parts.inexact = parts.inexact || text[digits] != '0';
        }
        good = digits > 0;
        if (digits < 6) parts.fraction *= static_cast<unsigned>(kPowersOf10[6 - digits]);
        text.remove_prefix(digits);
        break;
      }
      case 'z': {
        parts.has_offset = true;
        if (!text.empty() && (text[0] == 'Z' || text[0] == 'z')) {
          text.remove_prefix(1);
          break;
        }
        good = !text.empty() && (text[0] == '+' || text[0] == '-');
        if (!good) break;
        const bool negative = text[0] == '-';
        text.remove_prefix(1);
        unsigned hours = 0, minutes = 0;
        good = take_digits(&text, 2, &hours);
        if (good && !text.empty() && text[0] == ':') {
          text.remove_prefix(1);
          good = take_digits(&text, 2, &minutes);
        } else if (good && text.size() >= 2 && is_digit(text[0])) {
          good = take_digits(&text, 2, &minutes);
        }
        if (hours > 23 || minutes > 59) parts.hour = 99;
        parts.offset_seconds = (hours * 60 + minutes) * 60;
        if (negative) parts.offset_seconds = -parts.offset_seconds;
        break;
      }
      default: {  // %Z
        parts.has_offset = true;
        good = false;
        for (std::string_view name : {"UTC", "GMT", "Z"}) {
          if (!text.starts_with(name)) continue;
          good = true;
          text.remove_prefix(name.size());
          break;
        }
      }
    }
    if (!good) return TextError::kMalformed;
  }
  if (!text.empty()) return TextError::kMalformed;
  return assemble(parts, out);
}

TextError TimeFormat::assemble(const Parts& parts, int64_t* out) const {
  unsigned hour = parts.hour;
  if (parts.afternoon >= 0 && hour <= 12) hour = hour % 12 + (parts.afternoon == 1 ? 12 : 0);
  if (hour > 23 || parts.minute > 59 || parts.second > 59 || parts.year == 0) return TextError::kOutOfRange;
  int64_t days;
  const auto year = static_cast<int32_t>(parts.year);
  if (std::any_of(ops_.begin(), ops_.end(), [](const Op& op) { return op.kind == 'j'; })) {
    if (parts.day_of_year == 0 || parts.day_of_year > (is_leap_year(year) ? 366u : 365u)) return TextError::kOutOfRange;
    days = civil_to_days(year, 1, 1) + parts.day_of_year - 1;
  } else {
    if (parts.month - 1 > 11 || parts.day == 0 || parts.day > month_days(year, parts.month)) {
      return TextError::kOutOfRange;
    }
    days = civil_to_days(year, parts.month, parts.day);
  }
  if (parts.inexact) return TextError::kInexact;
  const int64_t time =
      (static_cast<int64_t>(hour) * 3600 + parts.minute * 60 + parts.second) * kMicrosPerSecond + parts.fraction;
  if (type_ == TypeId::kDate) *out = days;
  else if (type_ == TypeId::kTime) *out = time;
  else if (parts.has_offset) *out = days * kMicrosPerDay + time - parts.offset_seconds * kMicrosPerSecond;
  else *out = zone_ ? zone_->to_utc_micros(days * kMicrosPerDay + time) : days * kMicrosPerDay + time;
  return TextError::kOk;
}

int64_t TimeFormat::local_of(int64_t value, int64_t* offset_seconds) const {
  *offset_seconds = 0;
  if (!zone_) return value;
  int64_t local = value;
  *offset_seconds = zone_->offset_at(value);
  // A local time beyond int64 is 290,000 years away; it is shown in UTC.
  if (__builtin_add_overflow(value, *offset_seconds * kMicrosPerSecond, &local)) {
    *offset_seconds = 0;
    return value;
  }
  return local;
}

#if defined(__x86_64__)
// The parts as pairs of digits, shuffled to their places among the literals. False for years beyond four digits.
__attribute__((target("ssse3"))) bool TimeFormat::write_shuffled(char* out, int64_t value) const {
  int64_t days = 0, time = 0;
  if (type_ == TypeId::kDate) {
    days = value;
  } else if (type_ == TypeId::kTime) {
    time = micros_of_day(value);
  } else {
    int64_t offset;
    const int64_t local = local_of(value, &offset);
    days = floor_div(local, kMicrosPerDay);
    time = local - days * kMicrosPerDay;
  }
  // 0001-01-01 to 9999-12-31; also keeps what follows in 32 bits.
  if (days < -719162 || days > 2932896) return false;
  const YearMonthDay date = days_to_civil(days);
  const auto year = static_cast<uint32_t>(date.year);
  const auto seconds = static_cast<uint32_t>(time / kMicrosPerSecond);
  const auto part = [](uint32_t v) { return static_cast<short>(v); };
  const __m128i parts = _mm_setr_epi16(part(year / 100), part(year % 100), part(date.month), part(date.day),
                                       part(seconds / 3600), part(seconds / 60 % 60), part(seconds % 60), 0);
  const __m128i tens = _mm_mulhi_epu16(parts, _mm_set1_epi16(6554));  // by 10, exact below 100
  const __m128i ones = _mm_sub_epi16(parts, _mm_mullo_epi16(tens, _mm_set1_epi16(10)));
  const __m128i digits = _mm_add_epi8(_mm_or_si128(tens, _mm_slli_epi16(ones, 8)), _mm_set1_epi8('0'));
  const auto load = [](const uint8_t* p) __attribute__((target("ssse3"), always_inline)) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  };
  const __m128i head = _mm_or_si128(_mm_shuffle_epi8(digits, load(write_shuffle_.data())), load(write_literal_.data()));
  if (fixed_width_ < 16) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), head);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + fixed_width_ - 8), _mm_unpackhi_epi64(head, head));
    return true;
  }
  const __m128i tail =
      _mm_or_si128(_mm_shuffle_epi8(digits, load(write_shuffle_.data() + 16)), load(write_literal_.data() + 16));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), head);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + fixed_width_ - 16), tail);
  return true;
}
#endif

char* TimeFormat::write(char* out, int64_t value) const {
#if defined(__x86_64__)
  if (fixed_width_ != 0 && kHasSsse3 && write_shuffled(out, value)) return out + fixed_width_;
#endif
  return write_portable(out, value);
}

char* TimeFormat::write_portable(char* out, int64_t value) const {
  int64_t days = 0, time = 0, offset = 0;
  if (type_ == TypeId::kDate) {
    days = value;
  } else if (type_ == TypeId::kTime) {
    time = micros_of_day(value);
  } else {
    const int64_t local = local_of(value, &offset);
    days = floor_div(local, kMicrosPerDay);
    time = micros_of_day(local);
  }
  const YearMonthDay date = days_to_civil(days);
  const auto seconds = static_cast<unsigned>(time / kMicrosPerSecond);
  const unsigned hour = seconds / 3600;
  for (const Op& op : ops_) {
    switch (op.kind) {
      case 'c': *out++ = op.literal; break;
      case 'Y':
        if (date.year >= 0 && date.year <= 9999) out = write_4(out, static_cast<unsigned>(date.year));
        else out = fmt::format_to(out, "{}", date.year);
        break;
      case 'y': out = write_2(out, static_cast<unsigned>(((date.year % 100) + 100) % 100)); break;
      case 'm': out = write_2(out, date.month); break;
      case 'd': out = write_2(out, date.day); break;
      case 'e':
        write_2(out, date.day);
        if (date.day < 10) *out = ' ';
        out += 2;
        break;
      case 'j': {
        const auto day = static_cast<unsigned>(days - civil_to_days(date.year, 1, 1) + 1);
        *out++ = static_cast<char>('0' + day / 100);
        out = write_2(out, day % 100);
        break;
      }
      case 'b':
      case 'B': {
        const std::string_view name = op.kind == 'B' ? kMonths[date.month - 1] : kMonths[date.month - 1].substr(0, 3);
        std::memcpy(out, name.data(), name.size());
        out += name.size();
        break;
      }
      case 'H': out = write_2(out, hour); break;
      case 'I': out = write_2(out, (hour + 11) % 12 + 1); break;
      case 'p':
        *out++ = hour < 12 ? 'A' : 'P';
        *out++ = 'M';
        break;
      case 'M': out = write_2(out, seconds / 60 % 60); break;
      case 'S': out = write_2(out, seconds % 60); break;
      case 'f': out = write_6(out, static_cast<unsigned>(time % kMicrosPerSecond)); break;
      case 'z': {
        // Offsets before 1900 may have seconds; like strftime, this drops them.
        *out++ = offset < 0 ? '-' : '+';
        const auto minutes = static_cast<unsigned>((offset < 0 ? -offset : offset) / 60);
        out = write_2(write_2(out, minutes / 60), minutes % 60);
        break;
      }
      default: {  // %Z
        const std::string_view name = zone_ ? zone_->abbreviation_at(value) : std::string_view("UTC");
        const size_t size = std::min<size_t>(name.size(), 8);
        std::memcpy(out, name.data(), size);
        out += size;
      }
    }
  }
  return out;
}

void TimeFormat::append(std::string& out, int64_t value) const {
  const size_t at = out.size();
  out.resize(at + max_width_);
  char* const end = write(out.data() + at, value);
  out.resize(static_cast<size_t>(end - out.data()));
}

std::string describe_without_value(TextError error, const DataType& type) {
  const std::string name = type.to_string();
  const bool vowel = name.find_first_of("aeio") == 0;
  switch (error) {
    case TextError::kMalformed: return fmt::format("not {} {}", vowel ? "an" : "a", name);
    case TextError::kOutOfRange: return fmt::format("outside {}", name);
    case TextError::kInexact: return fmt::format("more digits than {} keeps", name);
    case TextError::kOk: break;
  }
  return "a " + name;
}

std::string describe(TextError error, std::string_view text, const DataType& type) {
  const std::string_view shown = text.size() > 80 ? code_point_slice(text, 0, 60) : text;
  return fmt::format("{}{} {} {}", json_quote(shown), shown.size() < text.size() ? "…" : "",
                     error == TextError::kInexact ? "has" : "is", describe_without_value(error, type));
}

}  // namespace runink::columnar
