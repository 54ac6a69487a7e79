#include "client/local/synth_breaks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/text.h"
#include "client/local/pattern_text.h"
#include "client/local/synth_values.h"
#include "data/columnar/value.h"

namespace runink::local {
namespace {

using columnar::int128;
using columnar::TypeId;
using columnar::Value;
using contract::ContractField;
using contract::RuleKind;

constexpr uint64_t kLongestText = 1 << 20;  // a limit above this is not broken: the records would be too long
constexpr uint64_t kLongestList = 10'000;

// ---- typed values
// --------------------------------------------------------------------------------------------------------

// A field with one of its rules only, or with all but that one.
ContractField with_only(const ContractField& field, RuleKind kind) {
  ContractField out = field;
  if (kind != RuleKind::kRange) out.min.reset(), out.max.reset();
  if (kind != RuleKind::kLength) out.length_min.reset(), out.length_max.reset();
  if (kind != RuleKind::kPattern) out.pattern.clear();
  if (kind != RuleKind::kOneOf) out.one_of.clear();
  return out;
}
ContractField without(const ContractField& field, RuleKind kind) {
  ContractField out = field;
  if (kind == RuleKind::kRange) out.min.reset(), out.max.reset();
  if (kind == RuleKind::kLength) out.length_min.reset(), out.length_max.reset();
  if (kind == RuleKind::kPattern) out.pattern.clear();
  if (kind == RuleKind::kOneOf) out.one_of.clear();
  return out;
}

bool fits(TypeId id, int128 value) {
  switch (id) {
    case TypeId::kInt8:
      return value >= INT8_MIN && value <= INT8_MAX;
    case TypeId::kInt16:
      return value >= INT16_MIN && value <= INT16_MAX;
    case TypeId::kInt32:
      return value >= INT32_MIN && value <= INT32_MAX;
    case TypeId::kUInt8:
      return value >= 0 && value <= UINT8_MAX;
    case TypeId::kUInt16:
      return value >= 0 && value <= UINT16_MAX;
    case TypeId::kUInt32:
      return value >= 0 && value <= UINT32_MAX;
    case TypeId::kUInt64:
      return value >= 0 && value <= static_cast<int128>(UINT64_MAX);
    case TypeId::kTime:
      return value >= 0 && value < int128{86'400'000'000};
    case TypeId::kDate:
      return value >= -719'162 && value <= 2'932'896;  // years 1 to 9999
    case TypeId::kTimestamp:
      return value >= int128{-62'135'596'800} * 1'000'000 && value <= int128{253'402'300'799} * 1'000'000;
    default:
      return value >= INT64_MIN && value <= INT64_MAX;
  }
}

void add_lengths(const ContractField& field, uint64_t length, int64_t now_micros, std::vector<Value>* out) {
  if (field.type.id() == TypeId::kList) {
    if (length > kLongestList) return;
    ContractField any_length = field;
    any_length.length_min = std::min<uint64_t>(length, 3);
    any_length.length_max = std::max<uint64_t>(*any_length.length_min, 3);
    auto maker = make_value_maker(any_length, {now_micros, 0, {}});
    if (!maker.ok()) return;
    SynthDraw draw{SynthRandom(7), 0, {}};
    columnar::ColumnBuilder builder(field.type);
    std::vector<Value> elements;
    for (uint64_t i = 0; elements.size() < length && i < kLongestList; ++i) {
      draw.who = SynthRandom::mix(i);
      (*maker)->append(draw, builder);
      const Value made = columnar::value_at(builder.finish(), 0);
      elements.insert(elements.end(), made.as_vector().begin(), made.as_vector().end());
    }
    if (elements.size() < length) return;
    elements.resize(length);
    out->emplace_back(std::move(elements));
    return;
  }
  if (length > kLongestText) return;
  if (field.type.id() == TypeId::kJson) {
    if (length >= 2)
      out->emplace_back("\"" + std::string(length - 2, 'x') + "\"");
    else if (length == 1)
      out->emplace_back("7");
    return;
  }
  if (!field.pattern.empty()) {
    if (const auto pattern = PatternText::parse(field.pattern); pattern.ok()) {
      std::string text;
      pattern->form(1, length, length).append_at(0, text);
      out->emplace_back(std::move(text));
    }
  }
  for (const char c : {'x', 'X', '0'}) out->emplace_back(std::string(length, c));
}

// Texts that hardly any pattern or list accepts, among them some as long as good ones.
void add_other_texts(const ContractField& field, int64_t now_micros, std::vector<Value>* out) {
  auto maker = make_value_maker(field, {now_micros, 0, {}});
  if (maker.ok()) {
    SynthDraw draw{SynthRandom(13), 0, {}};
    columnar::ColumnBuilder builder(field.type);
    for (int i = 0; i < 8; ++i) (*maker)->append(draw, builder);
    const columnar::Column good = builder.finish();
    for (const char c : {'?', '~', 'x', '0', ' '}) {
      std::string text(good.text(static_cast<int64_t>(out->size()) % good.length));
      if (text.empty()) continue;
      // Whole characters only: the last one that is ASCII.
      const auto ascii = std::find_if(text.rbegin(), text.rend(), [](char b) { return (b & 0x80) == 0; });
      if (ascii != text.rend()) *ascii = c;
      out->emplace_back(std::move(text));
    }
    out->emplace_back(std::string(good.text(0)) + "?");
  }
  for (const char* text : {"broken", "?", "Broken 1!", "~~~", "0", "x\ty"}) out->emplace_back(text);
}

void add_neighbours(const ContractField& field, std::vector<Value>* out) {
  switch (field.type.id()) {
    case TypeId::kEnum:
      for (size_t i = 0; i < field.type.labels().size(); ++i) out->emplace_back(static_cast<int64_t>(i));
      return;
    case TypeId::kBool:
      out->emplace_back(true), out->emplace_back(false);
      return;
    case TypeId::kUuid:
      out->emplace_back(std::string(16, '\x5a'));
      return;
    case TypeId::kBytes:
      out->emplace_back("broken"), out->emplace_back("");
      return;
    case TypeId::kJson:
      out->emplace_back("{\"broken\":true}"), out->emplace_back("7");
      return;
    case TypeId::kList:
    case TypeId::kStruct:
      return;
    default:
      break;
  }
  for (const Value& known : field.one_of) {
    for (const int direction : {1, -1}) {
      if (auto value = neighbour(field, known, direction)) out->push_back(std::move(*value));
    }
  }
}

std::vector<Value> values_against(const ContractField& field, RuleKind kind, int64_t now_micros) {
  if (kind == RuleKind::kRequired) return {Value()};
  std::vector<Value> candidates;
  switch (kind) {
    case RuleKind::kRange:
      for (const auto& [bound, direction] : {std::pair(field.max, 1), std::pair(field.min, -1)}) {
        if (!bound) continue;
        if (auto value = neighbour(field, *bound, direction)) candidates.push_back(std::move(*value));
      }
      break;
    case RuleKind::kLength:
      if (field.length_max && *field.length_max < kLongestText)
        add_lengths(field, *field.length_max + 1, now_micros, &candidates);
      if (field.length_min && *field.length_min > 0) add_lengths(field, *field.length_min - 1, now_micros, &candidates);
      break;
    case RuleKind::kPattern:
    case RuleKind::kOneOf:
      if (field.type.id() == TypeId::kString)
        add_other_texts(field, now_micros, &candidates);
      else
        add_neighbours(field, &candidates);
      break;
    default:
      return {};
  }
  const auto broken = FieldJudge::make(with_only(field, kind)), others = FieldJudge::make(without(field, kind));
  if (!broken.ok() || !others.ok()) return {};
  std::erase_if(candidates, [&](const Value& value) { return broken->accepts(value); });
  std::stable_partition(candidates.begin(), candidates.end(),
                        [&](const Value& value) { return others->accepts(value); });
  if (candidates.size() > 8) candidates.resize(8);
  return candidates;
}

// Sets the member that the path names: of the first element of a list, of a struct itself. False where there is none.
bool replace_member(const columnar::DataType& type, Value* at, const std::vector<int>& path, size_t from,
                    const Value& replacement) {
  if (from == path.size()) {
    *at = replacement;
    return true;
  }
  auto* parts = std::get_if<std::vector<Value>>(&at->data);
  if (parts == nullptr || parts->empty()) return false;
  if (type.id() == TypeId::kList) return replace_member(type.element(), &(*parts)[0], path, from, replacement);
  const auto member = static_cast<size_t>(path[from]);
  if (type.id() != TypeId::kStruct || member >= parts->size()) return false;
  return replace_member(type.fields()[member].type, &(*parts)[member], path, from + 1, replacement);
}

// Whole lists, one of whose elements breaks the rule of a member.
std::vector<Value> lists_against(const ContractField& field, const contract::Rule& rule, int64_t now_micros) {
  std::vector<Value> out;
  auto maker = make_value_maker(field, {now_micros, 0, {}});
  if (!maker.ok() || rule.element.empty()) return out;
  const ContractField* member = &field;
  for (const int index : rule.element) {
    if (static_cast<size_t>(index) >= member->elements.size()) return out;
    member = &member->elements[static_cast<size_t>(index)];
  }
  SynthDraw draw{SynthRandom(11), 0, {}};
  columnar::ColumnBuilder builder(field.type);
  for (const Value& replacement : values_against(*member, rule.element_kind, now_micros)) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      (*maker)->append(draw, builder);
      Value list = columnar::value_at(builder.finish(), 0);
      if (!replace_member(field.type, &list, rule.element, 0, replacement)) continue;
      out.push_back(std::move(list));
      break;
    }
  }
  return out;
}

// ---- JSON text
// ----------------------------------------------------------------------------------------------------------

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

// ---- texts of no value
// -----------------------------------------------------------------------------------------------------

std::string of_wrong_type(const ContractField& field, bool json) {
  switch (field.type.id()) {
    case TypeId::kString:
      return json ? "{\"broken\":true}" : "";  // every CSV cell is one
    case TypeId::kJson:
      return json ? "" : "{";
    case TypeId::kEnum: {
      std::string label = "broken";
      const auto& labels = field.type.labels();
      while (std::find(labels.begin(), labels.end(), label) != labels.end()) label += "?";
      return json ? json_quote(label) : label;
    }
    case TypeId::kBytes:
      return json ? "\"not base64!\"" : "not base64!";
    default:
      return json ? "\"broken\"" : "broken";
  }
}

}  // namespace

