// Makers of text, JSON, bytes and identifiers.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/text.h"
#include "client/local/pattern_text.h"
#include "client/local/synth_makers.h"
#include "client/local/synth_words.h"

namespace runink::local {
namespace {

using columnar::ColumnBuilder;
using columnar::Value;
using contract::ContractField;

constexpr uint64_t kLongestMade = 1 << 20;  // code points; a field that must be longer is not made

class PatternMaker final : public MakerOf<PatternMaker> {
 public:
  // `words` match the pattern, differ, and come first where values must not repeat.
  PatternMaker(PatternText pattern, std::vector<std::string> words, uint64_t different, uint64_t length_min,
               uint64_t length_max)
      : pattern_(std::move(pattern)),
        words_(std::move(words)),
        form_(pattern_.form(std::max<uint64_t>(different, 1), length_min, length_max)),
        scatter_(form_.capacity()),
        min_(length_min),
        max_(length_max) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    for (int attempt = 0; attempt < 20; ++attempt) {
      draw.text.clear();
      pattern_.append(draw.random, draw.text);
      if (min_ == 0 && max_ == UINT64_MAX) break;
      const uint64_t length = count_code_points(draw.text);
      if (length >= min_ && length <= max_) break;
    }
    out.append_text(draw.text);
  }
  uint64_t capacity() const override {
    return form_.capacity() > UINT64_MAX - words_.size() ? UINT64_MAX : form_.capacity() + words_.size();
  }
  void append_at(uint64_t index, SynthDraw& draw, ColumnBuilder& out) const override {
    if (index < words_.size()) return out.append_text(words_[index]);
    draw.text.clear();
    form_.append_at(scatter_(index - words_.size()), draw.text);
    if (std::find(words_.begin(), words_.end(), draw.text) != words_.end())
      out.append_null();
    else
      out.append_text(draw.text);
  }

 private:
  PatternText pattern_;
  std::vector<std::string> words_;
  PatternText::Form form_;
  Scatter scatter_;
  uint64_t min_, max_;
};

void add_number(std::string& text, uint64_t number, int width = 0) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  for (auto length = end - digits; length < width; ++length) text += '0';
  text.append(digits, end);
}

