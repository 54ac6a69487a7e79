// Documents of the Open Data Contract Standard v3 as contracts.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "data/contract/canonical.h"
#include "data/contract/exchange_common.h"
#include "data/contract/odcs_words.h"

namespace runink::contract {

using columnar::TypeId;

namespace {

// YAML as JSON: plain scalars get the type that YAML 1.2's core schema gives them.
class YamlReader {
 public:
  Result<Json> read(const YAML::Node& node, int depth = 0) {
    constexpr int kDepthMax = 64;
    constexpr size_t kNodesMax = 200'000;
    if (depth > kDepthMax)
      return invalid_argument("line {}: nested more than {} deep", node.Mark().line + 1, kDepthMax);
    if (++nodes_ > kNodesMax) return invalid_argument("more than {} values", kNodesMax);
    switch (node.Type()) {
      case YAML::NodeType::Map: {
        Json out = Json::object();
        for (const auto& entry : node) out[entry.first.as<std::string>()] = RUNINK_TRY(read(entry.second, depth + 1));
        return out;
      }
      case YAML::NodeType::Sequence: {
        Json out = Json::array();
        for (const auto& item : node) out.push_back(RUNINK_TRY(read(item, depth + 1)));
        return out;
      }
      case YAML::NodeType::Scalar:
        return scalar(node);
      default:
        return Json();
    }
  }

 private:
  static Json scalar(const YAML::Node& node) {
    const std::string& text = node.Scalar();
    if (node.Tag() == "!") return is_valid_utf8(text) ? Json(text) : Json("");  // quoted
    if (text == "true" || text == "false") return text == "true";
    if (text == "null" || text == "~" || text.empty()) return Json();
    const char* end = text.data() + text.size();
    int64_t integer = 0;
    if (const auto parsed = std::from_chars(text.data(), end, integer); parsed.ec == std::errc() && parsed.ptr == end) {
      if (integer >= 0) return static_cast<uint64_t>(integer);
      return integer;
    }
    uint64_t positive = 0;
    if (const auto parsed = std::from_chars(text.data(), end, positive); parsed.ec == std::errc() && parsed.ptr == end)
      return positive;
    double number = 0;
    const bool digits = text.find_first_of("0123456789") != std::string::npos;
    if (const auto parsed = std::from_chars(text.data(), end, number);
        digits && parsed.ec == std::errc() && parsed.ptr == end)
      return number;
    return is_valid_utf8(text) ? Json(text) : Json("");
  }

  size_t nodes_ = 0;
};

std::string text_of(const Json& object, const char* key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : std::string();
}

class OdcsReader {
 public:
  OdcsReader(const Json& root, std::string path) : root_(root), path_(std::move(path)) {}

  Result<Exchanged> read() {
    if (!root_.is_object() || text_of(root_, "kind") != "DataContract") {
      return invalid_argument("{}: this is no ODCS document: `kind: DataContract` is missing", path_);
    }
    if (const std::string api = text_of(root_, "apiVersion"); !api.starts_with("v3.")) {
      return invalid_argument("{}: apiVersion is \"{}\"; documents of v3 are understood", path_, escape_control(api));
    }
    if (!root_.contains("schema") || !root_["schema"].is_array() || root_["schema"].empty()) {
      return invalid_argument("{}: it has no schema", path_);
    }
    std::vector<Contract> drafts;
    for (const auto& table : root_["schema"]) {
      if (table.is_object()) drafts.push_back(contract(table));
    }
    for (const auto& [key, value] : root_.items()) {
      static const std::vector<std::string> known = {"apiVersion",      "kind", "id",     "name",        "version",
                                                     "status",          "tags", "schema", "description", "team",
                                                     "customProperties"};
      if (std::find(known.begin(), known.end(), key) == known.end())
        notes_.push_back(fmt::format("{}: not carried over", key));
    }
    return finish_import(std::move(drafts), std::move(notes_), path_);
  }

 private:
  Contract contract(const Json& table) {
    Contract draft;
    const bool only_one = root_["schema"].size() == 1;
    std::string name = text_of(table, "name");
    if (only_one && name.empty()) name = text_of(root_, "name");
    draft.name = contract_name_of(name);
    take_contract_word("version", root_.contains("version") ? root_["version"] : Json(), draft);
    if (!draft.version)
      notes_.push_back(fmt::format("version: \"{}\" is not MAJOR.MINOR.PATCH", text_of(root_, "version")));
    if (root_.contains("tags")) take_contract_word("tags", root_["tags"], draft);
    if (!text_of(table, "description").empty()) {
      draft.description = text_of(table, "description");
    } else if (root_.contains("description") && root_["description"].is_object()) {
      draft.description = text_of(root_["description"], "purpose");
    }
    if (root_.contains("team") && root_["team"].is_object()) draft.owner = text_of(root_["team"], "name");
    properties(table, "", 0, draft.fields);
    rules(table, draft);
    custom(root_, "", [&](const std::string& key, const Json& value) {
      if (key != "unversioned") return take_contract_word(key, value, draft);
      draft.version.reset();
      return true;
    });
    return draft;
  }

