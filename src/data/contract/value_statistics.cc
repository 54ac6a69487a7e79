#include "data/contract/value_statistics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "data/columnar/text.h"

namespace runink::contract {

using columnar::TextError;
using columnar::TypeId;

const std::vector<TimeForm>& time_forms() {
  static const std::vector<TimeForm> forms = {
      {TypeId::kDate, ""},
      {TypeId::kTimestamp, ""},
      {TypeId::kTime, ""},
      {TypeId::kDate, "%Y/%m/%d"},
      {TypeId::kDate, "%m/%d/%Y"},
      {TypeId::kDate, "%d/%m/%Y"},
      {TypeId::kDate, "%d.%m.%Y"},
      {TypeId::kDate, "%d-%m-%Y"},
      {TypeId::kDate, "%d-%b-%Y"},
      {TypeId::kDate, "%d %b %Y"},
      {TypeId::kTimestamp, "%Y/%m/%d %H:%M"},
      {TypeId::kTimestamp, "%Y/%m/%d %H:%M:%S"},
      {TypeId::kTimestamp, "%m/%d/%Y %H:%M"},
      {TypeId::kTimestamp, "%d/%m/%Y %H:%M"},
      {TypeId::kTimestamp, "%m/%d/%Y %H:%M:%S"},
      {TypeId::kTimestamp, "%d/%m/%Y %H:%M:%S"},
      {TypeId::kTimestamp, "%d.%m.%Y %H:%M"},
      {TypeId::kTimestamp, "%d.%m.%Y %H:%M:%S"},
      {TypeId::kTimestamp, "%d/%b/%Y:%H:%M:%S %z"},
      {TypeId::kTime, "%I:%M %p"},
  };
  return forms;
}

namespace {

const std::vector<std::optional<columnar::TimeFormat>>& compiled_forms() {
  static const auto compiled = [] {
    std::vector<std::optional<columnar::TimeFormat>> list;
    for (const auto& form : time_forms()) {
      list.emplace_back();
      if (form.format[0] == '\0') continue;
      auto made = columnar::TimeFormat::make(form.format, form.type);
      if (made.ok()) list.back() = std::move(made).value();
    }
    return list;
  }();
  return compiled;
}

bool parse_form(size_t index, std::string_view text, int64_t* out) {
  const TimeForm& form = time_forms()[index];
  if (form.format[0] != '\0') {
    const auto& compiled = compiled_forms()[index];
    return compiled && compiled->parse(text, out) == TextError::kOk;
  }
  if (form.type == TypeId::kDate) {
    int32_t days = 0;
    if (columnar::parse_date(text, &days) != TextError::kOk) return false;
    *out = days;
    return true;
  }
  if (form.type == TypeId::kTime) return columnar::parse_time(text, out) == TextError::kOk;
  // A bare date is a date, not a timestamp.
  return text.size() > 10 && columnar::parse_timestamp(text, out) == TextError::kOk;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// FNV-1a: only to notice repeats, where a collision costs a suggestion and nothing else.
uint64_t hash_text(std::string_view text) {
  uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}

bool passes_luhn(std::string_view digits) {
  int sum = 0;
  bool twice = false;
  for (size_t i = digits.size(); i-- > 0; twice = !twice) {
    int digit = digits[i] - '0';
    if (twice) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum % 10 == 0;
}

bool looks_like_email(std::string_view text) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos || at == 0 || text.find('@', at + 1) != std::string_view::npos) return false;
  const std::string_view domain = text.substr(at + 1);
  const size_t dot = domain.rfind('.');
  return dot != std::string_view::npos && dot > 0 && domain.size() - dot > 2 &&
         text.find(' ') == std::string_view::npos;
}

std::string digits_of(std::string_view text, std::string_view allowed) {
  std::string digits;
  for (const char c : text) {
    if (is_digit(c)) {
      digits += c;
    } else if (allowed.find(c) == std::string_view::npos) {
      return {};
    }
  }
  return digits;
}

}  // namespace

ValueStatistics::ValueStatistics() { time_forms_ = (1u << time_forms().size()) - 1; }

void ValueStatistics::add_text(std::string_view text) {
  ++texts_;
  if (text.empty()) ++empty_;
  add_common(text);
  add_number_forms(text);
  if (all_bools_) {
    bool value = false;
    all_bools_ = columnar::parse_bool(text, &value) == TextError::kOk;
  }
  if (all_uuids_) {
    uint8_t bytes[16];
    all_uuids_ = columnar::parse_uuid(text, bytes) == TextError::kOk;
  }
  add_time_forms(text);
  add_shape(text);
  add_pii(text);
}

void ValueStatistics::add_number(std::string_view text) {
  ++numbers_;
  add_common(text);
  add_number_forms(text);
  all_bools_ = all_uuids_ = shaped_ = false;
  time_forms_ = 0;
}

void ValueStatistics::add_bool(bool value) {
  ++bools_;
  add_common(value ? "true" : "false");
  all_integers_ = all_numbers_ = all_uuids_ = shaped_ = false;
  time_forms_ = 0;
}

void ValueStatistics::add_common(std::string_view text) {
  if (count_ == 0 || text < text_min_) text_min_ = text.substr(0, 256);
  if (count_ == 0 || text > text_max_) text_max_ = text.substr(0, 256);
  ++count_;
  const uint64_t length = count_code_points(text);
  length_min_ = std::min(length_min_, length);
  length_max_ = std::max(length_max_, length);
  if (distinct_complete_) {
    if (const auto at = distinct_.find(std::string(text)); at != distinct_.end()) {
      ++at->second;
    } else if (distinct_.size() < 64 && text.size() <= 128) {
      distinct_.emplace(text, 1);
    } else {
      distinct_complete_ = false;
    }
  }
  constexpr size_t kSeenMax = 1 << 17;
  if (all_distinct_ && seen_.size() < kSeenMax) all_distinct_ = seen_.insert(hash_text(text)).second;
  if (!all_distinct_) seen_.clear();
}

void ValueStatistics::add_number_forms(std::string_view text) {
  if (!all_numbers_) return;
  double number = 0;
  if (columnar::parse_double(text, &number) != TextError::kOk) {
    all_numbers_ = all_integers_ = false;
    return;
  }
  const bool first = count_ == 1;
  number_min_ = first ? number : std::min(number_min_, number);
  number_max_ = first ? number : std::max(number_max_, number);
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  // "007" is a code, not a number.
  if (digits.size() > 1 && digits[0] == '0' && is_digit(digits[1])) {
    all_numbers_ = all_integers_ = false;
    return;
  }
  const size_t point = digits.find('.');
  if (digits.find_first_of("eE") != std::string_view::npos) plain_decimals_ = false;
  if (point == std::string_view::npos && plain_decimals_) {
    int64_t value = 0;
    uint64_t positive = 0;
    if (columnar::parse_int64(text, &value) == TextError::kOk) {
      int_min_ = std::min(int_min_, value);
      int_max_ = std::max(int_max_, value);
      if (value < 0) fits_uint64_ = false;
      if (value > 0) uint_max_ = std::max(uint_max_, static_cast<uint64_t>(value));
    } else {
      fits_int64_ = false;
      if (columnar::parse_uint64(text, &positive) == TextError::kOk) {
        uint_max_ = std::max(uint_max_, positive);
        int_max_ = INT64_MAX;
      } else {
        fits_uint64_ = false;
      }
    }
    digits_max_ = std::max(digits_max_, static_cast<int>(std::min<size_t>(digits.size(), 1000)));
  } else {
    all_integers_ = false;
    const int scale =
        point == std::string_view::npos ? 0 : static_cast<int>(std::min<size_t>(digits.size() - point - 1, 999));
    scale_min_ = std::min(scale_min_, scale);
    scale_max_ = std::max(scale_max_, scale);
    digits_max_ = std::max(digits_max_, static_cast<int>(std::min<size_t>(point, 1000)));
  }
}

void ValueStatistics::add_time_forms(std::string_view text) {
  for (size_t i = 0; i < time_forms().size(); ++i) {
    if ((time_forms_ >> i & 1) == 0) continue;
    int64_t value = 0;
    if (!parse_form(i, text, &value)) {
      time_forms_ &= ~(1u << i);
      continue;
    }
    auto& [low, high] = time_range_[i];
    low = texts_ == 1 ? value : std::min(low, value);
    high = texts_ == 1 ? value : std::max(high, value);
  }
}

void ValueStatistics::add_shape(std::string_view text) {
  if (!shaped_) return;
  if (text.empty() || text.size() > kShapeMax || (texts_ > 1 && text.size() != shape_.size())) {
    shaped_ = false;
    return;
  }
  if (texts_ == 1) shape_.resize(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    Place& place = shape_[i];
    const char c = text[i];
    if (c >= 'A' && c <= 'Z') {
      place.upper = true;
    } else if (c >= 'a' && c <= 'z') {
      place.lower = true;
    } else if (is_digit(c)) {
      place.digit = true;
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) {
      shaped_ = false;
    } else {
      if (place.other && place.literal != c) shaped_ = false;
      place.other = true;
      place.literal = c;
    }
    if (place.other && (place.upper || place.lower || place.digit)) shaped_ = false;
  }
}

void ValueStatistics::add_pii(std::string_view text) {
  if (text.size() > 64) return;
  if (looks_like_email(text)) ++emails_;
  if (text.size() == 11 && text[3] == '-' && text[6] == '-' && digits_of(text, "-").size() == 9) ++ssns_;
  const std::string card = digits_of(text, " -");
  if (card.size() >= 13 && card.size() <= 19 && card[0] != '0' && passes_luhn(card)) ++cards_;
  const bool phone_sign = text.starts_with('+') || text.starts_with('(');
  if (phone_sign) {
    const std::string phone = digits_of(text, "+() -./");
    if (phone.size() >= 7 && phone.size() <= 15) ++phones_;
  }
  if (text.size() >= 15 && text.size() <= 34 && is_letter(text[0]) && is_letter(text[1]) && is_digit(text[2]) &&
      is_digit(text[3]) &&
      std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); }) &&
      std::count_if(text.begin(), text.end(), is_digit) >= 10) {
    ++ibans_;
  }
}