// Texts by subject, fitted to the lengths allowed.
class WordsMaker final : public MakerOf<WordsMaker> {
 public:
  WordsMaker(const ContractField& field, TextSubject subject, const std::string& about)
      : subject_(subject),
        about_(about),
        values_(values_of(subject)),
        prefix_(identifier_prefix(field.name)),
        whose_(SynthRandom::mix(fnv(owner_part(field.name)))),
        min_(field.length_min.value_or(0)),
        max_(std::max(min_, std::min(field.length_max.value_or(UINT64_MAX), kLongestMade))) {}

  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    draw.text.clear();
    compose(draw.random, SynthRandom::mix(draw.who ^ whose_), draw.text);
    fit(draw.random, draw.text);
    out.append_text(draw.text);
  }
  uint64_t capacity() const override {
    uint64_t capacity = 1;
    for (uint64_t i = 0; i < digits() && capacity < UINT64_MAX / 36; ++i) capacity *= 36;
    return digits() > 12 ? UINT64_MAX : capacity;
  }
  void append_at(uint64_t index, SynthDraw& draw, ColumnBuilder& out) const override {
    std::string& text = draw.text;
    text.clear();
    char number[16];
    size_t length = 0;
    for (uint64_t n = index; n > 0 || length == 0; n /= 36)
      number[length++] = "0123456789abcdefghijklmnopqrstuvwxyz"[n % 36];
    std::reverse(number, number + length);
    if (max_ < kRoomForWords) {
      const uint64_t wanted = digits();
      if (length < wanted) text.assign(wanted - length, '0');
      out.append_text(text.append(number, length));
      return;
    }
    // Texts of different numbers differ: each ends in its number in the same way.
    const uint64_t who = SynthRandom::mix(draw.who ^ whose_);
    if (subject_ == TextSubject::kEmail && max_ >= 45) {
      text += first(who).lower;
      text += '.';
      text += last(who).lower;
      text.append(number, length);
      text += "@example.org";
    } else if (subject_ == TextSubject::kIdentifier) {
      text += prefix_;
      add_number(text, index + 1, 6);
    } else {
      text += subject_ == TextSubject::kUser ? first(who).lower
                                             : plain_words()[SynthRandom::scale(who, plain_words().size())];
      text += '-';
      text.append(number, length);
    }
    if (text.size() < min_) text.insert(0, min_ - text.size(), 'x');
    out.append_text(text);
  }

 private:
  static constexpr uint64_t kRoomForWords = 40;

  static uint64_t fnv(std::string_view text) {
    uint64_t h = 0xcbf29ce484222325;
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return h;
  }
  uint64_t digits() const { return max_ < kRoomForWords ? std::max(min_, std::min<uint64_t>(max_, 13)) : 13; }

  static const SynthName& first(uint64_t who) { return first_names()[SynthRandom::scale(who, first_names().size())]; }
  static const SynthName& last(uint64_t who) {
    return last_names()[SynthRandom::scale(SynthRandom::mix(who + 1), last_names().size())];
  }
  static const SynthPlace& place(uint64_t who) {
    return places()[SynthRandom::scale(SynthRandom::mix(who + 2), places().size())];
  }
  static void add_word(SynthRandom& random, std::string& text) {
    text += plain_words()[random.below(plain_words().size())];
  }

  void compose(SynthRandom& random, uint64_t who, std::string& text) const {
    const auto number = [&](uint64_t lo, uint64_t hi, int width = 0) {
      add_number(text, lo + random.below(hi - lo + 1), width);
    };
    switch (subject_) {
      case TextSubject::kFirstName:
        text += first(who).name;
        return;
      case TextSubject::kLastName:
        text += last(who).name;
        return;
      case TextSubject::kFullName:
        text += first(who).name;
        text += ' ';
        text += last(who).name;
        return;
      case TextSubject::kEmail:
        text += first(who).lower;
        text += '.';
        text += last(who).lower;
        add_number(text, who % 997 + 1);
        text += who % 3 == 0 ? "@example.com" : "@example.org";
        return;
      case TextSubject::kUser:
        text += first(who).lower;
        add_number(text, who % 9973 + 1);
        return;
      case TextSubject::kCity:
        text += place(who).city;
        return;
      case TextSubject::kCountry:
        text += place(who).country;
        return;
      case TextSubject::kCountryCode:
        text += place(who).code;
        return;
      case TextSubject::kCurrency:
        text += place(who).currency;
        return;
      case TextSubject::kPlaceName:
        text += place(who).city;
        text += ' ';
        text += about_;
        return;
      case TextSubject::kThing:
        for (int i = 0; i < 2; ++i) {
          const size_t from = text.size();
          add_word(random, text);
          text[from] = static_cast<char>(text[from] - 32);
          if (i == 0) text += ' ';
        }
        return;
      case TextSubject::kPhone:
        text += "+1 555 ";
        number(100, 999);
        text += ' ';
        number(0, 9999, 4);
        return;
      case TextSubject::kStreet:
        number(1, 240);
        text += ' ';
        text += street_names()[random.below(street_names().size())];
        return;
      case TextSubject::kPostcode:
        number(10000, 99999);
        return;
      case TextSubject::kIdentifier:
        text += prefix_;
        number(1, 999'999, 6);
        return;
      case TextSubject::kUrl:
        text += "https://www.example.org/";
        add_word(random, text);
        text += '/';
        number(1, 99'999);
        return;
      case TextSubject::kHost:
        add_word(random, text);
        text += '-';
        number(1, 64);
        text += ".example.org";
        return;
      case TextSubject::kIpAddress:
        text += "192.0.2.";
        number(1, 254);
        return;
      case TextSubject::kVersion:
        number(0, 9);
        text += '.';
        number(0, 20);
        text += '.';
        number(0, 40);
        return;
      case TextSubject::kSentence:
        add_word(random, text);
        text[0] = static_cast<char>(text[0] - 32);
        for (uint64_t i = 0, n = 2 + random.below(6); i < n; ++i) {
          text += ' ';
          add_word(random, text);
        }
        return;
      default:
        break;
    }
    if (!values_.empty()) {
      text += values_[random.below(values_.size())];
      return;
    }
    add_word(random, text);
    if (random.below(3) == 0) {
      text += ' ';
      add_word(random, text);
    }
  }
  // All words are ASCII: bytes are code points.
  void fit(SynthRandom& random, std::string& text) const {
    while (text.size() < min_) {
      if (!text.empty()) text += ' ';
      add_word(random, text);
    }
    if (text.size() <= max_) return;
    text.resize(max_);
    while (text.ends_with(' ') && text.size() > min_) text.pop_back();
    if (text.ends_with(' ')) text.back() = 'x';
  }

  TextSubject subject_;
  std::string about_;
  const std::vector<std::string>& values_;
  std::string prefix_;
  uint64_t whose_;  // fields of one owner ("sender.name", "sender.email") speak of one person
  uint64_t min_, max_;
};

class BytesMaker final : public MakerOf<BytesMaker> {
 public:
  BytesMaker(uint64_t length_min, uint64_t length_max)
      : min_(std::min(length_min, kLongestMade)), max_(std::max(min_, std::min(length_max, min_ + 16))) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    draw.text.resize(min_ + draw.random.below(max_ - min_ + 1));
    for (char& c : draw.text) c = static_cast<char>(draw.random.below(256));
    out.append_text(draw.text);
  }
  uint64_t capacity() const override { return max_ >= 8 ? UINT64_MAX : uint64_t{1} << (8 * max_); }
  void append_at(uint64_t index, SynthDraw& draw, ColumnBuilder& out) const override {
    draw.text.assign(max_, '\0');
    const uint64_t mixed = max_ >= 8 ? SynthRandom::mix(index) : index;  // mix is one to one
    for (size_t i = 0; i < draw.text.size() && i < 8; ++i) draw.text[i] = static_cast<char>(mixed >> (8 * i));
    out.append_text(draw.text);
  }

 private:
  uint64_t min_, max_;
};

