// Names and messages of undecodable records.
#include <algorithm>

#include "base/text.h"
#include "data/connectors/record_reader.h"

namespace runink::connectors {

std::string_view undecodable_name(Undecodable reason) {
  switch (reason) {
    case Undecodable::kSyntax:
      return "syntax";
    case Undecodable::kTruncated:
      return "truncated";
    case Undecodable::kTrailing:
      return "trailing_text";
    case Undecodable::kNotAnObject:
      return "not_an_object";
    case Undecodable::kTooDeep:
      return "too_deep";
    case Undecodable::kDuplicateKey:
      return "duplicate_key";
    case Undecodable::kInvalidUtf8:
      return "invalid_utf8";
    case Undecodable::kLoneSurrogate:
      return "lone_surrogate";
    case Undecodable::kControlCharacter:
      return "control_character";
    case Undecodable::kWrongType:
      return "wrong_type";
    case Undecodable::kOutOfRange:
      return "out_of_range";
    case Undecodable::kBadText:
      return "bad_text";
    case Undecodable::kColumnCount:
      return "column_count";
    case Undecodable::kUnterminatedQuote:
      return "unterminated_quote";
    case Undecodable::kLoneCarriageReturn:
      return "lone_carriage_return";
    case Undecodable::kTooLong:
      return "too_long";
    case Undecodable::kTooFine:
      return "too_fine";
  }
  return "unknown";
}

namespace {

constexpr size_t kShown = 40;

std::string shortened(std::string_view value) {
  size_t end = std::min(value.size(), kShown);
  while (end > 0 && end < value.size() && (static_cast<uint8_t>(value[end]) & 0xC0) == 0x80) --end;
  return escape_control(value.substr(0, end)) + (end < value.size() ? "…" : "");
}

size_t digits(std::string_view text, size_t at) {
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at;
}

// How long the JSON value is that the text begins with, by what its own syntax says and nothing else: where a comma is
// missing, the next member stands right behind it.
size_t value_length(std::string_view text) {
  if (text[0] == '"') {
    size_t at = 1;
    while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
    return std::min(at + 1, text.size());
  }
  for (const std::string_view word : {"true", "false", "null"}) {
    if (text.starts_with(word)) return word.size();
  }
  size_t at = digits(text, text[0] == '-' ? 1 : 0);
  if (at < text.size() && text[at] == '.') at = digits(text, at + 1);
  if (at > 0 && at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    const bool sign = at + 1 < text.size() && (text[at + 1] == '+' || text[at + 1] == '-');
    at = digits(text, at + (sign ? 2 : 1));
  }
  return at;
}

// The wrong value, shortened, for people: never a byte of what stands behind it.
std::string value_shown(const UndecodableRecord& bad, std::string_view record) {
  if (bad.at > record.size()) return "";
  if (bad.cell != UndecodableRecord::kNotACell) {
    const std::string_view cell = record.substr(bad.at, bad.cell);
    return cell.empty() ? "an empty text" : shortened(cell);
  }
  if (bad.at >= record.size()) return "";
  std::string_view value = record.substr(bad.at);
  if (value[0] == '{') return "an object";
  if (value[0] == '[') return "a list";
  size_t length = value_length(value);
  if (length == 0) length = std::min(value.find_first_of(",:{}[]\" \t\r\n"), value.size());  // no value at all
  return shortened(value.substr(0, length));
}

}  // namespace

std::string_view struct_name(const UndecodableRecord& bad, const columnar::Schema& schema) {
  const std::string_view name = schema.field(static_cast<size_t>(bad.field)).name;
  size_t end = 0;
  for (int part = 0; part < bad.struct_parts && end < name.size(); ++part) {
    end = std::min(name.find('.', end + (part > 0 ? 1 : 0)), name.size());
  }
  return name.substr(0, end);
}

std::string describe(const UndecodableRecord& bad, const columnar::Schema& schema, std::string_view record,
                     bool hide_value) {
  std::string out;
  const bool has_field = bad.field >= 0 && static_cast<size_t>(bad.field) < schema.size();
  const std::string type = !has_field             ? ""
                           : bad.struct_parts > 0 ? "struct"
                                                  : schema.field(static_cast<size_t>(bad.field)).type.to_string();
  if (has_field && bad.struct_parts > 0) {
    out = fmt::format("field {}: ", struct_name(bad, schema));
  } else if (has_field) {
    out = "field " + schema.field(static_cast<size_t>(bad.field)).name + ": ";
  }
  const std::string shown = hide_value ? "" : value_shown(bad, record);
  const std::string value = shown.empty() ? "the value" : shown;
  switch (bad.reason) {
    case Undecodable::kSyntax:
      out += shown.empty() ? "not well formed" : "not well formed at " + shown;
      break;
    case Undecodable::kTruncated:
      out += "the record ends in the middle";
      break;
    case Undecodable::kTrailing:
      out += "text after the end of the object";
      break;
    case Undecodable::kNotAnObject:
      out += "the line is JSON, but not an object";
      break;
    case Undecodable::kTooDeep:
      out += fmt::format("nested deeper than {} levels", kMaxDepth);
      break;
    case Undecodable::kDuplicateKey:
      out += "the field is there twice";
      break;
    case Undecodable::kInvalidUtf8:
      out += "bytes that are not UTF-8";
      break;
    case Undecodable::kLoneSurrogate:
      out += "half of a surrogate pair without the other half";
      break;
    case Undecodable::kControlCharacter:
      out += "a raw control character inside a text";
      break;
    case Undecodable::kWrongType:
      out += fmt::format("{} is no {}", value, type.empty() ? "value of the type" : type);
      break;
    case Undecodable::kOutOfRange:
      out += fmt::format("{} does not fit {}", value, type.empty() ? "the type" : type);
      break;
    case Undecodable::kBadText:
      out += fmt::format("{} is not the text of a {}", value, type.empty() ? "value of the type" : type);
      if (has_field && !schema.field(static_cast<size_t>(bad.field)).format.empty()) {
        out += fmt::format(" in the format {}", schema.field(static_cast<size_t>(bad.field)).format);
      }
      break;
    case Undecodable::kColumnCount:
      return fmt::format("the record has {} cells, which is not what the header has", bad.at);
    case Undecodable::kUnterminatedQuote:
      out += "a quote is opened and never closed; all up to the end of the file belongs to it";
      break;
    case Undecodable::kLoneCarriageReturn:
      out += "a carriage return in the middle of an unquoted cell";
      break;
    case Undecodable::kTooLong:
      out += "the record is too long";
      break;
    case Undecodable::kTooFine:
      out += fmt::format("{} is finer than a {}", value, type == "date" ? "day" : "microsecond");
      break;
  }
  return out + fmt::format(" (byte {})", bad.at);
}

}  // namespace runink::connectors
