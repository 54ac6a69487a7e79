// JSON Schema as contracts.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "data/contract/canonical.h"
#include "data/contract/exchange_common.h"
#include "data/contract/json_schema_words.h"

namespace runink::contract {

using columnar::TypeId;

namespace {

class SchemaReader {
 public:
  SchemaReader(const Json& root, std::string path) : root_(root), path_(std::move(path)) {}

  Result<Exchanged> read() {
    if (!root_.is_object()) return invalid_argument("{}: a JSON Schema of records is an object", path_);
    Contract draft;
    const bool titled = root_.contains("title") && root_["title"].is_string();
    draft.name = contract_name_of(titled ? root_["title"].get<std::string>() : std::string("Data"));
    if (root_.contains("description")) take_contract_word("description", root_["description"], draft);
    const Json* record = resolve(root_, 0);
    if (record == nullptr || !record->contains("properties")) {
      return invalid_argument("{}: the schema has no \"properties\"", path_)
          .with_hint("a contract describes records: objects with named properties");
    }
    properties(*record, "", true, 0, draft.fields);
    if (record->contains("additionalProperties")) {
      const Json& more = (*record)["additionalProperties"];
      if (more == true) draft.open = true;
      if (more == false)
        notes_.push_back("additionalProperties: false: unknown fields are dropped and counted as drift, not refused");
      if (more.is_object())
        notes_.push_back("additionalProperties: the schema of fields that have no name cannot be said");
    }
    for (const char* word : {"allOf", "anyOf", "oneOf", "not", "if", "patternProperties", "dependentRequired",
                             "dependentSchemas", "propertyNames", "minProperties", "maxProperties"}) {
      if (record->contains(word))
        notes_.push_back(fmt::format("{}: not carried over; write a check where it matters", word));
    }
    contract_words(draft);
    std::vector<Contract> drafts;
    drafts.push_back(std::move(draft));
    return finish_import(std::move(drafts), std::move(notes_), path_);
  }

 private:
  // Follows local references.
  const Json* resolve(const Json& schema, int depth) {
    const Json* at = &schema;
    for (int i = depth; i < kExchangeDepthMax; ++i) {
      if (!at->is_object()) return nullptr;
      if (!at->contains("$ref")) return at;
      const Json& reference = (*at)["$ref"];
      if (!reference.is_string() || !reference.get_ref<const std::string&>().starts_with("#")) return nullptr;
      try {
        at = &root_.at(nlohmann::json_pointer<std::string>(reference.get_ref<const std::string&>().substr(1)));
      } catch (const nlohmann::json::exception&) {
        return nullptr;
      }
    }
    return nullptr;
  }

  void properties(const Json& schema, const std::string& prefix, bool present, int depth,
                  std::vector<ContractField>& out) {
    std::vector<std::string> required;
    if (schema.contains("required") && schema["required"].is_array()) {
      for (const auto& name : schema["required"]) {
        if (name.is_string()) required.push_back(name);
      }
    }
    if (!schema["properties"].is_object()) return;
    for (const auto& [name, child] : schema["properties"].items()) {
      const std::string usable = usable_name(name);
      if (usable != name) notes_.push_back(fmt::format("{}{}: renamed to {}", prefix, name, usable));
      const bool needed = std::find(required.begin(), required.end(), name) != required.end();
      property(child, prefix, usable, needed, present, depth, out);
    }
  }

  void property(const Json& referring, const std::string& prefix, const std::string& name, bool needed, bool present,
                int depth, std::vector<ContractField>& out) {
    if (out.size() > 4096) return;
    const std::string full = prefix + name;
    ContractField field;
    field.name = full;
    field.type = TypeId::kJson;
    const Json* schema = depth < kExchangeDepthMax ? resolve(referring, depth) : nullptr;
    if (schema == nullptr) {
      if (referring != true) notes_.push_back(fmt::format("{}: its schema cannot be followed; it becomes json", full));
      field.required = needed && present;
      out.push_back(std::move(field));
      return;
    }
    bool nullable = false;
    const std::string type = type_of(*schema, nullable, full);
    if (type == "object" && schema->contains("properties") && !(*schema)["properties"].empty()) {
      properties(*schema, full + ".", present && needed && !nullable, depth + 1, out);
      return;
    }
    const bool required = needed && !nullable;
    if (required && !present)
      notes_.push_back(
          fmt::format("{}: required only where the object around it is present; here it may be null", full));
    if (needed && nullable && !schema->contains("x-runink-required"))
      notes_.push_back(fmt::format("{}: must be present but may be null; here it may also be absent", full));
    field.required = required && present;
    fill(*schema, type, full, depth, field);
    out.push_back(std::move(field));
  }