std::string ValueStatistics::pii_kind() const {
  const uint64_t filled = texts_ - empty_;
  if (filled == 0) return {};
  const auto mostly = [filled](uint64_t hits, uint64_t percent) { return hits * 100 >= filled * percent; };
  if (mostly(emails_, 50)) return "email";
  if (mostly(ssns_, 80)) return "ssn";
  if (mostly(ibans_, 80)) return "iban";
  if (mostly(cards_, 80) && time_forms_ == 0) return "card";
  if (mostly(phones_, 50)) return "phone";
  return {};
}

const TimeForm* ValueStatistics::time_form(size_t* index) const {
  if (texts_ == 0 || numbers_ + bools_ > 0) return nullptr;
  for (size_t i = 0; i < time_forms().size(); ++i) {
    if ((time_forms_ >> i & 1) == 0) continue;
    if (index != nullptr) *index = i;
    return &time_forms()[i];
  }
  return nullptr;
}

bool ValueStatistics::ambiguous_date() const {
  size_t index = 0;
  const TimeForm* form = time_form(&index);
  if (form == nullptr) return false;
  for (size_t i = index + 1; i < time_forms().size(); ++i) {
    if ((time_forms_ >> i & 1) != 0 && time_forms()[i].type == form->type) return true;
  }
  return false;
}

