#include "data/contract/exchange_common.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "data/columnar/text.h"
#include "data/contract/canonical.h"
#include "data/contract/parse.h"
#include "data/contract/redact.h"
#include "data/expr/ast.h"
#include "data/expr/rules.h"

namespace runink::contract {

using columnar::TypeId;

std::vector<FieldNode> nest_fields(const std::vector<ContractField>& fields) {
  std::vector<FieldNode> roots;
  for (const auto& field : fields) {
    std::vector<FieldNode>* level = &roots;
    const auto parts = split(field.name, '.');
    for (size_t i = 0; i < parts.size(); ++i) {
      const bool leaf = i + 1 == parts.size();
      auto at =
          std::find_if(level->begin(), level->end(), [&](const FieldNode& node) { return node.name == parts[i]; });
      if (at == level->end()) {
        level->push_back({std::string(parts[i]), nullptr, {}});
        at = level->end() - 1;
      }
      if (leaf) at->field = &field;
      level = &at->children;
    }
  }
  return roots;
}

namespace {
void collect(const std::vector<FieldNode>& nodes, std::vector<const ContractField*>& out) {
  for (const auto& node : nodes) {
    if (node.field != nullptr) out.push_back(node.field);
    collect(node.children, out);
  }
}
}  // namespace

bool order_survives(const std::vector<ContractField>& fields) {
  std::vector<const ContractField*> nested;
  collect(nest_fields(fields), nested);
  for (size_t i = 0; i < fields.size(); ++i) {
    if (nested[i] != &fields[i]) return false;
  }
  return true;
}

void reorder_fields(std::vector<ContractField>& fields, const std::vector<std::string>& names) {
  const auto place = [&](const ContractField& field) {
    return std::find(names.begin(), names.end(), field.name) - names.begin();
  };
  std::stable_sort(fields.begin(), fields.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
}

Json value_json(const Value& value, const DataType& type) {
  if (type.id() == TypeId::kEnum) return type.labels()[static_cast<size_t>(value.as_int64())];
  std::string text;
  columnar::append_value_json(type, value, text);
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json() : json;
}

std::optional<Value> json_value(const Json& json, const DataType& type) {
  std::string text;
  if (json.is_string()) {
    text = json.get<std::string>();
  } else if (json.is_number() || json.is_boolean()) {
    text = json.dump();
  } else if (type.id() == TypeId::kJson) {
    return Value(json.dump());
  } else {
    return std::nullopt;
  }
  if (type.id() == TypeId::kJson) return Value(json.dump());
  if (type.id() == TypeId::kEnum) {
    const auto at = std::find(type.labels().begin(), type.labels().end(), text);
    if (at == type.labels().end()) return std::nullopt;
    return Value(static_cast<int64_t>(at - type.labels().begin()));
  }
  if (type.id() == TypeId::kList || type.id() == TypeId::kStruct) return std::nullopt;
  if (type.is_integer() && json.is_number_float() && text.ends_with(".0")) text.resize(text.size() - 2);
  auto parsed = columnar::FieldText(type).parse(text);
  if (!parsed.ok()) return std::nullopt;
  return std::move(parsed).value();
}

std::string searching_pattern(std::string_view whole) { return fmt::format("^(?:{})$", whole); }

std::string whole_pattern(std::string_view searching) {
  const bool begins = searching.starts_with('^'), ends = searching.ends_with('$') && !searching.ends_with("\\$");
  std::string_view inner = searching;
  if (begins) inner.remove_prefix(1);
  if (ends && !inner.empty()) inner.remove_suffix(1);
  if (begins && ends && inner.starts_with("(?:") && inner.ends_with(')')) {
    const std::string_view body = inner.substr(3, inner.size() - 4);
    if (is_valid_pattern(body)) return std::string(body);
  }
  const bool alternatives = inner.find('|') != std::string_view::npos;
  if (begins && ends && !alternatives) return std::string(inner);
  if (alternatives) return fmt::format("(?s:.*)(?:{})(?s:.*)", searching);  // ^ and $ belong to its branches
  return fmt::format("{}{}{}", begins ? "" : "(?s:.*)", inner, ends ? "" : "(?s:.*)");
}

bool is_valid_pattern(std::string_view pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(expr::kRegexMemoryBytes);
  return RE2(re2::StringPiece(pattern.data(), pattern.size()), options).ok();
}

void put_field_words(const ContractField& field, const PutWord& put) {
  // Elsewhere a length counts characters of text, which the bytes of a value and JSON are not.
  const bool own_length = field.type.id() == TypeId::kBytes || field.type.id() == TypeId::kJson;
  if (own_length && field.length_min) put("lengthMin", *field.length_min);
  if (own_length && field.length_max) put("lengthMax", *field.length_max);
  if (field.coerce) put("coerce", true);
  if (!field.pii_kind.empty()) put("piiKind", field.pii_kind);
  if (!field.access.empty()) put("access", field.access);
  if (!field.mask.empty()) put("mask", field.mask);
  if (!field.unit.empty()) put("unit", field.unit);
}

namespace {

bool take_text(const Json& value, std::string& out) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) return false;
  const std::string text = value.get<std::string>();
  if (!is_valid_utf8(text) || text.find('\0') != std::string::npos) return false;
  out = text;
  return true;
}

bool take_texts(const Json& value, std::vector<std::string>& out) {
  if (!value.is_array()) return false;
  for (const auto& item : value) {
    std::string text;
    if (take_text(item, text) && std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
  }
  return true;
}

bool take_bool(const Json& value, bool& out) {
  if (!value.is_boolean()) return false;
  out = value.get<bool>();
  return true;
}

}  // namespace

bool take_field_word(const std::string& key, const Json& value, ContractField& field) {
  if (key == "coerce") return take_bool(value, field.coerce);
  if (key == "pii") return take_bool(value, field.pii);
  if (key == "unique") return take_bool(value, field.unique);
  if (key == "key") return take_bool(value, field.key);
  if (key == "piiKind") {
    field.pii = true;
    return take_text(value, field.pii_kind);
  }
  if (key == "access") {
    const bool taken = take_texts(value, field.access);
    std::sort(field.access.begin(), field.access.end());
    return taken;
  }
  if (key == "mask") {
    std::string text;
    if (!take_text(value, text)) return false;
    const auto mask = parse_mask(text);
    if (mask.ok()) field.mask = mask_name(*mask);
    return mask.ok();
  }
  if (key == "unit") return take_text(value, field.unit);
  if (key == "lineage") return take_text(value, field.lineage);
  if (key == "glossary") return take_text(value, field.glossary);
  if (key == "tags") return take_texts(value, field.tags);
  if (key == "description") return take_text(value, field.description);
  if (key == "lengthMin" || key == "lengthMax") {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > 0x7FFFFFFF || !field.type.is_text()) return false;
    (key == "lengthMin" ? field.length_min : field.length_max) = value.get<uint64_t>();
    return true;
  }
  if (key == "format") return take_text(value, field.format);
  if (key == "zone") return take_text(value, field.zone);
  if (key == "pattern") {
    std::string text;
    if (!take_text(value, text) || !is_valid_pattern(text)) return false;
    field.pattern = std::move(text);
    return true;
  }
  if (key == "min" || key == "max" || key == "default") {
    auto parsed = json_value(value, field.type);
    if (!parsed) return false;
    (key == "min" ? field.min : key == "max" ? field.max : field.default_value) = std::move(parsed);
    return true;
  }
  if (key == "oneOf") {
    if (!value.is_array()) return false;
    field.one_of.clear();
    for (const auto& item : value) {
      auto parsed = json_value(item, field.type);
      if (!parsed) return false;
      if (std::find(field.one_of.begin(), field.one_of.end(), *parsed) == field.one_of.end())
        field.one_of.push_back(std::move(*parsed));
    }
    return true;
  }
  return false;
}

