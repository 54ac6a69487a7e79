#include "data/contract/json_schema_words.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace runink::contract {

using columnar::TypeId;

std::string schema_word(std::string_view key) {
  std::string out(kSchemaPrefix);
  for (const char c : key) {
    if (c >= 'A' && c <= 'Z') {
      out += '-';
      out += static_cast<char>(c | 0x20);
    } else {
      out += c;
    }
  }
  return out;
}
std::string key_of_word(std::string_view word) {
  std::string out;
  bool upper = false;
  for (const char c : word.substr(kSchemaPrefix.size())) {
    if (c == '-') {
      upper = true;
    } else {
      out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
      upper = false;
    }
  }
  return out;
}

DataType schema_type(const std::string& type, const Json& schema) {
  if (type == "boolean") return TypeId::kBool;
  if (type == "integer") return TypeId::kInt64;
  if (type == "number") return TypeId::kFloat64;
  if (type != "string") return TypeId::kJson;
  const std::string format =
      schema.contains("format") && schema["format"].is_string() ? schema["format"].get<std::string>() : "";
  if (format == "date") return TypeId::kDate;
  if (format == "date-time") return TypeId::kTimestamp;
  if (format == "duration") return TypeId::kDuration;
  if (format == "uuid") return TypeId::kUuid;
  if (schema.contains("contentEncoding") && schema["contentEncoding"] == "base64") return TypeId::kBytes;
  if (schema.contains("enum") && schema["enum"].is_array()) {
    std::vector<std::string> labels;
    for (const auto& label : schema["enum"]) {
      if (label.is_null()) continue;
      if (!label.is_string() || label.get_ref<const std::string&>().empty()) return TypeId::kString;
      if (std::find(labels.begin(), labels.end(), label.get<std::string>()) == labels.end()) labels.push_back(label);
    }
    if (!labels.empty()) return DataType::enumeration(std::move(labels));
  }
  return TypeId::kString;
}

}  // namespace runink::contract
