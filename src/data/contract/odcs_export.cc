// Contracts as documents of the Open Data Contract Standard v3.1.0
// (https://bitol-io.github.io/open-data-contract-standard).
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "data/contract/canonical.h"
#include "data/contract/exchange_common.h"
#include "data/contract/odcs_words.h"

namespace runink::contract {

using columnar::TypeId;

namespace {

const char* integer_format(TypeId id) {
  switch (id) {
    case TypeId::kInt8:
      return "i8";
    case TypeId::kInt16:
      return "i16";
    case TypeId::kInt32:
      return "i32";
    case TypeId::kInt64:
      return "i64";
    case TypeId::kUInt8:
      return "u8";
    case TypeId::kUInt16:
      return "u16";
    case TypeId::kUInt32:
      return "u32";
    default:
      return "u64";
  }
}

void emit(YAML::Emitter& out, const Json& json) {
  if (json.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, value] : json.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, value);
    }
    out << YAML::EndMap;
  } else if (json.is_array()) {
    out << YAML::BeginSeq;
    for (const auto& item : json) emit(out, item);
    out << YAML::EndSeq;
  } else if (json.is_string()) {
    // Always quoted: YAML would otherwise read "no", "1.10" or "2001-01-10" as something else.
    out << YAML::DoubleQuoted << json.get<std::string>();
  } else if (json.is_null()) {
    out << YAML::Null;
  } else {
    out << json.dump();
  }
}

class OdcsWriter {
 public:
  OdcsWriter(const Contract& contract, const ExportOptions& options) : contract_(contract), options_(options) {}

  Exchanged write() {
    Json root;
    root["apiVersion"] = "v3.1.0";
    root["kind"] = "DataContract";
    root["id"] = "urn:runink:contract:" + contract_.name;
    root["name"] = contract_.name;
    root["version"] = contract_.version ? contract_.version->to_string() : "0.0.0";
    root["status"] = "active";
    if (!contract_.tags.empty()) root["tags"] = contract_.tags;
    if (!contract_.description.empty()) root["description"] = {{"purpose", contract_.description}};
    if (!contract_.owner.empty()) root["team"] = {{"name", contract_.owner}};
    Json table;
    table["name"] = contract_.name;
    table["logicalType"] = "object";
    table["physicalType"] = "file";
    table["properties"] = properties(nest_fields(contract_.fields), "");
    Json rules = qualities();
    if (!rules.empty()) table["quality"] = std::move(rules);
    root["schema"] = Json::array({std::move(table)});
    Json custom = Json::array();
    if (!contract_.version) put(custom, "unversioned", true);
    put_contract_words(contract_, [&](const std::string& key, const Json& value) { put(custom, key, value); });
    if (!custom.empty()) root["customProperties"] = std::move(custom);
    YAML::Emitter out;
    out.SetIndent(2);
    emit(out, root);
    Exchanged exchanged;
    exchanged.text = std::string(out.c_str()) + "\n";
    exchanged.not_carried = std::move(notes_);
    return exchanged;
  }

 private:
  void put(Json& custom, std::string_view key, const Json& value) const {
    if (options_.extensions) custom.push_back({{"property", with_prefix(key)}, {"value", value}});
  }
  void note(const std::string& name, std::string_view what) {
    notes_.push_back(fmt::format("{}: ODCS cannot say {}{}", name, what,
                                 options_.extensions ? "; it is kept in customProperties" : ""));
  }

  Json properties(const std::vector<FieldNode>& nodes, const std::string& prefix) {
    Json list = Json::array();
    for (const auto& node : nodes) {
      const std::string name = prefix.empty() ? node.name : prefix + "." + node.name;
      Json property;
      property["name"] = node.name;
      if (node.field != nullptr) {
        field(*node.field, name, property);
      } else {
        property["logicalType"] = "object";
        property["properties"] = properties(node.children, name);
      }
      list.push_back(std::move(property));
    }
    return list;
  }