  // The one type besides null; "" for any.
  std::string type_of(const Json& schema, bool& nullable, const std::string& name) {
    std::vector<std::string> types;
    if (schema.contains("type")) {
      const Json& type = schema["type"];
      if (type.is_string()) types.push_back(type);
      if (type.is_array()) {
        for (const auto& one : type) {
          if (one.is_string()) types.push_back(one);
        }
      }
    } else if (schema.contains("enum") || schema.contains("const")) {
      const Json values = schema.contains("enum") ? schema["enum"] : Json::array({schema["const"]});
      for (const auto& value : values) {
        const std::string type = value.is_string()           ? "string"
                                 : value.is_boolean()        ? "boolean"
                                 : value.is_number_integer() ? "integer"
                                 : value.is_number()         ? "number"
                                 : value.is_null()           ? "null"
                                                             : "object";
        if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
      }
    } else {
      nullable = true;
      if (schema.contains("properties")) return "object";
      return "";
    }
    const auto null_at = std::find(types.begin(), types.end(), "null");
    nullable = null_at != types.end();
    if (nullable) types.erase(null_at);
    if (types.size() == 2 && types[0] != types[1] && (types[0] == "number" || types[1] == "number") &&
        (types[0] == "integer" || types[1] == "integer"))
      return "number";
    if (types.size() > 1) notes_.push_back(fmt::format("{}: values of several types become json", name));
    return types.size() == 1 ? types[0] : "";
  }

  void fill(const Json& schema, const std::string& type, const std::string& name, int depth, ContractField& field) {
    if (type == "array") {
      list(schema, name, depth, field);
    } else {
      field.type = scalar_type(schema, type);
    }
    if (field.type.id() == TypeId::kJson && schema.contains("x-runink-required"))
      field.required = schema["x-runink-required"] == true;
    bounds(schema, name, field);
    if (schema.contains("pattern") && schema["pattern"].is_string() && field.type.id() == TypeId::kString) {
      const std::string pattern = whole_pattern(schema["pattern"].get<std::string>());
      if (is_valid_pattern(pattern)) {
        field.pattern = pattern;
      } else {
        notes_.push_back(
            fmt::format("{}: its pattern is not one of RE2: {}", name, schema["pattern"].get<std::string>()));
      }
    }
    values(schema, name, field);
    if (schema.contains("description")) take_field_word("description", schema["description"], field);
    if (schema.contains("default") && !schema["default"].is_null()) {
      auto value = json_value(schema["default"], field.type);
      if (value)
        field.default_value = std::move(value);
      else
        notes_.push_back(fmt::format("{}: its default is no {}", name, field.type.to_string()));
    }
    for (const auto& [key, value] : schema.items()) {
      if (!key.starts_with(kSchemaPrefix) || key == "x-runink-type") continue;
      if (key == "x-runink-required") {
        field.required = value == true;
      } else if (!take_field_word(key_of_word(key), value, field)) {
        notes_.push_back(fmt::format("{}: {} is not understood", name, key));
      }
    }
    for (const char* word :
         {"allOf", "anyOf", "oneOf", "not", "if", "uniqueItems", "contains", "exclusiveMinimum", "exclusiveMaximum"}) {
      const bool handled = field.type.id() == TypeId::kInt64 && std::string_view(word).starts_with("exclusive");
      if (schema.contains(word) && !handled) notes_.push_back(fmt::format("{}: {} is not carried over", name, word));
    }
    const bool has_format = schema.contains("format") && schema["format"].is_string();
    if (has_format && field.type.id() == TypeId::kString) {
      notes_.push_back(
          fmt::format("{}: the format \"{}\" is not checked here", name, schema["format"].get<std::string>()));
    }
  }