class JsonMaker final : public MakerOf<JsonMaker> {
 public:
  JsonMaker(uint64_t length_min, uint64_t length_max) : min_(std::min(length_min, kLongestMade)), max_(length_max) {}
  void append(SynthDraw& draw, ColumnBuilder& out) const override {
    const auto& words = plain_words();
    std::string& text = draw.text;
    text = "{\"";
    text += words[draw.random.below(words.size())];
    text += "\":";
    add_number(text, draw.random.below(1000));
    text += ",\"tags\":[\"";
    text += words[draw.random.below(words.size())];
    text += "\"]}";
    if (text.size() < min_) {
      text.resize(text.size() - 3);
      text.append(min_ - text.size() - 3, 'x');
      text += "\"]}";
    }
    if (text.size() > max_) text = max_ < 2 ? "7" : "\"" + std::string(std::max<uint64_t>(min_, 2) - 2, 'x') + "\"";
    out.append_text(text);
  }

 private:
  uint64_t min_, max_;
};

class UuidMaker final : public MakerOf<UuidMaker> {
 public:
  void append(SynthDraw& draw, ColumnBuilder& out) const override { put(draw.random.next(), draw.random.next(), out); }
  uint64_t capacity() const override { return UINT64_MAX; }
  void append_at(uint64_t index, SynthDraw& draw, ColumnBuilder& out) const override {
    // mix is one to one, so the low halves of different numbers differ.
    put(SynthRandom::mix(draw.who + 3), SynthRandom::mix(index ^ 0x5bd1e995), out);
  }