  void field(const ContractField& field, const std::string& name, Json& property) {
    Json custom = Json::array();
    type(field.type, field, name, property);
    if (property.contains("logicalType") && field.type.id() != TypeId::kList) {
      const bool same = odcs_type(property["logicalType"].get<std::string>(), property) == field.type;
      // Valid values make an enum of a string, unless it is said that they do not.
      if (same && field.type.id() == TypeId::kString && !field.one_of.empty()) put(custom, "type", "string");
      if (!same) {
        put(custom, "type", field.type.to_string());
        if (field.type.id() != TypeId::kEnum) note(name, fmt::format("the type {}", field.type.to_string()));
      }
    }
    if (!field.description.empty()) property["description"] = field.description;
    if (!field.glossary.empty()) property["businessName"] = field.glossary;
    if (!field.lineage.empty()) property["transformDescription"] = field.lineage;
    if (!field.tags.empty()) property["tags"] = field.tags;
    if (field.required) property["required"] = true;
    if (field.unique) property["unique"] = true;
    if (field.key) {
      property["primaryKey"] = true;
      property["primaryKeyPosition"] = key_position(field);
    }
    if (field.pii) property["classification"] = "pii";
    options_of(field, name, property, custom);
    allowed_values(field, property);
    if (field.default_value) {
      put(custom, "default", value_of(*field.default_value, field));
      note(name, "a default");
    }
    if (field.coerce) note(name, "that values of other types are converted");
    if (!field.access.empty() || !field.mask.empty()) note(name, "who sees a value unmasked");
    put_field_words(field, [&](const std::string& key, const Json& value) { put(custom, key, value); });
    if (!custom.empty()) property["customProperties"] = std::move(custom);
  }

  int key_position(const ContractField& field) const {
    int position = 0;
    for (const auto& other : contract_.fields) {
      if (other.key) ++position;
      if (&other == &field) break;
    }
    return position;
  }

  static Json value_of(const Value& value, const ContractField& field) {
    // Exact digits survive as text.
    if (field.type.id() == TypeId::kDecimal || field.type.id() == TypeId::kFloat32) return value_text(value, field);
    return value_json(value, field.type);
  }

  void type(const DataType& type, const ContractField& field, const std::string& name, Json& property) {
    if (type.id() != TypeId::kList && type.id() != TypeId::kStruct && type.id() != TypeId::kEnum)
      property["physicalType"] = type.to_string();
    switch (type.id()) {
      case TypeId::kBool:
        property["logicalType"] = "boolean";
        break;
      case TypeId::kFloat32:
        property["logicalType"] = "number";
        property["logicalTypeOptions"]["format"] = "f32";
        break;
      case TypeId::kFloat64:
        property["logicalType"] = "number";
        property["logicalTypeOptions"]["format"] = "f64";
        break;
      case TypeId::kDecimal:
        property["logicalType"] = "number";
        break;
      case TypeId::kDate:
        property["logicalType"] = "date";
        break;
      case TypeId::kTime:
        property["logicalType"] = "time";
        break;
      case TypeId::kTimestamp:
        property["logicalType"] = "timestamp";
        break;
      case TypeId::kUuid:
        property["logicalType"] = "string";
        property["logicalTypeOptions"]["format"] = "uuid";
        break;
      case TypeId::kBytes:
        property["logicalType"] = "string";
        property["logicalTypeOptions"]["format"] = "byte";
        break;
      case TypeId::kJson:
        break;  // no logical type: anything
      case TypeId::kList: {
        property["logicalType"] = "array";
        Json items = Json::object();
        ContractField element;
        element.type = type.element();
        element.elements = field.elements;
        this->type(element.type, element, name, items);
        const bool scalar = element.type.id() != TypeId::kList && element.type.id() != TypeId::kStruct;
        if (scalar && items.contains("logicalType") &&
            odcs_type(items["logicalType"].get<std::string>(), items) != element.type) {
          Json custom = Json::array();
          put(custom, "type", element.type.to_string());
          if (!custom.empty()) items["customProperties"] = std::move(custom);
        }
        property["items"] = std::move(items);
        break;
      }
      case TypeId::kStruct: {
        property["logicalType"] = "object";
        Json members = Json::array();
        for (const auto& member : field.elements) {
          Json child;
          child["name"] = member.name;
          this->field(member, name + "." + member.name, child);
          members.push_back(std::move(child));
        }
        property["properties"] = std::move(members);
        break;
      }
      default:
        property["logicalType"] = type.is_integer() ? "integer" : "string";
        if (type.is_integer()) property["logicalTypeOptions"]["format"] = integer_format(type.id());
    }
  }

