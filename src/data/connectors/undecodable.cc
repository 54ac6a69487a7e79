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
  size_t length = 0;
  if (value[0] == '"') {
    length = 1;
    while (length < value.size() && value[length] != '"') length += value[length] == '\\' ? 2 : 1;
    length = std::min(length + 1, value.size());
  } else {
    while (length < value.size() && std::string_view(",}] \t\r\n").find(value[length]) == std::string_view::npos)
      ++length;
  }
  return shortened(value.substr(0, length));
}

}  // namespace

std::string describe(const UndecodableRecord& bad, const columnar::Schema& schema, std::string_view record,
                     bool hide_value) {
  std::string out;
  const bool has_field = bad.field >= 0 && static_cast<size_t>(bad.field) < schema.size();
  const std::string type = has_field ? schema.field(static_cast<size_t>(bad.field)).type.to_string() : "";
  if (has_field) out = "field " + schema.field(static_cast<size_t>(bad.field)).name + ": ";
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
      out += fmt::format("{} does not fit {}", value, type);
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
  }
  return out + fmt::format(" (byte {})", bad.at);
}

}  // namespace runink::connectors