bool ValueStatistics::describe_number(ColumnProfile& out) const {
  if (!all_numbers_ || count_ == 0) return false;
  if (all_integers_ && (fits_int64_ || fits_uint64_)) {
    const bool small = fits_int64_ && int_min_ >= INT32_MIN && int_max_ <= INT32_MAX;
    out.type = small ? TypeId::kInt32 : fits_int64_ ? TypeId::kInt64 : TypeId::kUInt64;
    out.min = std::to_string(int_min_);
    out.max = fits_int64_ ? std::to_string(int_max_) : std::to_string(uint_max_);
    return true;
  }
  const int scale = scale_max_;
  const bool money = numbers_ == 0 && plain_decimals_ && scale_min_ == scale_max_ && scale >= 1 && scale <= 4 &&
                     digits_max_ <= 15 && count_ >= 2;
  if (money) {
    out.type = columnar::DataType::decimal(std::max(12, digits_max_ + scale + 2), scale);
  } else {
    out.type = TypeId::kFloat64;
  }
  std::string low, high;
  columnar::append_double(low, number_min_);
  columnar::append_double(high, number_max_);
  out.min = low;
  out.max = high;
  return true;
}

bool ValueStatistics::describe_time(ColumnProfile& out) const {
  size_t index = 0;
  const TimeForm* form = time_form(&index);
  if (form == nullptr) return false;
  out.type = form->type;
  out.format = form->format;
  std::string low, high;
  const auto& [first, last] = time_range_[index];
  const auto append = [form](std::string& text, int64_t value) {
    if (form->type == TypeId::kDate) columnar::append_date(text, static_cast<int32_t>(value));
    if (form->type == TypeId::kTime) columnar::append_time(text, value);
    if (form->type == TypeId::kTimestamp) columnar::append_timestamp(text, value);
  };
  append(low, first);
  append(high, last);
  out.min = low;
  out.max = high;
  return true;
}