  DataType scalar_type(const Json& schema, const std::string& type) {
    DataType implied = type.empty() || type == "object" ? DataType(TypeId::kJson) : schema_type(type, schema);
    if (schema.contains("x-runink-type") && schema["x-runink-type"].is_string()) {
      if (auto known = type_of_word(schema["x-runink-type"].get<std::string>())) return *known;
    }
    if (type == "number" && schema.contains("multipleOf") && schema["multipleOf"].is_number_float()) {
      // 0.01 is how JSON Schema says two digits after the point.
      double step = schema["multipleOf"].get<double>();
      for (int scale = 1; scale <= 9; ++scale) {
        step *= 10;
        if (step > 0.999999 && step < 1.000001) return DataType::decimal(18, scale);
      }
    }
    return implied;
  }

  void list(const Json& schema, const std::string& name, int depth, ContractField& field) {
    DataType element = TypeId::kJson;
    const Json* items =
        schema.contains("items") && depth + 1 < kExchangeDepthMax ? resolve(schema["items"], depth + 1) : nullptr;
    if (items != nullptr) {
      bool nullable = false;
      const std::string type = type_of(*items, nullable, name + "[]");
      if (type == "object" && items->contains("properties") && !(*items)["properties"].empty()) {
        std::vector<ContractField> flat;
        member_fields(*items, name, depth + 1, flat);
        field.elements = std::move(flat);
        std::vector<columnar::Field> columns;
        for (const auto& member : field.elements)
          columns.push_back({member.name, member.type, member.nullable(), member.format, member.zone});
        element = DataType::structure(std::move(columns));
      } else {
        ContractField inner;
        fill(*items, type, name + "[]", depth + 1, inner);
        element = inner.type;
        field.elements = std::move(inner.elements);
        if (inner.min || inner.max || !inner.pattern.empty() || !inner.one_of.empty() || inner.length_min ||
            inner.length_max) {
          notes_.push_back(fmt::format("{}: rules on elements of a list are not carried over", name));
        }
      }
    }
    field.type = DataType::list(std::move(element));
  }

  // Members of the struct in a list; nested objects stay structs.
  void member_fields(const Json& schema, const std::string& name, int depth, std::vector<ContractField>& out) {
    std::vector<std::string> required;
    if (schema.contains("required") && schema["required"].is_array()) {
      for (const auto& one : schema["required"]) {
        if (one.is_string()) required.push_back(one);
      }
    }
    for (const auto& [key, child] : schema["properties"].items()) {
      ContractField member;
      member.name = usable_name(key);
      member.type = TypeId::kJson;
      const std::string full = name + "." + member.name;
      bool nullable = false;
      const Json* resolved = depth < kExchangeDepthMax ? resolve(child, depth) : nullptr;
      if (resolved != nullptr) {
        const std::string type = type_of(*resolved, nullable, full);
        if (type == "object" && resolved->contains("properties") && !(*resolved)["properties"].empty()) {
          member_fields(*resolved, full, depth + 1, member.elements);
          std::vector<columnar::Field> columns;
          for (const auto& inner : member.elements)
            columns.push_back({inner.name, inner.type, inner.nullable(), inner.format, inner.zone});
          member.type = DataType::structure(std::move(columns));
        } else {
          fill(*resolved, type, full, depth + 1, member);
        }
      }
      if (member.type.id() != TypeId::kStruct) {
        member.required =
            member.required || (!nullable && std::find(required.begin(), required.end(), key) != required.end());
      }
      out.push_back(std::move(member));
    }
  }