  void options_of(const ContractField& field, const std::string& name, Json& property, Json& custom) {
    Json& options = property["logicalTypeOptions"];
    const TypeId id = field.type.id();
    const bool timed = id == TypeId::kDate || id == TypeId::kTime || id == TypeId::kTimestamp;
    if (field.type.is_numeric() || timed) {
      if (field.min) options["minimum"] = value_json(*field.min, field.type);
      if (field.max) options["maximum"] = value_json(*field.max, field.type);
      if (id == TypeId::kDecimal || id == TypeId::kFloat32) {
        if (field.min) put(custom, "min", value_text(*field.min, field));
        if (field.max) put(custom, "max", value_text(*field.max, field));
      }
    } else if (field.min || field.max) {
      if (field.min) put(custom, "min", value_json(*field.min, field.type));
      if (field.max) put(custom, "max", value_json(*field.max, field.type));
      note(name, "a range of " + field.type.to_string());
    }
    const bool list = id == TypeId::kList;
    if (list || id == TypeId::kString) {
      if (field.length_min) options[list ? "minItems" : "minLength"] = *field.length_min;
      if (field.length_max) options[list ? "maxItems" : "maxLength"] = *field.length_max;
    } else if (field.length_min || field.length_max) {
      note(name, "the length of " + field.type.to_string());
    }
    if (!field.pattern.empty()) {
      options["pattern"] = searching_pattern(field.pattern);
      if (whole_pattern(options["pattern"].get<std::string>()) != field.pattern) put(custom, "pattern", field.pattern);
    }
    if (!field.format.empty()) {
      const std::string java = java_format(field.format);
      if (!java.empty()) options["format"] = java;
      if (our_format(java) != field.format) {
        put(custom, "format", field.format);
        if (java.empty()) note(name, fmt::format("the format {}", field.format));
      }
    }
    if (!field.zone.empty()) options["defaultTimezone"] = field.zone;
    if (options.is_null()) property.erase("logicalTypeOptions");
  }

  void allowed_values(const ContractField& field, Json& property) {
    Json values = Json::array();
    if (field.type.id() == TypeId::kEnum) values = field.type.labels();
    for (const auto& value : field.one_of) values.push_back(value_of(value, field));
    if (values.empty()) return;
    property["quality"] = Json::array({{{"type", "library"},
                                        {"metric", "invalidValues"},
                                        {"arguments", {{"validValues", std::move(values)}}},
                                        {"mustBe", 0},
                                        {"dimension", "conformity"}}});
  }

  Json qualities() {
    Json list = Json::array();
    const auto add = [&](const std::string& name, const std::string& expression, const std::string& description,
                         const char* kind, const char* severity) {
      Json rule;
      rule["name"] = name;
      if (!description.empty()) rule["description"] = description;
      rule["type"] = "custom";
      rule["engine"] = "runink";
      rule["implementation"] = {{kind, expression}};
      rule["severity"] = severity;
      list.push_back(std::move(rule));
    };
    for (const auto& check : contract_.checks) add(check.name, check.canonical, check.description, "check", "error");
    for (const auto& rule : contract_.qualities) {
      add(rule.name, rule.canonical, rule.description, "quality",
          rule.severity == QualitySeverity::kWarn ? "warning" : "error");
    }
    for (const auto& rule : list) {
      notes_.push_back(fmt::format("{}: the expression is Runink's own; other tools see it as a custom quality rule",
                                   rule["name"].get<std::string>()));
    }
    return list;
  }

  const Contract& contract_;
  const ExportOptions& options_;
  std::vector<std::string> notes_;
};

}  // namespace

Result<Exchanged> export_odcs(const Contract& contract, const ExportOptions& options) {
  try {
    Exchanged out = OdcsWriter(contract, options).write();
    if (!options.extensions) add_losses(contract, import_odcs(out.text, "export"), &out.not_carried);
    return out;
  } catch (const std::exception& error) {
    return internal_error("export contract {} as ODCS: {}", contract.name, error.what());
  }
}

}  // namespace runink::contract