std::string ValueStatistics::shape_pattern() const {
  if (!shaped_ || texts_ < 2 || shape_.empty()) return {};
  std::string pattern;
  size_t i = 0;
  while (i < shape_.size()) {
    const auto text_of = [this](const Place& place) {
      if (place.other) {
        const bool special = std::string_view("\\.+*?()|[]{}^$").find(place.literal) != std::string_view::npos;
        return special ? std::string("\\") + place.literal : std::string(1, place.literal);
      }
      return fmt::format("[{}{}{}]", place.upper ? "A-Z" : "", place.lower ? "a-z" : "", place.digit ? "0-9" : "");
    };
    const std::string part = text_of(shape_[i]);
    size_t run = 1;
    while (i + run < shape_.size() && text_of(shape_[i + run]) == part) ++run;
    pattern += run == 1 ? part : fmt::format("{}{{{}}}", part, run);
    i += run;
  }
  return pattern;
}

void ValueStatistics::describe(bool from_cells, size_t enum_values_max, ColumnProfile& out) const {
  out.present = count_;
  out.empty_text = empty_;
  out.saw_text = texts_ > 0;
  out.saw_number = numbers_ > 0;
  out.saw_bool = bools_ > 0;
  out.length_min = count_ == 0 ? 0 : length_min_;
  out.length_max = length_max_;
  out.distinct = distinct_;
  out.distinct_complete = distinct_complete_;
  out.all_distinct = all_distinct_ && count_ > 1;
  const bool only_text = numbers_ + bools_ == 0;
  out.type = TypeId::kString;
  if (count_ == 0) return;
  if (bools_ == count_ || (from_cells && only_text && all_bools_)) {
    out.type = TypeId::kBool;
    return;
  }
  if ((numbers_ == count_ || (from_cells && only_text)) && describe_number(out)) return;
  if (!only_text) {
    out.type = TypeId::kJson;  // values of several kinds
    return;
  }
  if (describe_time(out)) return;
  if (all_uuids_) {
    out.type = TypeId::kUuid;
    return;
  }
  out.min = text_min_;
  out.max = text_max_;
  const bool few = distinct_complete_ && distinct_.size() <= enum_values_max && distinct_.size() >= 2 && empty_ == 0 &&
                   length_max_ <= 32;
  const bool often = count_ >= 10 * distinct_.size();
  const bool tame = std::all_of(distinct_.begin(), distinct_.end(), [](const auto& entry) {
    return is_valid_utf8(entry.first) && escape_control(entry.first) == entry.first;
  });
  if (few && often && tame && out.pii_kind.empty()) {
    std::vector<std::string> labels;
    for (const auto& [label, seen] : distinct_) labels.push_back(label);
    out.type = columnar::DataType::enumeration(std::move(labels));
    return;
  }
  out.pattern = shape_pattern();
}

std::string pii_kind_of_name(std::string_view name) {
  // Words of the name: "customerEmail", "phone_number", "Date of birth".
  std::string lower;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool boundary = i > 0 && c >= 'A' && c <= 'Z' && name[i - 1] >= 'a' && name[i - 1] <= 'z';
    if (boundary) lower += '_';
    lower += is_letter(c) ? static_cast<char>(c | 0x20) : is_digit(c) ? c : '_';
  }
  const std::string words = "_" + lower + "_";
  static const std::pair<const char*, const char*> table[] = {
      {"_email_", "email"},
      {"_e_mail_", "email"},
      {"_mail_", "email"},
      {"_phone_", "phone"},
      {"_telephone_", "phone"},
      {"_mobile_", "phone"},
      {"_ssn_", "ssn"},
      {"_social_security_", "ssn"},
      {"_passport_", "passport"},
      {"_iban_", "iban"},
      {"_credit_card_", "card"},
      {"_card_number_", "card"},
      {"_first_name_", "name"},
      {"_last_name_", "name"},
      {"_full_name_", "name"},
      {"_surname_", "name"},
      {"_given_name_", "name"},
      {"_family_name_", "name"},
      {"_birth_date_", "birth date"},
      {"_date_of_birth_", "birth date"},
      {"_birthday_", "birth date"},
      {"_dob_", "birth date"},
      {"_street_", "address"},
      {"_home_address_", "address"},
      {"_ip_address_", "ip address"},
      {"_password_", "password"},
      {"_licence_plate_", "plate"},
      {"_license_plate_", "plate"},
  };
  for (const auto& [word, kind] : table) {
    if (words.find(word) != std::string::npos) return kind;
  }
  return {};
}

}  // namespace runink::contract
