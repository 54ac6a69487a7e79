// Contracts as JSON Schema 2020-12 (https://json-schema.org/draft/2020-12).
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

constexpr const char* kDialect = "https://json-schema.org/draft/2020-12/schema";

class SchemaWriter {
 public:
  SchemaWriter(const Contract& contract, const ExportOptions& options) : contract_(contract), options_(options) {}

  Exchanged write() {
    Json root;
    root["$schema"] = kDialect;
    root["title"] = contract_.name;
    if (!contract_.description.empty()) root["description"] = contract_.description;
    object(nest_fields(contract_.fields), root, "");
    if (contract_.open) root["additionalProperties"] = true;
    const PutWord put = [&](const std::string& key, const Json& value) {
      if (options_.extensions) root[schema_word(key)] = value;
    };
    if (contract_.version) put("version", contract_.version->to_string());
    if (!contract_.owner.empty()) put("owner", contract_.owner);
    if (!contract_.tags.empty()) put("tags", contract_.tags);
    put_contract_words(contract_, put);
    rules(root);
    Exchanged out;
    out.text = root.dump(2) + "\n";
    out.not_carried = std::move(notes_);
    return out;
  }

 private:
  void note(const std::string& name, std::string_view what) {
    notes_.push_back(
        fmt::format("{}: JSON Schema cannot say {}{}", name, what,
                    options_.extensions ? "; it is kept in x-runink- words, which validators ignore" : ""));
  }

  // Adds type, properties and required of an object to `schema`; true when some value in it must be there.
  bool object(const std::vector<FieldNode>& nodes, Json& schema, const std::string& prefix) {
    schema["type"] = "object";
    Json properties = Json::object(), required = Json::array();
    for (const auto& node : nodes) {
      const std::string name = prefix.empty() ? node.name : prefix + "." + node.name;
      Json child = Json::object();
      bool needed = false;
      if (node.field != nullptr) {
        field(*node.field, name, child);
        needed = node.field->required && !node.field->default_value;
      } else {
        needed = object(node.children, child, name);
        if (!needed) child["type"] = Json::array({"object", "null"});
      }
      if (needed) required.push_back(node.name);
      properties[node.name] = std::move(child);
    }
    const bool any = !required.empty();
    schema["properties"] = std::move(properties);
    if (any) schema["required"] = std::move(required);
    return any;
  }

  void members(const std::vector<ContractField>& fields, Json& schema, const std::string& prefix) {
    schema["type"] = "object";
    Json properties = Json::object(), required = Json::array();
    for (const auto& member : fields) {
      field(member, prefix + "." + member.name, properties[member.name]);
      if (member.required) required.push_back(member.name);
    }
    schema["properties"] = std::move(properties);
    if (!required.empty()) schema["required"] = std::move(required);
  }

  void field(const ContractField& field, const std::string& name, Json& schema) {
    if (!field.description.empty()) schema["description"] = field.description;
    type(field.type, field, name, schema);
    const bool nullable = !field.required || field.default_value;
    if (nullable && schema.contains("type")) {
      schema["type"] = Json::array({schema["type"], "null"});
      if (schema.contains("enum")) schema["enum"].push_back(nullptr);
    }
    words(field, name, schema);
  }

  void type(const DataType& type, const ContractField& field, const std::string& name, Json& schema) {
    switch (type.id()) {
      case TypeId::kBool:
        schema["type"] = "boolean";
        break;
      case TypeId::kFloat32:
      case TypeId::kFloat64:
      case TypeId::kDecimal:
        schema["type"] = "number";
        break;
      case TypeId::kBytes:
        schema["type"] = "string";
        schema["contentEncoding"] = "base64";
        break;
      case TypeId::kDate:
        schema["type"] = "string";
        if (field.format.empty()) schema["format"] = "date";
        break;
      case TypeId::kTimestamp:
        schema["type"] = "string";
        if (field.format.empty() && field.zone.empty()) schema["format"] = "date-time";
        break;
      case TypeId::kDuration:
        schema["type"] = "string";
        schema["format"] = "duration";
        break;
      case TypeId::kUuid:
        schema["type"] = "string";
        schema["format"] = "uuid";
        break;
      case TypeId::kEnum:
        schema["type"] = "string";
        schema["enum"] = type.labels();
        break;
      case TypeId::kJson:
        break;  // any value
      case TypeId::kList: {
        schema["type"] = "array";
        Json items = Json::object();
        if (type.element().id() == TypeId::kStruct) {
          members(field.elements, items, name);
        } else {
          ContractField element;
          element.type = type.element();
          element.elements = field.elements;
          this->type(element.type, element, name, items);
          put_type(element.type, items);
        }
        if (items.contains("type") && items["type"].is_string()) items["type"] = Json::array({items["type"], "null"});
        if (items.contains("enum")) items["enum"].push_back(nullptr);
        schema["items"] = std::move(items);
        break;
      }
      case TypeId::kStruct:
        members(field.elements, schema, name);
        break;
      default:
        schema["type"] = type.is_integer() ? "integer" : "string";
    }
  }

  void put_type(const DataType& type, Json& schema) {
    if (type.id() == TypeId::kList || type.id() == TypeId::kStruct || type.id() == TypeId::kJson) return;
    std::string json_type =
        schema["type"].is_array() ? schema["type"][0].get<std::string>() : schema["type"].get<std::string>();
    if (schema_type(json_type, schema) == type) return;
    if (options_.extensions) schema["x-runink-type"] = type.to_string();
  }

