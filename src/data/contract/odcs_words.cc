#include "data/contract/odcs_words.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace runink::contract {

using columnar::TypeId;

namespace {

constexpr std::string_view kPrefix = "runink";

struct LetterPair {
  char ours;
  const char* java;
};
constexpr LetterPair kLetters[] = {{'Y', "yyyy"}, {'y', "yy"},   {'m', "MM"},     {'d', "dd"}, {'j', "DDD"},
                                   {'b', "MMM"},  {'B', "MMMM"}, {'H', "HH"},     {'I', "hh"}, {'p', "a"},
                                   {'M', "mm"},   {'S', "ss"},   {'f', "SSSSSS"}, {'z', "xx"}};

}  // namespace

std::string with_prefix(std::string_view key) {
  std::string out(kPrefix);
  out += static_cast<char>(key[0] >= 'a' && key[0] <= 'z' ? key[0] - 32 : key[0]);
  return out.append(key.substr(1));
}
std::string without_prefix(std::string_view property) {
  if (property.size() <= kPrefix.size() || !property.starts_with(kPrefix)) return {};
  std::string key(property.substr(kPrefix.size()));
  key[0] = static_cast<char>(key[0] >= 'A' && key[0] <= 'Z' ? key[0] + 32 : key[0]);
  return key;
}

std::string java_format(std::string_view format) {
  std::string out, literal;
  const auto flush = [&] {
    const bool letters =
        std::any_of(literal.begin(), literal.end(), [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; });
    if (literal.find('\'') != std::string::npos) return false;
    out += letters ? "'" + literal + "'" : literal;
    literal.clear();
    return true;
  };
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      literal += format[i];
      continue;
    }
    if (++i >= format.size() || !flush()) return {};
    if (format[i] == 'F') {
      out += "yyyy-MM-dd";
    } else if (format[i] == 'T') {
      out += "HH:mm:ss";
    } else {
      const auto at = std::find_if(std::begin(kLetters), std::end(kLetters),
                                   [&](const LetterPair& pair) { return pair.ours == format[i]; });
      if (at == std::end(kLetters)) return {};
      out += at->java;
    }
  }
  return flush() ? out : std::string();
}

std::string our_format(std::string_view java) {
  std::string out;
  for (size_t i = 0; i < java.size();) {
    const char c = java[i];
    if (c == '\'') {
      const size_t end = java.find('\'', i + 1);
      if (end == std::string_view::npos) return {};
      out += end == i + 1 ? std::string("'") : std::string(java.substr(i + 1, end - i - 1));
      i = end + 1;
      continue;
    }
    if ((c | 0x20) < 'a' || (c | 0x20) > 'z') {
      out += c == '%' ? std::string("%%") : std::string(1, c);
      ++i;
      continue;
    }
    size_t run = 1;
    while (i + run < java.size() && java[i + run] == c) ++run;
    const std::string_view letters = java.substr(i, run);
    const auto at = std::find_if(std::begin(kLetters), std::end(kLetters),
                                 [&](const LetterPair& pair) { return letters == pair.java; });
    if (at != std::end(kLetters)) {
      out += std::string("%") + at->ours;
    } else if (letters == "uuuu") {
      out += "%Y";
    } else {
      return {};
    }
    i += run;
  }
  return out;
}

DataType odcs_type(const std::string& logical, const Json& property) {
  const Json empty = Json::object();
  const Json& options = property.contains("logicalTypeOptions") && property["logicalTypeOptions"].is_object()
                            ? property["logicalTypeOptions"]
                            : empty;
  const std::string format =
      options.contains("format") && options["format"].is_string() ? options["format"].get<std::string>() : "";
  if (logical == "boolean") return TypeId::kBool;
  if (logical == "date") return TypeId::kDate;
  if (logical == "time") return TypeId::kTime;
  if (logical == "timestamp") return TypeId::kTimestamp;
  if (logical == "integer") {
    static const std::pair<const char*, TypeId> widths[] = {
        {"i8", TypeId::kInt8},  {"i16", TypeId::kInt16},  {"i32", TypeId::kInt32},  {"i64", TypeId::kInt64},
        {"u8", TypeId::kUInt8}, {"u16", TypeId::kUInt16}, {"u32", TypeId::kUInt32}, {"u64", TypeId::kUInt64}};
    for (const auto& [word, id] : widths) {
      if (format == word) return id;
    }
    return TypeId::kInt64;
  }
  if (logical == "number") return format == "f32" ? TypeId::kFloat32 : TypeId::kFloat64;
  if (logical == "string") {
    if (format == "uuid") return TypeId::kUuid;
    if (format == "byte" || format == "binary") return TypeId::kBytes;
    return TypeId::kString;
  }
  return TypeId::kJson;
}

}  // namespace runink::contract