 private:
  static void put(uint64_t high, uint64_t low, ColumnBuilder& out) {
    char bytes[16];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(high >> (56 - 8 * i));
    for (int i = 0; i < 8; ++i) bytes[8 + i] = static_cast<char>(low >> (56 - 8 * i));
    // The variant takes two bits of the low half: they stand in the first byte instead.
    bytes[0] = static_cast<char>((bytes[0] & 0x3f) | (low >> 62) << 6);
    bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
    out.append_string(std::string_view(bytes, 16));
  }
};

// Real words that the field's rules let pass; none where they are few.
Result<std::vector<std::string>> words_accepted(const ContractField& field, TextSubject subject) {
  const FieldJudge judge = RUNINK_TRY(FieldJudge::make(field));
  std::vector<std::string> out;
  for (const auto& word : values_of(subject)) {
    if (judge.accepts(Value(word))) out.push_back(word);
  }
  if (out.size() < 5) out.clear();
  return out;
}

// Real words where the pattern lets enough of them pass; else null.
Result<ValueMakerPtr> words_that_match(const ContractField& field, TextSubject subject, const std::string& about) {
  if (subject == TextSubject::kWords || subject == TextSubject::kIdentifier) return ValueMakerPtr();
  const std::vector<std::string> accepted = RUNINK_TRY(words_accepted(field, subject));
  if (!accepted.empty()) return drawing_maker(field.type, std::vector<Value>(accepted.begin(), accepted.end()), true);
  if (!values_of(subject).empty()) return ValueMakerPtr();
  const FieldJudge judge = RUNINK_TRY(FieldJudge::make(field));
  // Put together of parts: samples tell.
  auto words = std::make_unique<WordsMaker>(field, subject, about);
  SynthDraw draw{SynthRandom(17), 0, {}};
  ColumnBuilder samples(field.type);
  for (uint64_t i = 0; i < 1000; ++i) {
    draw.who = SynthRandom::mix(i + 1);
    words->append(draw, samples);
  }
  const columnar::Column column = samples.finish();
  for (int64_t r = 0; r < column.length; ++r) {
    if (!judge.accepts(Value(column.text(r)))) return ValueMakerPtr();
  }
  return ValueMakerPtr(std::move(words));
}

}  // namespace

Result<ValueMakerPtr> text_maker(const ContractField& field, const MakerOptions& options) {
  TextSubject subject = text_subject(field.name, field.pii_kind, options.about);
  const uint64_t max = field.length_max.value_or(UINT64_MAX);
  if (subject == TextSubject::kCountry && max <= 3) subject = TextSubject::kCountryCode;
  if (field.pattern.empty()) return ValueMakerPtr(std::make_unique<WordsMaker>(field, subject, options.about));
  std::vector<TextSubject> subjects = {subject};
  if (subject == TextSubject::kWords) subjects.push_back(TextSubject::kAirport);
  if (subject == TextSubject::kCountry) subjects.push_back(TextSubject::kCountryCode);
  std::vector<std::string> words;
  for (const TextSubject s : subjects) {
    if (options.different > 0 && words.empty()) words = RUNINK_TRY(words_accepted(field, s));
    if (options.different > 0) continue;
    if (ValueMakerPtr maker = RUNINK_TRY(words_that_match(field, s, options.about))) return maker;
  }
  return ValueMakerPtr(std::make_unique<PatternMaker>(RUNINK_TRY(PatternText::parse(field.pattern)), std::move(words),
                                                      options.different, field.length_min.value_or(0), max));
}

ValueMakerPtr json_maker(const ContractField& field) {
  return std::make_unique<JsonMaker>(field.length_min.value_or(0), field.length_max.value_or(UINT64_MAX));
}

ValueMakerPtr bytes_maker(const ContractField& field) {
  const uint64_t max = field.length_max.value_or(UINT64_MAX);
  return std::make_unique<BytesMaker>(field.length_min.value_or(std::min<uint64_t>(8, max)), max);
}

ValueMakerPtr uuid_maker() { return std::make_unique<UuidMaker>(); }

}  // namespace runink::local