void put_contract_words(const Contract& contract, const PutWord& put) {
  if (!contract.classification.empty()) put("classification", contract.classification);
  if (contract.max_records) put("maxRecords", *contract.max_records);
  if (contract.open) put("open", true);
  if (!order_survives(contract.fields)) put("columnOrder", contract.schema->names());
}

bool take_contract_word(const std::string& key, const Json& value, Contract& contract) {
  if (key == "classification") return take_text(value, contract.classification);
  if (key == "open") return take_bool(value, contract.open);
  if (key == "owner") return take_text(value, contract.owner);
  if (key == "description") return take_text(value, contract.description);
  if (key == "tags") return take_texts(value, contract.tags);
  if (key == "version") {
    Version version;
    if (!value.is_string() || !Version::parse(value.get_ref<const std::string&>(), &version)) return false;
    contract.version = version;
    return true;
  }
  if (key == "maxRecords") {
    if (!value.is_number_unsigned() || value.get<uint64_t>() == 0) return false;
    contract.max_records = value.get<uint64_t>();
    return true;
  }
  if (key == "columnOrder") {
    std::vector<std::string> names;
    if (!take_texts(value, names)) return false;
    reorder_fields(contract.fields, names);
    return true;
  }
  return false;
}

std::optional<DataType> type_of_word(std::string_view text) {
  auto type = expr::parse_type(text);
  if (!type.ok()) return std::nullopt;
  return std::move(type).value();
}