  // Hands Runink's own custom properties to `take`; others, and those it does not know, become notes.
  template <typename Take>
  void custom(const Json& owner, const std::string& name, Take take) {
    if (!owner.contains("customProperties") || !owner["customProperties"].is_array()) return;
    for (const auto& entry : owner["customProperties"]) {
      if (!entry.is_object()) continue;
      const std::string property = text_of(entry, "property"), key = without_prefix(property);
      const bool taken =
          !key.empty() && (key == "type" || take(key, entry.contains("value") ? entry["value"] : Json()));
      if (!taken)
        notes_.push_back(
            fmt::format("{}{}custom property {} is not carried over", name, name.empty() ? "" : ": ", property));
    }
  }

  static std::optional<DataType> own_type(const Json& property) {
    if (!property.contains("customProperties") || !property["customProperties"].is_array()) return std::nullopt;
    for (const auto& entry : property["customProperties"]) {
      if (entry.is_object() && text_of(entry, "property") == "runinkType") return type_of_word(text_of(entry, "value"));
    }
    return std::nullopt;
  }

  void properties(const Json& owner, const std::string& prefix, int depth, std::vector<ContractField>& out) {
    if (!owner.contains("properties") || !owner["properties"].is_array()) return;
    for (const auto& property : owner["properties"]) {
      if (!property.is_object() || out.size() > 4096) continue;
      const std::string given = text_of(property, "name"), name = usable_name(given);
      if (name != given) notes_.push_back(fmt::format("{}{}: renamed to {}", prefix, given, name));
      const bool nested =
          property.contains("properties") && property["properties"].is_array() && !property["properties"].empty();
      if (nested && depth < kExchangeDepthMax) {
        properties(property, prefix + name + ".", depth + 1, out);
        continue;
      }
      ContractField field;
      field.name = prefix + name;
      fill(property, field.name, depth, field);
      out.push_back(std::move(field));
    }
  }

  // DECIMAL(10,2), NUMERIC(10, 2), VARCHAR(20): what physical types of databases say that logical ones do not.
  static std::optional<DataType> physical_type(const Json& property) {
    const std::string physical = to_lower_ascii(text_of(property, "physicalType"));
    for (const char* word : {"decimal", "numeric", "number"}) {
      if (!physical.starts_with(std::string(word) + "(")) continue;
      int precision = 0, scale = 0;
      const size_t open = physical.find('('), comma = physical.find(',');
      const char* end = physical.data() + physical.size();
      if (std::from_chars(physical.data() + open + 1, end, precision).ec != std::errc()) return std::nullopt;
      if (comma != std::string::npos) {
        size_t at = comma + 1;
        while (at < physical.size() && physical[at] == ' ') ++at;
        if (std::from_chars(physical.data() + at, end, scale).ec != std::errc()) return std::nullopt;
      }
      if (precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision)
        return DataType::decimal(precision, scale);
    }
    return std::nullopt;
  }

  DataType type(const Json& property, const std::string& name, int depth, std::vector<ContractField>& members) {
    const std::string logical = text_of(property, "logicalType");
    if (logical == "array") {
      if (depth >= kExchangeDepthMax || !property.contains("items") || !property["items"].is_object())
        return DataType::list(TypeId::kJson);
      return DataType::list(type(property["items"], name, depth + 1, members));
    }
    if (logical == "object") {
      if (depth >= kExchangeDepthMax || !property.contains("properties") || !property["properties"].is_array() ||
          property["properties"].empty())
        return TypeId::kJson;
      std::vector<columnar::Field> columns;
      for (const auto& child : property["properties"]) {
        if (!child.is_object()) continue;
        ContractField member;
        member.name = usable_name(text_of(child, "name"));
        fill(child, name + "." + member.name, depth + 1, member);
        columns.push_back({member.name, member.type, member.nullable(), member.format, member.zone});
        members.push_back(std::move(member));
      }
      return DataType::structure(std::move(columns));
    }
    if (auto own = own_type(property)) return *own;
    const DataType implied = odcs_type(logical, property);
    if (logical == "number") {
      if (auto physical = physical_type(property)) return *physical;
    }
    if (logical == "string") {
      if (auto labels = valid_values(property);
          labels && std::all_of(labels->begin(), labels->end(), [](const Json& l) {
            return l.is_string() && !l.get_ref<const std::string&>().empty();
          })) {
        std::vector<std::string> texts;
        for (const auto& label : *labels) {
          if (std::find(texts.begin(), texts.end(), label.get<std::string>()) == texts.end()) texts.push_back(label);
        }
        if (!texts.empty() && implied.id() == TypeId::kString) return DataType::enumeration(std::move(texts));
      }
    }
    return implied;
  }