std::optional<Value> neighbour(const ContractField& field, const Value& value, int direction) {
  const TypeId id = field.type.id();
  if (const auto* number = std::get_if<double>(&value.data)) {
    const double next = *number + direction * (1 + std::abs(*number));
    const double most = id == TypeId::kFloat32 ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
    return std::abs(next) <= most ? std::optional<Value>(Value(next)) : std::nullopt;
  }
  if (const auto* number = std::get_if<int128>(&value.data)) {
    int128 most = 1;
    for (int i = 0; i < field.type.precision(); ++i) most *= 10;
    const int128 next = *number + direction;
    return next < most && next > -most ? std::optional<Value>(Value(next)) : std::nullopt;
  }
  int128 step = 1;
  if (id == TypeId::kTime || id == TypeId::kTimestamp || id == TypeId::kDuration) step = 1'000'000;
  if (id == TypeId::kTimestamp && !field.format.empty()) step = int128{86'400} * 1'000'000;
  if (id == TypeId::kTime && !field.format.empty()) step = int128{60} * 1'000'000;
  if (const auto* number = std::get_if<uint64_t>(&value.data)) {
    const int128 next = static_cast<int128>(*number) + direction;
    return fits(id, next) ? std::optional<Value>(Value(static_cast<uint64_t>(next))) : std::nullopt;
  }
  const auto* whole = std::get_if<int64_t>(&value.data);
  if (whole == nullptr || id == TypeId::kEnum) return std::nullopt;
  const int128 next = static_cast<int128>(*whole) + direction * step;
  return fits(id, next) ? std::optional<Value>(Value(static_cast<int64_t>(next))) : std::nullopt;
}

std::vector<Value> breaking_values(const contract::Contract& contract, int rule_index, int64_t now_micros) {
  const auto& rule = contract.rules[static_cast<size_t>(rule_index)];
  if (rule.column < 0) return {};
  const ContractField& field = contract.fields[static_cast<size_t>(rule.column)];
  return rule.kind == RuleKind::kElements ? lists_against(field, rule, now_micros)
                                          : values_against(field, rule.kind, now_micros);
}

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

TextBreaker::TextBreaker(contract::ContractPtr contract, connectors::DataFormat format,
                         const connectors::CsvDialect& csv)
    : contract_(std::move(contract)), format_(format), csv_(csv) {
  for (const auto& rule : contract_->rules) {
    std::string text;
    if (rule.kind == RuleKind::kType && format_ != connectors::DataFormat::kArrow) {
      text = of_wrong_type(contract_->fields[static_cast<size_t>(rule.column)], json());
      if (!text.empty() && !json()) text = cell(text);
    }
    replacements_.push_back(std::move(text));
  }
}

bool TextBreaker::breaks(int rule) const {
  if (rule == contract::Contract::kRecordRule) return format_ != connectors::DataFormat::kArrow;
  return !replacements_[static_cast<size_t>(rule)].empty();
}

std::string TextBreaker::cell(std::string_view text) const {
  if (csv_.quote == 0) return std::string(text);
  std::string out(1, csv_.quote);
  for (const char c : text) {
    if (c == csv_.quote || (csv_.escape != 0 && c == csv_.escape)) out += csv_.escape != 0 ? csv_.escape : csv_.quote;
    out += c;
  }
  return out + csv_.quote;
}

std::string TextBreaker::broken_record(std::string_view record) const {
  while (record.ends_with('\n') || record.ends_with('\r')) record.remove_suffix(1);
  const std::string end = csv_.crlf && !json() ? "\r\n" : "\n";
  if (!json()) return std::string(record) + csv_.delimiter + "broken" + end;
  // It ends where another member should begin: inside a value it would be that field's fault.
  const size_t first = record.find(':');
  const size_t cut = first == std::string_view::npos ? record.size() : after_value(record, first + 1);
  if (cut >= record.size() || record[cut] != ',') return std::string(record) + "}" + end;
  return std::string(record.substr(0, cut + 1)) + end;
}

std::string TextBreaker::broken(int rule, std::string_view record) const {
  if (rule == contract::Contract::kRecordRule) return broken_record(record);
  const std::string& replacement = replacements_[static_cast<size_t>(rule)];
  const int column = contract_->rules[static_cast<size_t>(rule)].column;
  std::string out(record);
  if (json()) {
    std::vector<std::string> path;
    for (const auto part : split(contract_->fields[static_cast<size_t>(column)].name, '.')) path.emplace_back(part);
    const Span span = find_json_value(record, path);
    return span.length == 0 ? "" : out.replace(span.offset, span.length, replacement);
  }
  size_t begin = 0;
  bool quoted = false;
  int cell_number = 0;
  for (size_t at = 0; at < record.size(); ++at) {
    const char c = record[at];
    if (quoted && csv_.escape != 0 && c == csv_.escape) {
      ++at;
      continue;
    }
    if (csv_.quote != 0 && c == csv_.quote) quoted = !quoted;
    const bool end = !quoted && (c == csv_.delimiter || c == '\n' || c == '\r');
    if (!end) continue;
    if (cell_number++ == column) return out.replace(begin, at - begin, replacement);
    if (c != csv_.delimiter) break;
    begin = at + 1;
  }
  return "";
}

}  // namespace runink::local