  void bounds(const Json& schema, const std::string& name, ContractField& field) {
    const auto number = [&](const char* word) -> std::optional<Value> {
      if (!schema.contains(word) || !schema[word].is_number() || !field.type.is_numeric()) return std::nullopt;
      auto value = json_value(schema[word], field.type);
      if (!value)
        notes_.push_back(fmt::format("{}: {} {} is no {}", name, word, schema[word].dump(), field.type.to_string()));
      return value;
    };
    field.min = number("minimum");
    field.max = number("maximum");
    if (field.type.id() == TypeId::kInt64) {
      const auto above = number("exclusiveMinimum"), below = number("exclusiveMaximum");
      if (above && above->as_int64() != INT64_MAX) field.min = Value(above->as_int64() + 1);
      if (below && below->as_int64() != INT64_MIN) field.max = Value(below->as_int64() - 1);
    }
    drop_type_bounds(field);
    const auto length = [&](const char* word) -> std::optional<uint64_t> {
      if (!schema.contains(word) || !schema[word].is_number_unsigned() || schema[word].get<uint64_t>() > 0x7FFFFFFF)
        return std::nullopt;
      return schema[word].get<uint64_t>();
    };
    const bool list = field.type.id() == TypeId::kList;
    if (!list && field.type.id() != TypeId::kString) return;
    field.length_min = length(list ? "minItems" : "minLength");
    field.length_max = length(list ? "maxItems" : "maxLength");
    if (field.length_min == uint64_t{0}) field.length_min.reset();
  }

  // Bounds that only repeat those of the integer type.
  static void drop_type_bounds(ContractField& field) {
    if (!field.type.is_integer()) return;
    const int bits = field.type.width() * 8;
    const uint64_t all = ~uint64_t{0} >> (64 - bits);
    if (field.type.is_signed_integer()) {
      const auto high = static_cast<int64_t>(all / 2);
      if (field.min && field.min->as_int64() == -high - 1) field.min.reset();
      if (field.max && field.max->as_int64() == high) field.max.reset();
    } else {
      if (field.min && field.min->as_uint64() == 0) field.min.reset();
      if (field.max && field.max->as_uint64() == all) field.max.reset();
    }
  }

  void values(const Json& schema, const std::string& name, ContractField& field) {
    if (field.type.id() == TypeId::kEnum || field.type.id() == TypeId::kBool || field.type.id() == TypeId::kJson)
      return;
    Json list = schema.contains("enum") && schema["enum"].is_array() ? schema["enum"]
                : schema.contains("const")                           ? Json::array({schema["const"]})
                                                                     : Json::array();
    for (const auto& one : list) {
      if (one.is_null()) continue;
      auto value = json_value(one, field.type);
      if (!value) {
        notes_.push_back(fmt::format("{}: {} is no {}", name, one.dump(), field.type.to_string()));
      } else if (std::find(field.one_of.begin(), field.one_of.end(), *value) == field.one_of.end()) {
        field.one_of.push_back(std::move(*value));
      }
    }
  }

  void contract_words(Contract& draft) {
    for (const auto& [key, value] : root_.items()) {
      if (!key.starts_with(kSchemaPrefix)) continue;
      if (key == "x-runink-checks" || key == "x-runink-qualities") {
        take_rules(value, key == "x-runink-qualities", draft);
      } else if (!take_contract_word(key_of_word(key), value, draft)) {
        notes_.push_back(fmt::format("{} is not understood", key));
      }
    }
  }

  void take_rules(const Json& list, bool qualities, Contract& draft) {
    if (!list.is_array()) return;
    for (const auto& rule : list) {
      if (!rule.is_object() || !rule.contains("name") || !rule["name"].is_string() || !rule.contains("expression") ||
          !rule["expression"].is_string())
        continue;
      const std::string description =
          rule.contains("description") && rule["description"].is_string() ? rule["description"].get<std::string>() : "";
      if (qualities) {
        QualityRule quality;
        quality.name = usable_name(rule["name"].get<std::string>());
        quality.canonical = rule["expression"];
        quality.description = description;
        if (rule.contains("severity") && rule["severity"] == "warn") quality.severity = QualitySeverity::kWarn;
        draft.qualities.push_back(std::move(quality));
      } else {
        RowCheck check;
        check.name = usable_name(rule["name"].get<std::string>());
        check.canonical = rule["expression"];
        check.description = description;
        draft.checks.push_back(std::move(check));
      }
    }
  }

  const Json& root_;
  std::string path_;
  std::vector<std::string> notes_;
};

}  // namespace

Result<Exchanged> import_json_schema(std::string_view json, const std::string& path) {
  RUNINK_RETURN_IF_ERROR(check_nesting(json, path));
  try {
    const Json root = Json::parse(json);
    return SchemaReader(root, path).read();
  } catch (const nlohmann::json::exception& error) {
    return invalid_argument("{}: {}", path, escape_control(error.what()));
  }
}

}  // namespace runink::contract