  static std::optional<Json> valid_values(const Json& property) {
    if (!property.contains("quality") || !property["quality"].is_array()) return std::nullopt;
    for (const auto& rule : property["quality"]) {
      if (!rule.is_object() || text_of(rule, "metric") != "invalidValues" || !rule.contains("arguments") ||
          !rule["arguments"].is_object())
        continue;
      if (rule["arguments"].contains("validValues") && rule["arguments"]["validValues"].is_array())
        return rule["arguments"]["validValues"];
    }
    return std::nullopt;
  }

  void fill(const Json& property, const std::string& name, int depth, ContractField& field) {
    field.type = type(property, name, depth, field.elements);
    field.description = text_of(property, "description");
    field.glossary = text_of(property, "businessName");
    field.lineage = text_of(property, "transformDescription");
    if (property.contains("tags")) take_field_word("tags", property["tags"], field);
    field.required = property.contains("required") && property["required"] == true;
    field.unique = property.contains("unique") && property["unique"] == true;
    field.key = property.contains("primaryKey") && property["primaryKey"] == true;
    const std::string classification = to_lower_ascii(text_of(property, "classification"));
    field.pii = classification == "pii";
    if (!classification.empty() && !field.pii)
      notes_.push_back(fmt::format("{}: classification {} of a field is not carried over", name, classification));
    options_of(property, name, field);
    if (field.type.id() != TypeId::kEnum) {
      if (const auto values = valid_values(property)) {
        if (!take_field_word("oneOf", *values, field))
          notes_.push_back(fmt::format("{}: its valid values are no {}", name, field.type.to_string()));
      }
    }
    if (property.contains("quality") && property["quality"].is_array()) {
      for (const auto& rule : property["quality"]) {
        const bool known = rule.is_object() && text_of(rule, "metric") == "invalidValues" && valid_values(property);
        if (!known) notes_.push_back(fmt::format("{}: a quality rule of the field is not carried over", name));
      }
    }
    for (const char* word :
         {"encryptedName", "partitioned", "transformLogic", "transformSourceObjects", "relationships",
          "authoritativeDefinitions", "criticalDataElement", "physicalName", "examples"}) {
      if (property.contains(word)) notes_.push_back(fmt::format("{}: {} is not carried over", name, word));
    }
    custom(property, name,
           [&](const std::string& key, const Json& value) { return take_field_word(key, value, field); });
  }

  void options_of(const Json& property, const std::string& name, ContractField& field) {
    if (!property.contains("logicalTypeOptions") || !property["logicalTypeOptions"].is_object()) return;
    for (const auto& [key, value] : property["logicalTypeOptions"].items()) {
      if (!option(key, value, field)) notes_.push_back(fmt::format("{}: the option {} is not carried over", name, key));
    }
  }

  // The whole number above or below, unless the type ends there.
  static bool next_integer(const Value& bound, const DataType& type, bool above, std::optional<Value>& out) {
    if (type.is_signed_integer()) {
      const int64_t value = bound.as_int64();
      if (value == (above ? INT64_MAX : INT64_MIN)) return false;
      out = json_value(Json(value + (above ? 1 : -1)), type);
    } else {
      const uint64_t value = bound.as_uint64();
      if (value == (above ? UINT64_MAX : 0)) return false;
      out = json_value(Json(above ? value + 1 : value - 1), type);
    }
    return out.has_value();
  }

  static bool option(const std::string& key, const Json& value, ContractField& field) {
    const TypeId id = field.type.id();
    const bool timed = id == TypeId::kDate || id == TypeId::kTime || id == TypeId::kTimestamp;
    if (key == "minimum") return take_field_word("min", value, field);
    if (key == "maximum") return take_field_word("max", value, field);
    if (key == "exclusiveMinimum" || key == "exclusiveMaximum") {
      const auto bound = json_value(value, field.type);
      if (!bound || !field.type.is_integer()) return false;
      return next_integer(*bound, field.type, key == "exclusiveMinimum",
                          key == "exclusiveMinimum" ? field.min : field.max);
    }
    if (key == "multipleOf" && field.type.id() == TypeId::kDecimal && value.is_number()) {
      double step = value.get<double>();  // 0.01 says two digits after the point, as the type does
      for (int i = 0; i < field.type.scale(); ++i) step *= 10;
      return step > 0.999999 && step < 1.000001;
    }
    if (key == "minLength" || key == "minItems" || key == "maxLength" || key == "maxItems") {
      if (!value.is_number_unsigned() || value.get<uint64_t>() > 0x7FFFFFFF ||
          !(id == TypeId::kString || id == TypeId::kList))
        return false;
      const uint64_t length = value.get<uint64_t>();
      if (key.starts_with("min")) {
        if (length > 0) field.length_min = length;
      } else {
        field.length_max = length;
      }
      return true;
    }
    if (key == "pattern") {
      if (!value.is_string() || id != TypeId::kString) return false;
      return take_field_word("pattern", whole_pattern(value.get<std::string>()), field);
    }
    if (key == "format" && timed) {
      const std::string format = value.is_string() ? our_format(value.get<std::string>()) : std::string();
      const bool iso = format == "%Y-%m-%d" || format == "%H:%M:%S";
      field.format = iso ? "" : format;
      return !format.empty();
    }
    if (key == "format")
      return value.is_string() && (field.type.is_numeric() || id == TypeId::kUuid || id == TypeId::kBytes);
    if (key == "defaultTimezone" && id == TypeId::kTimestamp && value.is_string()) {
      field.zone = value.get<std::string>() == "Etc/UTC" ? "" : value.get<std::string>();
      return true;
    }
    return key == "timezone";
  }