  void words(const ContractField& field, const std::string& name, Json& schema) {
    const auto put = [&](const std::string& key, const Json& value) {
      if (options_.extensions) schema[schema_word(key)] = value;
    };
    // Bounds of the type itself help a validator that knows no int32.
    if (field.type.is_numeric()) numeric_bounds(field, schema, put);
    if ((field.min || field.max) && !field.type.is_numeric()) {
      if (field.min) put("min", value_json(*field.min, field.type));
      if (field.max) put("max", value_json(*field.max, field.type));
      note(name, "a range of " + field.type.to_string());
    }
    const bool list = field.type.id() == TypeId::kList;
    if (list || field.type.id() == TypeId::kString) {
      if (field.length_min) schema[list ? "minItems" : "minLength"] = *field.length_min;
      if (field.length_max) schema[list ? "maxItems" : "maxLength"] = *field.length_max;
    } else if (field.length_min || field.length_max) {
      note(name, "the length of " + field.type.to_string());
    }
    if (!field.pattern.empty()) {
      schema["pattern"] = searching_pattern(field.pattern);
      if (whole_pattern(schema["pattern"].get<std::string>()) != field.pattern) put("pattern", field.pattern);
    }
    if (!field.one_of.empty()) {
      Json values = Json::array();
      for (const auto& value : field.one_of) values.push_back(value_json(value, field.type));
      if (!field.required || field.default_value) values.push_back(nullptr);
      schema["enum"] = std::move(values);
      if (options_.extensions) schema["x-runink-type"] = field.type.to_string();
    }
    if (field.default_value) {
      schema["default"] = value_json(*field.default_value, field.type);
      if (field.required) put("required", true);
    }
    put_type(field.type, schema);
    if (field.type.id() == TypeId::kDecimal) note(name, "how many digits a decimal has");
    if (field.type.id() == TypeId::kTime || !field.format.empty() || !field.zone.empty())
      note(name, "how its text is written");
    if (!field.format.empty()) put("format", field.format);
    if (!field.zone.empty()) put("zone", field.zone);
    if (field.type.id() == TypeId::kJson && field.required && !field.default_value) put("required", true);
    if (field.unique || field.key) note(name, "that values differ from record to record");
    if (field.unique) put("unique", true);
    if (field.key) put("key", true);
    if (field.pii || !field.access.empty() || !field.mask.empty()) note(name, "who may see a value");
    if (field.pii && field.pii_kind.empty()) put("pii", true);
    if (field.coerce) note(name, "that values of other types are converted");
    put_field_words(field, put);
    if (!field.lineage.empty()) put("lineage", field.lineage);
    if (!field.glossary.empty()) put("glossary", field.glossary);
    if (!field.tags.empty()) put("tags", field.tags);
  }

  template <typename Put>
  void numeric_bounds(const ContractField& field, Json& schema, const Put& put) {
    if (field.min) schema["minimum"] = value_json(*field.min, field.type);
    if (field.max) schema["maximum"] = value_json(*field.max, field.type);
    if (field.type.id() == TypeId::kDecimal || field.type.id() == TypeId::kFloat32) {
      // A JSON number is binary to most readers: exact bounds travel as text.
      if (field.min) put("min", value_text(*field.min, field));
      if (field.max) put("max", value_text(*field.max, field));
      if (field.default_value) put("default", value_text(*field.default_value, field));
    }
    if (!field.type.is_integer()) return;
    const int bits = field.type.width() * 8;
    const uint64_t all = ~uint64_t{0} >> (64 - bits);
    const bool is_signed = field.type.is_signed_integer();
    if (bits < 64 || !is_signed) {
      // The reader of such a schema who drops our words still gets the bounds of the type; they are not rules of ours.
      const int64_t low = is_signed ? -static_cast<int64_t>(all / 2) - 1 : 0;
      const uint64_t high = is_signed ? all / 2 : all;
      if (!field.min) schema["minimum"] = low;
      if (!field.max) schema["maximum"] = high;
    }
  }

  void rules(Json& root) {
    Json checks = Json::array(), qualities = Json::array();
    for (const auto& check : contract_.checks) {
      Json rule = {{"name", check.name}, {"expression", check.canonical}};
      if (!check.description.empty()) rule["description"] = check.description;
      checks.push_back(std::move(rule));
      note("check " + check.name, "rules over several fields");
    }
    for (const auto& quality : contract_.qualities) {
      Json rule = {{"name", quality.name},
                   {"expression", quality.canonical},
                   {"severity", quality.severity == QualitySeverity::kWarn ? "warn" : "error"}};
      if (!quality.description.empty()) rule["description"] = quality.description;
      qualities.push_back(std::move(rule));
      note("quality " + quality.name, "rules over all records");
    }
    if (!options_.extensions) return;
    if (!checks.empty()) root["x-runink-checks"] = std::move(checks);
    if (!qualities.empty()) root["x-runink-qualities"] = std::move(qualities);
  }

  const Contract& contract_;
  const ExportOptions& options_;
  std::vector<std::string> notes_;
};

}  // namespace

Result<Exchanged> export_json_schema(const Contract& contract, const ExportOptions& options) {
  Exchanged out = SchemaWriter(contract, options).write();
  if (!options.extensions) add_losses(contract, import_json_schema(out.text, "export"), &out.not_carried);
  return out;
}

}  // namespace runink::contract
