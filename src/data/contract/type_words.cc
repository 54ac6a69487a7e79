#include "data/contract/type_words.h"

#include <map>

#include "base/text.h"
#include "data/contract/attributes.h"
#include "data/contract/parse.h"

namespace runink::contract {

using columnar::TypeId;

const std::vector<std::pair<const char*, TypeId>>& plain_types() {
  static const std::vector<std::pair<const char*, TypeId>> types = {
      {"bool", TypeId::kBool},           {"int8", TypeId::kInt8},         {"int16", TypeId::kInt16},
      {"int32", TypeId::kInt32},         {"int64", TypeId::kInt64},       {"uint8", TypeId::kUInt8},
      {"uint16", TypeId::kUInt16},       {"uint32", TypeId::kUInt32},     {"uint64", TypeId::kUInt64},
      {"float32", TypeId::kFloat32},     {"float64", TypeId::kFloat64},   {"string", TypeId::kString},
      {"bytes", TypeId::kBytes},         {"date", TypeId::kDate},         {"time", TypeId::kTime},
      {"timestamp", TypeId::kTimestamp}, {"duration", TypeId::kDuration}, {"uuid", TypeId::kUuid},
      {"json", TypeId::kJson},
  };
  return types;
}

std::string known_elsewhere(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> words = {{"int", "int32 or int64"},
                                                                        {"integer", "int32 or int64"},
                                                                        {"long", "int64"},
                                                                        {"bigint", "int64"},
                                                                        {"short", "int16"},
                                                                        {"smallint", "int16"},
                                                                        {"tinyint", "int8"},
                                                                        {"float", "float32 or float64"},
                                                                        {"double", "float64"},
                                                                        {"real", "float32"},
                                                                        {"number", "int64, float64 or decimal(12, 2)"},
                                                                        {"numeric", "decimal(12, 2)"},
                                                                        {"varchar", "string"},
                                                                        {"char", "string"},
                                                                        {"text", "string"},
                                                                        {"str", "string"},
                                                                        {"boolean", "bool"},
                                                                        {"datetime", "timestamp"},
                                                                        {"binary", "bytes"},
                                                                        {"blob", "bytes"},
                                                                        {"interval", "duration"},
                                                                        {"array", "list<…>"},
                                                                        {"object", "a struct"},
                                                                        {"map", "json"},
                                                                        {"guid", "uuid"}};
  const auto at = words.find(to_lower_ascii(name));
  return at == words.end() ? std::string() : at->second;
}

bool is_reserved_word(std::string_view name) {
  for (const auto& [word, id] : plain_types()) {
    if (name == word) return true;
  }
  for (const char* word : {"decimal", "enum", "list", "struct", "contract", "import", "check", "quality"}) {
    if (name == word) return true;
  }
  return false;
}

const std::vector<WordHelp>& type_words() {
  static const std::vector<WordHelp> words = {
      {"bool", "bool", "true or false"},
      {"int8", "int8", "-128 to 127"},
      {"int16", "int16", "-32768 to 32767"},
      {"int32", "int32", "whole number of 32 bits"},
      {"int64", "int64", "whole number of 64 bits"},
      {"uint8", "uint8", "0 to 255"},
      {"uint16", "uint16", "0 to 65535"},
      {"uint32", "uint32", "whole number of 32 bits, not negative"},
      {"uint64", "uint64", "whole number of 64 bits, not negative"},
      {"float32", "float32", "binary floating point, about 7 digits"},
      {"float64", "float64", "binary floating point, about 15 digits"},
      {"decimal", "decimal(12, 2)", "exact number: digits in all (up to 38), digits after the point"},
      {"string", "string", "UTF-8 text"},
      {"bytes", "bytes", "any bytes; base64 in text formats"},
      {"date", "date", "day, without time and zone"},
      {"time", "time", "time of day, to the microsecond"},
      {"timestamp", "timestamp", "instant, microseconds, UTC"},
      {"duration", "duration", "length of time, microseconds"},
      {"uuid", "uuid", "128 bits, written as 8-4-4-4-12 hexadecimal digits"},
      {"json", "json", "any JSON value, kept as text"},
      {"enum", "enum(a, b, \"N/A\")", "one of a fixed list of words"},
      {"list", "list<type>", "values of one type, in order"},
      {"struct", "struct { … }", "fields together; each becomes a column of its own"},
  };
  return words;
}

static std::vector<WordHelp> attribute_words(unsigned places) {
  std::vector<WordHelp> words;
  for (const auto& info : attribute_table()) {
    if ((info.places & places) != 0) words.push_back({info.name, info.use, info.help});
  }
  return words;
}
const std::vector<WordHelp>& field_attributes() {
  static const auto words = attribute_words(kOnField | kOnStruct);
  return words;
}
const std::vector<WordHelp>& contract_attributes() {
  static const auto words = attribute_words(kOnContract);
  return words;
}

}  // namespace runink::contract
