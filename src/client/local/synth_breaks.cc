#include "client/local/synth_breaks.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "data/columnar/text.h"

namespace runink::local {
namespace {

using columnar::int128;
using columnar::TypeId;
using columnar::Value;
using contract::ContractField;
using contract::RuleKind;

constexpr uint64_t kLongest = 1 << 20;  // a length limit above this is not broken: the records would be too long

// ---- JSON text ----------------------------------------------------------------------------------------------------------

size_t after_string(std::string_view json, size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
  }
  return std::min(at + 1, json.size());
}

size_t after_value(std::string_view json, size_t at) {
  if (at < json.size() && json[at] == '"') return after_string(json, at);
  int depth = 0;
  while (at < json.size()) {
    const char c = json[at];
    if (c == '"') {
      at = after_string(json, at);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']' || c == ',') {
      if (depth == 0) return at;
      if (c != ',' && --depth == 0) return at + 1;
    }
    ++at;
  }
  return at;
}

// ---- values that break a rule ---------------------------------------------------------------------------------------------

std::string value_text(const ContractField& field, const Value& value, bool json) {
  columnar::Field as_field{field.name, field.type, true, field.format, field.zone};
  auto writer = columnar::FieldText::make(as_field);
  if (!writer.ok()) return "";
  const columnar::Column column = columnar::make_column(field.type, {value});
  std::string out;
  if (json) writer->append_json(column, 0, out);
  else writer->append_plain(column, 0, out);
  return out;
}

bool fits(TypeId id, int128 value) {
  switch (id) {
    case TypeId::kInt8: return value >= INT8_MIN && value <= INT8_MAX;
    case TypeId::kInt16: return value >= INT16_MIN && value <= INT16_MAX;
    case TypeId::kInt32: return value >= INT32_MIN && value <= INT32_MAX;
    case TypeId::kUInt8: return value >= 0 && value <= UINT8_MAX;
    case TypeId::kUInt16: return value >= 0 && value <= UINT16_MAX;
    case TypeId::kUInt32: return value >= 0 && value <= UINT32_MAX;
    case TypeId::kUInt64: return value >= 0 && value <= static_cast<int128>(UINT64_MAX);
    case TypeId::kTime: return value >= 0 && value < int128{86'400'000'000};
    case TypeId::kDate: return value >= -719'162 && value <= 2'932'896;  // years 1 to 9999
    case TypeId::kTimestamp: return value >= int128{-62'135'596'800} * 1'000'000 && value <= int128{253'402'300'799} * 1'000'000;
    default: return value >= INT64_MIN && value <= INT64_MAX;
  }
}

std::optional<Value> moved(const ContractField& field, const Value& bound, int direction) {
  const TypeId id = field.type.id();
  if (const auto* number = std::get_if<double>(&bound.data)) return Value(*number + direction * (1 + std::abs(*number)));
  if (const auto* number = std::get_if<int128>(&bound.data)) {
    int128 most = 1;
    for (int i = 0; i < field.type.precision(); ++i) most *= 10;
    const int128 value = *number + direction;
    return value < most && value > -most ? std::optional<Value>(Value(value)) : std::nullopt;
  }
  int128 step = 1;
  if (id == TypeId::kTime || id == TypeId::kTimestamp || id == TypeId::kDuration) step = 1'000'000;
  if (id == TypeId::kTimestamp && !field.format.empty()) step = int128{86'400} * 1'000'000;
  if (id == TypeId::kTime && !field.format.empty()) step = int128{60} * 1'000'000;
  if (const auto* number = std::get_if<uint64_t>(&bound.data)) {
    const int128 value = static_cast<int128>(*number) + direction;
    return fits(id, value) ? std::optional<Value>(Value(static_cast<uint64_t>(value))) : std::nullopt;
  }
  const int128 value = static_cast<int128>(std::get<int64_t>(bound.data)) + direction * step;
  return fits(id, value) ? std::optional<Value>(Value(static_cast<int64_t>(value))) : std::nullopt;
}

std::string out_of_range(const ContractField& field, bool json) {
  std::optional<Value> value;
  if (field.max) value = moved(field, *field.max, 1);
  if (!value && field.min) value = moved(field, *field.min, -1);
  return value ? value_text(field, *value, json) : "";
}

std::string of_wrong_type(const ContractField& field, bool json) {
  switch (field.type.id()) {
    case TypeId::kString: return json ? "{\"broken\":true}" : "";
    case TypeId::kJson: return json ? "" : "{";
    case TypeId::kEnum: {
      std::string label = "broken";
      const auto& labels = field.type.labels();
      while (std::find(labels.begin(), labels.end(), label) != labels.end()) label += "?";
      return json ? json_quote(label) : label;
    }
    case TypeId::kBytes: return json ? "\"not base64!\"" : "not base64!";
    default: return json ? "\"broken\"" : "broken";
  }
}

std::string of_wrong_length(const ContractField& field, bool json) {
  const bool list = field.type.id() == TypeId::kList;
  std::optional<uint64_t> length;
  if (field.length_max && *field.length_max < kLongest) length = *field.length_max + 1;
  else if (field.length_min && *field.length_min > 0 && *field.length_min <= kLongest) length = *field.length_min - 1;
  if (!length) return "";
  if (!list) return value_text(field, Value(std::string(*length, 'x')), json);
  auto maker = make_value_maker(field, {});
  if (!maker.ok()) return "";
  // Elements of lists that makers make, until there are enough.
  SynthRandom random(7);
  columnar::ColumnBuilder builder(field.type);
  std::vector<Value> elements;
  for (int attempt = 0; elements.size() < *length && attempt < 1'000'000; ++attempt) {
    (*maker)->append(random, builder);
    const columnar::Column one = builder.finish();
    const Value list_value = columnar::value_at(one, 0);
    for (const auto& element : list_value.as_vector()) elements.push_back(element);
  }
  if (elements.size() < *length) return "";
  elements.resize(*length);
  return value_text(field, Value(std::move(elements)), json);
}

std::string not_accepted(const ContractField& field, bool json) {
  auto judge = FieldJudge::make(field);
  if (!judge.ok()) return "";
  std::vector<Value> candidates;
  if (field.type.id() == TypeId::kString) {
    ContractField only_this = field;  // the pattern, or the list, alone: other rules need not be broken too
    for (const char* text : {"broken", "?", "Broken 1!", "~~~", "0", "x\ty"}) candidates.emplace_back(text);
    only_this.length_min.reset();
    only_this.length_max.reset();
    judge = FieldJudge::make(only_this);
  } else if (!field.one_of.empty()) {
    for (const Value& known : field.one_of) {
      for (const int direction : {1, -1}) {
        if (field.type.id() == TypeId::kEnum || field.type.id() == TypeId::kUuid || field.type.id() == TypeId::kBytes) break;
        if (auto value = moved(field, known, direction)) candidates.push_back(std::move(*value));
      }
    }
    for (size_t i = 0; field.type.id() == TypeId::kEnum && i < field.type.labels().size(); ++i) candidates.emplace_back(static_cast<int64_t>(i));
    if (field.type.id() == TypeId::kUuid) candidates.emplace_back(std::string(16, '\x5a'));
    if (field.type.id() == TypeId::kBytes) candidates.emplace_back("broken");
  }
  for (const auto& candidate : candidates) {
    if (judge.ok() && !judge->accepts(candidate)) return value_text(field, candidate, json);
  }
  return "";
}

std::string broken_text(const ContractField& field, RuleKind kind, bool json) {
  switch (kind) {
    case RuleKind::kType: return of_wrong_type(field, json);
    case RuleKind::kRequired: return json ? "null" : "";
    case RuleKind::kRange: return out_of_range(field, json);
    case RuleKind::kLength: return of_wrong_length(field, json);
    case RuleKind::kPattern: case RuleKind::kOneOf: return not_accepted(field, json);
    default: return "";
  }
}

// A whole list, one of whose elements breaks the rule of a member: JSON text; empty where that cannot be done.
std::string broken_list(const ContractField& field, const contract::Rule& rule) {
  auto maker = make_value_maker(field, {1767225600'000'000, 0});
  if (!maker.ok() || rule.element.empty()) return "";
  std::vector<std::string> path;
  const ContractField* member = &field;
  for (const int index : rule.element) {
    if (static_cast<size_t>(index) >= member->elements.size()) return "";
    member = &member->elements[static_cast<size_t>(index)];
    path.push_back("[0]");
    path.push_back(member->name);
  }
  const std::string text = broken_text(*member, rule.element_kind, true);
  if (text.empty()) return "";
  SynthRandom random(11);
  columnar::ColumnBuilder builder(field.type);
  for (int attempt = 0; attempt < 200; ++attempt) {
    (*maker)->append(random, builder);
    const columnar::Column one = builder.finish();
    std::string list = value_text(field, columnar::value_at(one, 0), true);
    const Span span = find_json_value(list, path);
    if (span.length == 0) continue;
    return list.replace(span.offset, span.length, text);
  }
  return "";
}

}  // namespace

Span find_json_value(std::string_view json, const std::vector<std::string>& path) {
  size_t at = 0;
  for (const auto& step : path) {
    if (at >= json.size()) return {};
    if (step == "[0]") {
      if (json[at] != '[' || at + 1 >= json.size() || json[at + 1] == ']') return {};
      ++at;
      continue;
    }
    if (json[at] != '{') return {};
    const std::string name = json_quote(step);
    for (++at;;) {
      if (at >= json.size() || json[at] != '"') return {};
      const size_t end = after_string(json, at);
      const bool here = json.substr(at, end - at) == name;
      at = end + 1;  // the colon
      if (here) break;
      at = after_value(json, at);
      if (at >= json.size() || json[at] != ',') return {};
      ++at;
    }
  }
  return {at, after_value(json, at) - at};
}

Result<std::unique_ptr<RecordBreaker>> RecordBreaker::make(contract::ContractPtr contract, const SynthOptions& options) {
  std::unique_ptr<RecordBreaker> breaker(new RecordBreaker(std::move(contract), options));
  RUNINK_RETURN_IF_ERROR(breaker->prepare());
  return breaker;
}

Status RecordBreaker::prepare() {
  const bool json = options_.format == connectors::DataFormat::kNdjson;
  for (const auto& rule : contract_->rules) {
    std::string text;
    if (rule.column >= 0) {
      const ContractField& field = contract_->fields[static_cast<size_t>(rule.column)];
      if (rule.kind == RuleKind::kElements) {
        text = broken_list(field, rule);
        if (!text.empty() && !json) text = cell(text);
      } else if (rule.kind == RuleKind::kRequired && !json) {
        text = options_.csv.delimiter;  // stands for a cell without any bytes
      } else {
        text = broken_text(field, rule.kind, json);
        if (!text.empty() && !json) text = cell(text);
      }
    }
    replacements_.push_back(std::move(text));
  }
  return {};
}

std::string RecordBreaker::cell(std::string_view text) const {
  const auto& csv = options_.csv;
  if (csv.quote == 0) return std::string(text);
  std::string out(1, csv.quote);
  for (const char c : text) {
    if (c == csv.quote || (csv.escape != 0 && c == csv.escape)) out += csv.escape != 0 ? csv.escape : csv.quote;
    out += c;
  }
  return out + csv.quote;
}

std::string RecordBreaker::broken_record(std::string_view record) const {
  while (record.ends_with('\n') || record.ends_with('\r')) record.remove_suffix(1);
  const std::string end = options_.csv.crlf && options_.format == connectors::DataFormat::kCsv ? "\r\n" : "\n";
  if (options_.format == connectors::DataFormat::kCsv) return std::string(record) + options_.csv.delimiter + "broken" + end;
  // It ends where another member should begin: inside a value it would be that field's fault.
  const size_t first = record.find(':');
  const size_t cut = first == std::string_view::npos ? record.size() : after_value(record, first + 1);
  if (cut >= record.size() || record[cut] != ',') return std::string(record) + "}" + end;
  return std::string(record.substr(0, cut + 1)) + end;
}

std::string RecordBreaker::broken(int rule, std::string_view record) const {
  if (rule == contract::Contract::kRecordRule) return broken_record(record);
  const std::string& replacement = replacements_[static_cast<size_t>(rule)];
  const int column = contract_->rules[static_cast<size_t>(rule)].column;
  std::string out(record);
  if (options_.format == connectors::DataFormat::kNdjson) {
    std::vector<std::string> path;
    for (const auto part : split(contract_->fields[static_cast<size_t>(column)].name, '.')) path.emplace_back(part);
    const Span span = find_json_value(record, path);
    return span.length == 0 ? "" : out.replace(span.offset, span.length, replacement);
  }
  const auto& csv = options_.csv;
  size_t begin = 0;
  bool quoted = false;
  int cell_number = 0;
  for (size_t at = 0; at < record.size(); ++at) {
    const char c = record[at];
    if (quoted && csv.escape != 0 && c == csv.escape) {
      ++at;
      continue;
    }
    if (csv.quote != 0 && c == csv.quote) quoted = !quoted;
    const bool end = !quoted && (c == csv.delimiter || c == '\n' || c == '\r');
    if (!end) continue;
    if (cell_number++ == column) {
      const bool empty = replacement == std::string(1, csv.delimiter);
      return out.replace(begin, at - begin, empty ? "" : replacement);
    }
    if (c != csv.delimiter) break;
    begin = at + 1;
  }
  return "";
}

}  // namespace runink::local
