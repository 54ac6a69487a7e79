#include "data/expr/type_text.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/nearest.h"
#include "base/text.h"
#include "data/expr/ast.h"

namespace runink::expr {

using columnar::DataType;
using columnar::TypeId;

namespace {

constexpr std::array<std::pair<std::string_view, TypeId>, 19> kPlainTypes = {{
    {"bool", TypeId::kBool},           {"int8", TypeId::kInt8},         {"int16", TypeId::kInt16},
    {"int32", TypeId::kInt32},         {"int64", TypeId::kInt64},       {"uint8", TypeId::kUInt8},
    {"uint16", TypeId::kUInt16},       {"uint32", TypeId::kUInt32},     {"uint64", TypeId::kUInt64},
    {"float32", TypeId::kFloat32},     {"float64", TypeId::kFloat64},   {"string", TypeId::kString},
    {"bytes", TypeId::kBytes},         {"date", TypeId::kDate},         {"time", TypeId::kTime},
    {"timestamp", TypeId::kTimestamp}, {"duration", TypeId::kDuration}, {"uuid", TypeId::kUuid},
    {"json", TypeId::kJson},
}};

// Names of other systems.
constexpr std::array<std::pair<std::string_view, std::string_view>, 20> kForeignTypes = {{
    {"int", "int32 or int64"}, {"integer", "int32 or int64"},
    {"bigint", "int64"},       {"smallint", "int16"},
    {"tinyint", "int8"},       {"float", "float64"},
    {"double", "float64"},     {"real", "float32"},
    {"text", "string"},        {"varchar", "string"},
    {"char", "string"},        {"str", "string"},
    {"boolean", "bool"},       {"numeric", "decimal(12,2)"},
    {"number", "float64"},     {"datetime", "timestamp"},
    {"interval", "duration"},  {"blob", "bytes"},
    {"binary", "bytes"},       {"object", "json"},
}};

constexpr int kMaxTypeDepth = 16;

class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : text_(text) {}
  size_t pos() const { return pos_; }

  Result<DataType> type(int depth = 0) {
    if (depth > kMaxTypeDepth) return invalid_argument("a type is nested at most {} deep", kMaxTypeDepth);
    const std::string name = word();
    if (name.empty())
      return invalid_argument("a type was expected")
          .with_hint("types are int32, float64, decimal(12,2), string, timestamp, …");
    if (const auto plain = plain_type(name)) return *plain;
    if (name == "decimal") return decimal();
    if (name == "list") {
      if (!take('<')) return invalid_argument("list needs the type of its elements").with_hint("write list<string>");
      DataType element = RUNINK_TRY(type(depth + 1));
      if (!take('>')) return invalid_argument("list<…> is not closed with >");
      return DataType::list(std::move(element));
    }
    if (name == "enum") return enumeration();
    return unknown(name);
  }

  void skip_space() {
    while (pos_ < text_.size() &&
           (text_[pos_] == ' ' || text_[pos_] == '\t' || text_[pos_] == '\n' || text_[pos_] == '\r'))
      ++pos_;
  }

 private:
  bool take(char c) {
    skip_space();
    if (pos_ >= text_.size() || text_[pos_] != c) return false;
    ++pos_;
    return true;
  }
  std::string word() {
    skip_space();
    const size_t begin = pos_;
    while (pos_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[pos_])) || text_[pos_] == '_')) ++pos_;
    return std::string(text_.substr(begin, pos_ - begin));
  }
  Result<int> number() {
    const std::string digits = word();
    if (digits.empty() || digits.size() > 3 ||
        !std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return invalid_argument("a number was expected");
    }
    return std::stoi(digits);
  }
  Result<DataType> decimal() {
    const auto wrong = [] {
      return invalid_argument("decimal needs its number of digits and how many of them stand after the point")
          .with_hint("write decimal(12,2): 1 to 38 digits, of which 0 or more after the point");
    };
    if (!take('(')) return wrong();
    const Result<int> precision = number();
    if (!precision.ok() || !take(',')) return wrong();
    const Result<int> scale = number();
    if (!scale.ok() || !take(')')) return wrong();
    if (*precision < 1 || *precision > 38 || *scale < 0 || *scale > *precision) return wrong();
    return DataType::decimal(*precision, *scale);
  }
  Result<DataType> enumeration() {
    if (!take('(')) return invalid_argument("enum needs its labels").with_hint("write enum(a, b, \"N/A\")");
    std::vector<std::string> labels;
    do {
      skip_space();
      std::string label;
      if (pos_ < text_.size() && (text_[pos_] == '"' || text_[pos_] == '\'')) {
        const char quote = text_[pos_++];
        while (pos_ < text_.size() && text_[pos_] != quote) {
          if (text_[pos_] == '\\' && pos_ + 1 < text_.size()) ++pos_;
          label.push_back(text_[pos_++]);
        }
        if (pos_ >= text_.size()) return invalid_argument("an enum's label has no closing quote");
        ++pos_;
        const bool control = std::any_of(label.begin(), label.end(),
                                         [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
        if (label.empty() || control || !is_valid_utf8(label)) {
          return invalid_argument("an enum's label is a text of at least one character, without control bytes");
        }
      } else {
        label = word();
        if (label.empty()) return invalid_argument("a label was expected").with_hint("write enum(a, b, \"N/A\")");
      }
      if (std::find(labels.begin(), labels.end(), label) != labels.end()) {
        return invalid_argument("the label {} occurs twice", json_quote(label));
      }
      labels.push_back(std::move(label));
    } while (take(','));
    if (!take(')')) return invalid_argument("enum(…) is not closed with )");
    return DataType::enumeration(std::move(labels));
  }
  Status unknown(const std::string& name) {
    for (const auto& [foreign, ours] : kForeignTypes) {
      if (equals_ignore_case(name, foreign))
        return invalid_argument("there is no type `{}`", name).with_hint(fmt::format("write {}", ours));
    }
    std::vector<std::string> names;
    for (const auto& [plain, id] : kPlainTypes) names.emplace_back(plain);
    names.insert(names.end(), {"decimal", "enum", "list"});
    const auto near = nearest(name, names);
    return invalid_argument("there is no type `{}`", name)
        .with_hint(
            near.empty()
                ? "types are bool, int8 … int64, uint8 … uint64, float32, float64, decimal(p,s), string, bytes, date, "
                  "time, timestamp, duration, uuid, json, list<…>, enum(…)"
                : fmt::format("did you mean `{}`?", near[0]));
  }

  std::string_view text_;
  size_t pos_ = 0;
};

}  // namespace

std::optional<DataType> plain_type(std::string_view name) {
  for (const auto& [plain, id] : kPlainTypes) {
    if (plain == name) return DataType(id);
  }
  return std::nullopt;
}

Result<DataType> parse_type_prefix(std::string_view text, size_t* used) {
  TypeParser parser(text);
  Result<DataType> type = parser.type();
  *used = parser.pos();
  return type;
}

Result<DataType> parse_type(std::string_view text) {
  size_t used = 0;
  TypeParser parser(text);
  DataType type = RUNINK_TRY(parser.type());
  parser.skip_space();
  used = parser.pos();
  if (used != text.size()) {
    return invalid_argument("`{}` was not expected after the type {}", escape_control(text.substr(used)),
                            type.to_string());
  }
  return type;
}

}  // namespace runink::expr