Status check_nesting(std::string_view json, const std::string& path) {
  constexpr size_t kBytesMax = size_t{16} << 20;
  constexpr int kDepthMax = 256;
  if (json.size() > kBytesMax) return invalid_argument("{}: more than {}", path, human_bytes(kBytesMax));
  int depth = 0;
  bool inside = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (inside) {
      if (c == '\\') ++i;
      if (c == '"') inside = false;
      continue;
    }
    if (c == '"') inside = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kDepthMax) return invalid_argument("{}: nested more than {} deep", path, kDepthMax);
  }
  return {};
}

std::string usable_name(std::string_view name) {
  std::string out;
  for (const char c : is_valid_utf8(name) ? std::string(name) : std::string()) {
    const auto byte = static_cast<unsigned char>(c);
    out += c == '.' || c == '`' || byte < 0x20 || byte == 0x7F ? '_' : c;
  }
  if (escape_control(out) != out) out.clear();
  return out.empty() || out == "*" ? std::string("field") : out;
}

std::string contract_name_of(std::string_view title) {
  std::string out;
  for (const char c : title) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (good) {
      out += c;
    } else if (!out.empty() && out.back() != '_') {
      out += '_';
    }
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  if (out.empty()) return "Data";
  return out[0] >= '0' && out[0] <= '9' ? "_" + out : out;
}

namespace {

// Whether the draft parses when it has only this much of its rules.
bool parses(const Contract& draft) { return parse_contract_text(canonical_text(draft)).ok(); }

void drop_broken_rules(Contract& draft, std::vector<std::string>& notes) {
  Contract bare = draft;
  bare.checks.clear();
  bare.qualities.clear();
  if (!parses(bare)) return;  // its fields are at fault; the error is reported
  std::vector<RowCheck> checks;
  for (auto& check : draft.checks) {
    bare.checks = {check};
    if (parses(bare)) {
      checks.push_back(std::move(check));
    } else {
      notes.push_back(fmt::format("check {}: its expression is not one of Runink's: {}", check.name, check.canonical));
    }
  }
  bare.checks.clear();
  std::vector<QualityRule> qualities;
  for (auto& quality : draft.qualities) {
    bare.qualities = {quality};
    if (parses(bare)) {
      qualities.push_back(std::move(quality));
    } else {
      notes.push_back(
          fmt::format("quality {}: its expression is not one of Runink's: {}", quality.name, quality.canonical));
    }
  }
  draft.checks = std::move(checks);
  draft.qualities = std::move(qualities);
}

}  // namespace

Result<Exchanged> finish_import(std::vector<Contract> drafts, std::vector<std::string> notes, const std::string& path) {
  Exchanged out;
  std::map<std::string, int> names;
  for (auto& draft : drafts) {
    const int count = ++names[draft.name];
    if (count > 1) draft.name += fmt::format("_{}", count);
    if (draft.fields.empty()) {
      notes.push_back(fmt::format("{}: it has no properties, so there is no contract to make of it", draft.name));
      continue;
    }
    if (!parses(draft)) drop_broken_rules(draft, notes);
    const std::string text = canonical_text(draft);
    auto parsed = parse_contract_text(text, path);
    if (!parsed.ok()) return std::move(parsed).status().with_context("import " + path);
    if (!out.text.empty()) out.text += "\n";
    // The canonical text of what was parsed, whose expressions are in their one spelling.
    out.text += canonical_text(**parsed);
  }
  if (out.text.empty()) return invalid_argument("{}: it describes no fields", path);
  out.not_carried = std::move(notes);
  return out;
}

}  // namespace runink::contract