  void rules(const Json& table, Contract& draft) {
    if (!table.contains("quality") || !table["quality"].is_array()) return;
    for (const auto& rule : table["quality"]) {
      if (!rule.is_object()) continue;
      const std::string name = text_of(rule, "name");
      const bool ours =
          text_of(rule, "engine") == "runink" && rule.contains("implementation") && rule["implementation"].is_object();
      const std::string check = ours ? text_of(rule["implementation"], "check") : "";
      const std::string quality = ours ? text_of(rule["implementation"], "quality") : "";
      if (!check.empty()) {
        RowCheck made;
        made.name = usable_name(name);
        made.canonical = check;
        made.description = text_of(rule, "description");
        draft.checks.push_back(std::move(made));
      } else if (!quality.empty()) {
        QualityRule made;
        made.name = usable_name(name);
        made.canonical = quality;
        made.description = text_of(rule, "description");
        made.severity = text_of(rule, "severity") == "warning" ? QualitySeverity::kWarn : QualitySeverity::kError;
        draft.qualities.push_back(std::move(made));
      } else if (!row_count(rule, draft)) {
        notes_.push_back(
            fmt::format("quality rule {}: not carried over", name.empty() ? text_of(rule, "metric") : name));
      }
    }
  }

  // `metric: rowCount` is the one rule of the standard's library on whole tables that an expression says as well.
  static bool row_count(const Json& rule, Contract& draft) {
    if (text_of(rule, "metric") != "rowCount" || text_of(rule, "unit") == "percent") return false;
    static const std::pair<const char*, const char*> operators[] = {
        {"mustBe", "=="},           {"mustNotBe", "!="},
        {"mustBeGreaterThan", ">"}, {"mustBeGreaterOrEqualTo", ">="},
        {"mustBeLessThan", "<"},    {"mustBeLessOrEqualTo", "<="}};
    for (const auto& [word, sign] : operators) {
      if (!rule.contains(word) || !rule[word].is_number_integer()) continue;
      QualityRule made;
      made.name = text_of(rule, "name").empty() ? "row_count" : usable_name(text_of(rule, "name"));
      made.canonical = fmt::format("count() {} {}", sign, rule[word].dump());
      made.description = text_of(rule, "description");
      made.severity = text_of(rule, "severity") == "warning" ? QualitySeverity::kWarn : QualitySeverity::kError;
      draft.qualities.push_back(std::move(made));
      return true;
    }
    return false;
  }

  const Json& root_;
  std::string path_;
  std::vector<std::string> notes_;
};

}  // namespace

Result<std::string> yaml_as_json(std::string_view yaml) {
  try {
    return RUNINK_TRY(YamlReader().read(YAML::Load(std::string(yaml)))).dump();
  } catch (const std::exception& error) {
    return invalid_argument("{}", escape_control(error.what()));
  }
}

Result<Exchanged> import_odcs(std::string_view yaml, const std::string& path) {
  constexpr size_t kBytesMax = size_t{16} << 20;
  if (yaml.size() > kBytesMax) return invalid_argument("{}: more than {}", path, human_bytes(kBytesMax));
  try {
    const YAML::Node node = YAML::Load(std::string(yaml));
    auto json = YamlReader().read(node);
    if (!json.ok()) return std::move(json).status().with_context("import " + path);
    return OdcsReader(*json, path).read();
  } catch (const YAML::Exception& error) {
    return invalid_argument("{}:{}:{}: {}", path, error.mark.line + 1, error.mark.column + 1,
                            escape_control(error.msg));
  } catch (const std::exception& error) {
    return invalid_argument("{}: {}", path, escape_control(error.what()));
  }
}

}  // namespace runink::contract
