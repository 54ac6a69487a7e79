#include "data/contract/attributes.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/text.h"
#include "data/contract/canonical.h"
#include "data/contract/redact.h"
#include "data/expr/rules.h"

namespace runink::contract {

using columnar::TypeId;

const std::vector<AttributeInfo>& attribute_table() {
  constexpr unsigned kColumn = kOnField;
  constexpr unsigned kAnyField = kOnField | kOnStruct;
  constexpr unsigned kAll = kAnyField | kOnContract;
  constexpr size_t kMany = 4096;
  static const std::vector<AttributeInfo> table = {
      {AttributeId::kRequired, "required", kColumn, 0, 0, "required", "The value must be there and not be null."},
      {AttributeId::kUnique, "unique", kOnField, 0, 0, "unique",
       "No two records have the same value; the first in input order is kept. Nulls do not count."},
      {AttributeId::kKey, "key", kOnField, 0, 0, "key",
       "All fields marked so identify a record together; each of them is required."},
      {AttributeId::kMin, "min", kColumn, 1, 1, "min(value)", "The smallest value allowed."},
      {AttributeId::kMax, "max", kColumn, 1, 1, "max(value)", "The largest value allowed."},
      {AttributeId::kRange, "range", kColumn, 2, 2, "range(min, max)", "Both bounds, inclusive."},
      {AttributeId::kLength, "length", kColumn, 1, 2, "length(min, max)",
       "Code points of a string, bytes of bytes, elements of a list. length(3) is exact; * leaves a side open."},
      {AttributeId::kPattern, "pattern", kColumn, 1, 1, "pattern(\"regex\")",
       "The whole value matches this RE2 expression."},
      {AttributeId::kOneOf, "one_of", kColumn, 1, kMany, "one_of(a, b, …)", "The value is one of these."},
      {AttributeId::kFormat, "format", kColumn, 1, 1, "format(\"%Y-%m-%d\")",
       "How text formats write a date, time or timestamp; ISO 8601 without it."},
      {AttributeId::kZone, "zone", kColumn, 1, 1, "zone(\"Europe/Berlin\")",
       "The time zone of text that names none; UTC without it."},
      {AttributeId::kDefault, "default", kOnField, 1, 1, "default(value)",
       "Takes the place of a value that is absent or null."},
      {AttributeId::kCoerce, "coerce", kOnField, 0, 0, "coerce",
       "Accepts a value of another type that says the same: \"12\" for 12."},
      {AttributeId::kPii, "pii", kAnyField, 0, 1, "pii", "Personal data: masked wherever it is shown. pii(\"email\") says which kind."},
      {AttributeId::kAccess, "access", kAnyField, 1, 64, "access(\"role\")", "Only these roles see the value unmasked."},
      {AttributeId::kMask, "mask", kAnyField, 1, 1, "mask(\"last4\")", "How the value is masked; wholly without it."},
      {AttributeId::kLineage, "lineage", kAnyField, 1, 1, "lineage(\"text\")", "Where the value comes from, for people."},
      {AttributeId::kDescription, "description", kAll | kOnCheck | kOnQuality, 1, 1, "description(\"text\")",
       "What it means."},
      {AttributeId::kUnit, "unit", kColumn, 1, 1, "unit(\"minutes\")", "The unit of a number."},
      {AttributeId::kTags, "tags", kAll, 1, 64, "tags(\"a\", \"b\")", "Words to find it by."},
      {AttributeId::kGlossary, "glossary", kAnyField, 1, 1, "glossary(\"term\")", "The term of the business glossary."},
      {AttributeId::kVersion, "version", kOnContract, 1, 1, "version(\"1.0.0\")", "MAJOR.MINOR.PATCH of this contract."},
      {AttributeId::kOwner, "owner", kOnContract, 1, 1, "owner(\"mail\")", "Who answers for it."},
      {AttributeId::kClassification, "classification", kOnContract, 1, 1, "classification(\"internal\")",
       "How confidential the data is."},
      {AttributeId::kMaxRecords, "max_records", kOnContract, 1, 1, "max_records(1000000)",
       "A hint for the size of buffers; never a limit."},
      {AttributeId::kOpen, "open", kOnContract, 0, 0, "open", "Fields that the contract does not name pass through."},
      {AttributeId::kSeverity, "severity", kOnQuality, 1, 1, "severity(\"warn\")",
       "\"error\" stops publishing, \"warn\" is only told; error without it."},
  };
  return table;
}

namespace {

std::string place_text(unsigned place) {
  switch (place) {
    case kOnField: return "a field";
    case kOnStruct: return "a field of a struct type";
    case kOnContract: return "a contract";
    case kOnCheck: return "a check";
    default: return "a quality rule";
  }
}

bool is_ordered(const DataType& type) {
  switch (type.id()) {
    case TypeId::kDate: case TypeId::kTime: case TypeId::kTimestamp: case TypeId::kDuration: return true;
    default: return type.is_numeric();
  }
}

// Looks up the attributes of one declaration and hands those that may stand there, with a right number of arguments
// and for the first time, to a callback.
class AttributeReader {
 public:
  AttributeReader(const SourceText& source, unsigned place, Diagnostics& diagnostics)
      : source_(source), place_(place), diagnostics_(diagnostics) {}

  template <typename Apply>
  void read(const std::vector<AttributeSyntax>& attributes, Apply apply) {
    std::set<AttributeId> seen;
    for (const auto& attribute : attributes) {
      const AttributeInfo* info = find(attribute);
      if (info == nullptr || !arguments_fit(*info, attribute)) continue;
      if (!seen.insert(info->id).second) {
        error(attribute.name_span, "contract.repeated_attribute", fmt::format("{} is given twice", info->name));
        continue;
      }
      apply(*info, attribute);
    }
  }

  Diagnostic& error(Span span, std::string code, std::string message) {
    return diagnostics_.error(source_, span, std::move(code), std::move(message));
  }
  Diagnostic& warning(Span span, std::string code, std::string message) {
    return diagnostics_.warning(source_, span, std::move(code), std::move(message));
  }

  // The argument as text; attributes for people and names of things want quotes.
  bool text_argument(const AttributeSyntax& attribute, size_t index, std::string& out) {
    const ArgumentSyntax& argument = attribute.arguments[index];
    if (!argument.quoted) {
      error(argument.span, "contract.argument", fmt::format("{} takes text in quotes", attribute.name))
          .help.push_back(fmt::format("{}({})", attribute.name, quote_text(argument.text)));
      return false;
    }
    if (argument.text.empty()) {
      error(argument.span, "contract.argument", fmt::format("{} must not be empty", attribute.name));
      return false;
    }
    out = argument.text;
    return true;
  }

  bool text_list(const AttributeSyntax& attribute, std::vector<std::string>& out) {
    bool good = true;
    for (size_t i = 0; i < attribute.arguments.size(); ++i) {
      std::string text;
      if (!text_argument(attribute, i, text)) {
        good = false;
      } else if (std::find(out.begin(), out.end(), text) != out.end()) {
        warning(attribute.arguments[i].span, "contract.repeated_value", fmt::format("{} is named twice", quote_text(text)));
      } else {
        out.push_back(std::move(text));
      }
    }
    return good;
  }

 private:
  const AttributeInfo* find(const AttributeSyntax& attribute) {
    std::vector<std::string> names;
    for (const auto& info : attribute_table()) {
      if (info.name == attribute.name) {
        if ((info.places & place_) != 0) return &info;
        auto& diagnostic = error(attribute.name_span, "contract.misplaced_attribute",
                                 fmt::format("{} has no place on {}", info.name, place_text(place_)));
        if (place_ == kOnStruct) {
          diagnostic.help.push_back("write it on the members of the struct: each of them becomes a column");
        } else if (info.places == kOnContract) {
          diagnostic.help.push_back("it belongs in front of the contract: [[…]] contract Name { … }");
        } else if (info.id == AttributeId::kSeverity) {
          diagnostic.help.push_back("a check rejects records; a rule on all of the data that may only warn is a quality");
        }
        return nullptr;
      }
      if ((info.places & place_) != 0) names.push_back(info.name);
    }
    auto& diagnostic = error(attribute.name_span, "contract.unknown_attribute",
                             fmt::format("there is no attribute \"{}\"", escape_control(attribute.name)));
    const auto near = nearest(attribute.name, names);
    if (!near.empty()) {
      diagnostic.help.push_back(fmt::format("did you mean {}?", near[0]));
    } else {
      diagnostic.help.push_back("attributes of " + place_text(place_) + ": " + join(names, ", "));
    }
    return nullptr;
  }

  bool arguments_fit(const AttributeInfo& info, const AttributeSyntax& attribute) {
    const size_t count = attribute.arguments.size();
    if (count >= info.arguments_min && count <= info.arguments_max && (count > 0 || !attribute.parentheses)) return true;
    const std::string wanted = info.arguments_max == 0 ? "no arguments"
                               : info.arguments_min == info.arguments_max
                                   ? fmt::format("{} argument{}", info.arguments_min, info.arguments_min == 1 ? "" : "s")
                               : info.arguments_max >= 64
                                   ? "one argument or more"
                                   : fmt::format("{} or {} arguments", info.arguments_min, info.arguments_max);
    error(attribute.name_span, "contract.argument_count",
          fmt::format("{} takes {}, not {}", info.name, wanted, count))
        .help.push_back(info.use);
    return false;
  }

  const SourceText& source_;
  unsigned place_;
  Diagnostics& diagnostics_;
};

// A literal of the field's type.
bool parse_literal(AttributeReader& reader, const ArgumentSyntax& argument, std::string_view attribute,
                   const DataType& type, Value& out) {
  const auto fail = [&](std::string message) -> Diagnostic& {
    return reader.error(argument.span, "contract.literal", std::move(message));
  };
  const bool bare_only = type.is_numeric() || type.id() == TypeId::kBool;
  const bool quoted_only = type.is_text() || type.id() == TypeId::kUuid;
  if (bare_only && argument.quoted) {
    fail(fmt::format("{} wants a value of type {}, not text", attribute, type.to_string()))
        .help.push_back("write it without quotes: " + argument.text);
    return false;
  }
  if (quoted_only && !argument.quoted) {
    fail(fmt::format("{} wants text in quotes", attribute)).help.push_back(quote_text(argument.text));
    return false;
  }
  if (type.id() == TypeId::kEnum) {
    const auto& labels = type.labels();
    const auto at = std::find(labels.begin(), labels.end(), argument.text);
    if (at != labels.end()) {
      out = Value(static_cast<int64_t>(at - labels.begin()));
      return true;
    }
    auto& diagnostic = fail(fmt::format("{} is none of the enum's values", quote_text(argument.text)));
    for (const auto& near : nearest(argument.text, labels)) diagnostic.help.push_back(fmt::format("did you mean {}?", near));
    return false;
  }
  if (type.id() == TypeId::kJson && !columnar::is_valid_json(argument.text)) {
    fail(fmt::format("{} is not a JSON value", quote_text(argument.text)));
    return false;
  }
  auto value = columnar::FieldText(type).parse(argument.text);
  if (!value.ok()) {
    auto& diagnostic = fail(value.status().message());
    if (type.id() == TypeId::kDate) diagnostic.help.push_back("a date is written 2001-01-10");
    if (type.id() == TypeId::kTime) diagnostic.help.push_back("a time is written 18:20:00");
    if (type.id() == TypeId::kTimestamp) diagnostic.help.push_back("a timestamp is written 2001-01-10T18:20:00Z");
    if (type.id() == TypeId::kDuration) diagnostic.help.push_back("a duration is written 2h30m, 90s or 7d");
    return false;
  }
  out = std::move(value).value();
  return true;
}

class FieldAttributes {
 public:
  FieldAttributes(const FieldSyntax& syntax, const SourceText& source, unsigned place, ContractField& field,
                  Diagnostics& diagnostics)
      : syntax_(syntax), reader_(source, place, diagnostics), field_(field) {}

  void apply() {
    reader_.read(syntax_.attributes,
                 [this](const AttributeInfo& info, const AttributeSyntax& attribute) { apply_one(info, attribute); });
    check_bounds();
    check_one_of();
    check_default();
    check_text_forms();
    if (field_.key) field_.required = true;
  }

 private:
  void apply_one(const AttributeInfo& info, const AttributeSyntax& attribute) {
    Value value;
    switch (info.id) {
      case AttributeId::kRequired: field_.required = true; break;
      case AttributeId::kUnique: case AttributeId::kKey: apply_identity(info, attribute); break;
      case AttributeId::kMin: case AttributeId::kMax: case AttributeId::kRange: apply_bounds(info, attribute); break;
      case AttributeId::kLength: apply_length(attribute); break;
      case AttributeId::kPattern: apply_pattern(attribute); break;
      case AttributeId::kOneOf: apply_one_of(attribute); break;
      case AttributeId::kFormat:
        if (reader_.text_argument(attribute, 0, field_.format)) format_span_ = attribute.arguments[0].span;
        break;
      case AttributeId::kZone:
        if (reader_.text_argument(attribute, 0, field_.zone)) zone_span_ = attribute.arguments[0].span;
        break;
      case AttributeId::kDefault:
        if (!scalar(attribute)) break;
        default_span_ = attribute.arguments[0].span;
        if (parse_literal(reader_, attribute.arguments[0], "default", field_.type, value)) field_.default_value = value;
        break;
      case AttributeId::kCoerce:
        if (scalar(attribute)) field_.coerce = true;
        break;
      case AttributeId::kPii:
        field_.pii = true;
        if (!attribute.arguments.empty()) reader_.text_argument(attribute, 0, field_.pii_kind);
        break;
      case AttributeId::kAccess:
        reader_.text_list(attribute, field_.access);
        std::sort(field_.access.begin(), field_.access.end());
        break;
      case AttributeId::kMask: apply_mask(attribute); break;
      case AttributeId::kLineage: reader_.text_argument(attribute, 0, field_.lineage); break;
      case AttributeId::kDescription: reader_.text_argument(attribute, 0, field_.description); break;
      case AttributeId::kUnit: reader_.text_argument(attribute, 0, field_.unit); break;
      case AttributeId::kTags: reader_.text_list(attribute, field_.tags); break;
      case AttributeId::kGlossary: reader_.text_argument(attribute, 0, field_.glossary); break;
      default: break;
    }
  }

  bool does_not_fit(const AttributeSyntax& attribute, std::string_view name, std::string help = {}) {
    auto& diagnostic = reader_.error(attribute.name_span, "contract.rule_type",
                                     fmt::format("{} does not apply to {}", name, type_text(field_)));
    if (!help.empty()) diagnostic.help.push_back(std::move(help));
    return false;
  }
  bool scalar(const AttributeSyntax& attribute) {
    const TypeId id = field_.type.id();
    return (id != TypeId::kList && id != TypeId::kStruct) || does_not_fit(attribute, attribute.name);
  }

  void apply_identity(const AttributeInfo& info, const AttributeSyntax& attribute) {
    if (!scalar(attribute)) return;
    (info.id == AttributeId::kKey ? field_.key : field_.unique) = true;
  }

  void apply_bounds(const AttributeInfo& info, const AttributeSyntax& attribute) {
    if (!is_ordered(field_.type)) {
      std::string help;
      if (field_.type.is_text()) help = "length(min, max) bounds text";
      if (field_.type.id() == TypeId::kList) help = "length(min, max) bounds the number of elements";
      does_not_fit(attribute, info.name, help);
      return;
    }
    const bool lower = info.id != AttributeId::kMax, upper = info.id != AttributeId::kMin;
    if ((lower && min_span_.length > 0) || (upper && max_span_.length > 0)) {
      reader_.error(attribute.name_span, "contract.repeated_attribute",
                    fmt::format("the {} bound is already given", lower && min_span_.length > 0 ? "lower" : "upper"));
      return;
    }
    if (lower) read_bound(attribute, 0, info.name, field_.min, min_span_);
    if (upper) read_bound(attribute, lower ? 1 : 0, info.name, field_.max, max_span_);
  }

  void read_bound(const AttributeSyntax& attribute, size_t index, std::string_view name, std::optional<Value>& bound,
                  Span& span) {
    Value value;
    span = attribute.arguments[index].span;
    if (parse_literal(reader_, attribute.arguments[index], name, field_.type, value)) bound = value;
  }

  void apply_length(const AttributeSyntax& attribute) {
    const TypeId id = field_.type.id();
    if (!field_.type.is_text() && id != TypeId::kList) {
      does_not_fit(attribute, "length", is_ordered(field_.type) ? "range(min, max) bounds values" : "");
      return;
    }
    std::optional<uint64_t> bounds[2];
    for (size_t i = 0; i < attribute.arguments.size(); ++i) {
      const auto& argument = attribute.arguments[i];
      if (argument.text == "*" && !argument.quoted && attribute.arguments.size() == 2) continue;
      uint64_t value = 0;
      const char* end = argument.text.data() + argument.text.size();
      const auto parsed = std::from_chars(argument.text.data(), end, value);
      if (argument.quoted || parsed.ec != std::errc() || parsed.ptr != end || value > 0x7FFFFFFF) {
        reader_.error(argument.span, "contract.literal", "a length is a whole number from 0 to 2147483647")
            .help.push_back("length(3), length(1, 20), length(1, *)");
        return;
      }
      bounds[i] = value;
    }
    if (attribute.arguments.size() == 1) bounds[1] = bounds[0];
    if (bounds[0] && bounds[1] && *bounds[0] > *bounds[1]) {
      reader_.error(attribute.arguments[0].span, "contract.contradiction",
                    fmt::format("no value is at least {} and at most {} long", *bounds[0], *bounds[1]))
          .help.push_back(fmt::format("length({}, {})", *bounds[1], *bounds[0]));
      return;
    }
    if (bounds[0].value_or(0) == 0 && !bounds[1]) {
      reader_.warning(attribute.name_span, "contract.useless_rule", "this length holds for every value");
    }
    field_.length_min = bounds[0].value_or(0) == 0 ? std::nullopt : bounds[0];
    field_.length_max = bounds[1];
  }

  void apply_pattern(const AttributeSyntax& attribute) {
    if (field_.type.id() != TypeId::kString) {
      does_not_fit(attribute, "pattern", field_.type.id() == TypeId::kEnum ? "the enum already lists what is allowed" : "");
      return;
    }
    std::string pattern;
    if (!reader_.text_argument(attribute, 0, pattern)) return;
    const Span span = attribute.arguments[0].span;
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(expr::kRegexMemoryBytes);
    const RE2 compiled(pattern, options);
    if (!compiled.ok()) {
      auto& diagnostic = reader_.error(span, "contract.pattern", fmt::format("this pattern is not valid: {}",
                                                                             escape_control(compiled.error())));
      if (compiled.error_code() == RE2::ErrorBadPerlOp) {
        diagnostic.help.push_back("RE2 has no look-ahead and no back references, so that matching takes linear time");
      }
      return;
    }
    if (pattern == ".*") reader_.warning(span, "contract.useless_rule", "this pattern matches every line of text");
    if (pattern.front() == '^' || (pattern.back() == '$' && !pattern.ends_with("\\$"))) {
      reader_.warning(span, "contract.useless_rule", "a pattern always matches the whole value: ^ and $ are not needed");
    }
    field_.pattern = std::move(pattern);
  }

  void apply_one_of(const AttributeSyntax& attribute) {
    const TypeId id = field_.type.id();
    if (id == TypeId::kBool || id == TypeId::kList || id == TypeId::kStruct || id == TypeId::kJson || id == TypeId::kBytes ||
        id == TypeId::kEnum) {
      does_not_fit(attribute, "one_of", id == TypeId::kEnum ? "the enum already lists what is allowed" : "");
      return;
    }
    for (const auto& argument : attribute.arguments) {
      Value value;
      if (!parse_literal(reader_, argument, "one_of", field_.type, value)) continue;
      if (std::find(field_.one_of.begin(), field_.one_of.end(), value) != field_.one_of.end()) {
        reader_.warning(argument.span, "contract.repeated_value", fmt::format("{} is named twice", argument.text));
        continue;
      }
      field_.one_of.push_back(std::move(value));
      one_of_spans_.push_back(argument.span);
    }
  }

  void apply_mask(const AttributeSyntax& attribute) {
    std::string text;
    if (!reader_.text_argument(attribute, 0, text)) return;
    const auto mask = parse_mask(text);
    if (!mask.ok()) {
      auto& diagnostic = reader_.error(attribute.arguments[0].span, "contract.mask", mask.status().message());
      if (!mask.status().hint().empty()) diagnostic.help.push_back(mask.status().hint());
      return;
    }
    field_.mask = mask_name(*mask);
  }

  void check_bounds() {
    if (field_.min && field_.max && columnar::compare_values(*field_.min, *field_.max) > 0) {
      reader_.error(min_span_, "contract.contradiction",
                    fmt::format("no value is at least {} and at most {}", value_text(*field_.min, field_),
                                value_text(*field_.max, field_)))
          .help.push_back("the smaller bound comes first");
      field_.min.reset();
      field_.max.reset();
      return;
    }
    if (!field_.type.is_integer()) return;
    const int bits = field_.type.width() * 8;
    const bool is_signed = field_.type.is_signed_integer();
    const auto extreme = [&](const Value& value, bool low) {
      if (is_signed) {
        const int64_t max = static_cast<int64_t>(~uint64_t{0} >> (65 - bits));
        return value.as_int64() == (low ? -max - 1 : max);
      }
      return value.as_uint64() == (low ? 0 : ~uint64_t{0} >> (64 - bits));
    };
    if (field_.min && extreme(*field_.min, true)) {
      reader_.warning(min_span_, "contract.useless_rule",
                      fmt::format("no {} is below {}", field_.type.to_string(), value_text(*field_.min, field_)));
      field_.min.reset();
    }
    if (field_.max && extreme(*field_.max, false)) {
      reader_.warning(max_span_, "contract.useless_rule",
                      fmt::format("no {} is above {}", field_.type.to_string(), value_text(*field_.max, field_)));
      field_.max.reset();
    }
  }

  // Which other rule of the field a value breaks; empty: none.
  std::string broken_rule(const Value& value, bool with_one_of) {
    if (field_.min && columnar::compare_values(value, *field_.min) < 0) return "below the lower bound";
    if (field_.max && columnar::compare_values(value, *field_.max) > 0) return "above the upper bound";
    if (field_.type.is_text() && (field_.length_min || field_.length_max)) {
      const std::string& text = value.as_string();
      const uint64_t length = field_.type.id() == TypeId::kBytes ? text.size() : count_code_points(text);
      if (length < field_.length_min.value_or(0) || length > field_.length_max.value_or(UINT64_MAX)) {
        return "not of the length that is asked for";
      }
    }
    if (!field_.pattern.empty()) {
      RE2::Options options;
      options.set_log_errors(false);
      options.set_max_mem(expr::kRegexMemoryBytes);
      const RE2 compiled(field_.pattern, options);
      if (!RE2::FullMatch(value.as_string(), compiled)) return "not matched by the pattern";
    }
    if (with_one_of && !field_.one_of.empty() &&
        std::find(field_.one_of.begin(), field_.one_of.end(), value) == field_.one_of.end()) {
      return "none of the values of one_of";
    }
    return {};
  }

  void check_one_of() {
    for (size_t i = 0; i < field_.one_of.size(); ++i) {
      const std::string broken = broken_rule(field_.one_of[i], false);
      if (!broken.empty()) {
        reader_.error(one_of_spans_[i], "contract.contradiction", fmt::format("this value is {}", broken));
      }
    }
  }

  void check_default() {
    if (!field_.default_value) return;
    const std::string broken = broken_rule(*field_.default_value, true);
    if (!broken.empty()) {
      reader_.error(default_span_, "contract.contradiction", fmt::format("the default is {}", broken));
    }
    if (field_.unique || field_.key) {
      reader_.warning(default_span_, "contract.useless_rule",
                      "a default for a unique field: only the first record without a value can pass");
    }
  }

  void check_text_forms() {
    const TypeId id = field_.type.id();
    const bool timed = id == TypeId::kDate || id == TypeId::kTime || id == TypeId::kTimestamp;
    if (!field_.format.empty() && !timed) {
      auto& diagnostic = reader_.error(format_span_, "contract.rule_type",
                                       fmt::format("format does not apply to {}", type_text(field_)));
      if (id == TypeId::kString) diagnostic.help.push_back("pattern(\"…\") says what text must look like");
      field_.format.clear();
    }
    if (!field_.zone.empty() && id != TypeId::kTimestamp) {
      reader_.error(zone_span_, "contract.rule_type", fmt::format("zone does not apply to {}", type_text(field_)));
      field_.zone.clear();
    }
    columnar::TimeZonePtr zone;
    if (!field_.zone.empty()) {
      auto found = columnar::TimeZone::find(field_.zone);
      if (!found.ok()) {
        report(found.status(), zone_span_, "contract.zone");
        field_.zone.clear();
      } else {
        zone = *found;
      }
    }
    if (field_.format.empty()) return;
    const auto format = columnar::TimeFormat::make(field_.format, id, zone);
    if (!format.ok()) {
      report(format.status(), format_span_, "contract.format");
      field_.format.clear();
    } else if (!field_.zone.empty() && field_.format.find("%z") != std::string::npos) {
      reader_.warning(zone_span_, "contract.useless_rule", "every value names its own offset (%z): zone only says how it is written");
    }
  }

  void report(const Status& status, Span span, std::string code) {
    auto& diagnostic = reader_.error(span, std::move(code), status.message());
    if (!status.hint().empty()) diagnostic.help.push_back(status.hint());
  }

  const FieldSyntax& syntax_;
  AttributeReader reader_;
  ContractField& field_;
  Span min_span_, max_span_, default_span_, format_span_, zone_span_;
  std::vector<Span> one_of_spans_;
};

}  // namespace

void apply_field_attributes(const FieldSyntax& syntax, const SourceText& source, unsigned place, ContractField& field,
                            Diagnostics& diagnostics) {
  FieldAttributes(syntax, source, place, field, diagnostics).apply();
}

void apply_contract_attributes(const ContractSyntax& syntax, const SourceText& source, Contract& contract,
                               Diagnostics& diagnostics) {
  AttributeReader reader(source, kOnContract, diagnostics);
  reader.read(syntax.attributes, [&](const AttributeInfo& info, const AttributeSyntax& attribute) {
    std::string text;
    switch (info.id) {
      case AttributeId::kVersion: {
        if (!reader.text_argument(attribute, 0, text)) break;
        Version version;
        if (Version::parse(text, &version)) {
          contract.version = version;
        } else {
          reader.error(attribute.arguments[0].span, "contract.version",
                       fmt::format("{} is not a version", quote_text(text)))
              .help.push_back("three numbers: version(\"1.2.0\")");
        }
        break;
      }
      case AttributeId::kOwner: reader.text_argument(attribute, 0, contract.owner); break;
      case AttributeId::kDescription: reader.text_argument(attribute, 0, contract.description); break;
      case AttributeId::kClassification: reader.text_argument(attribute, 0, contract.classification); break;
      case AttributeId::kTags: reader.text_list(attribute, contract.tags); break;
      case AttributeId::kOpen: contract.open = true; break;
      case AttributeId::kMaxRecords: {
        const auto& argument = attribute.arguments[0];
        uint64_t value = 0;
        const char* end = argument.text.data() + argument.text.size();
        const auto parsed = std::from_chars(argument.text.data(), end, value);
        if (argument.quoted || parsed.ec != std::errc() || parsed.ptr != end || value == 0) {
          reader.error(argument.span, "contract.literal", "max_records is a whole number above 0");
        } else {
          contract.max_records = value;
        }
        break;
      }
      default: break;
    }
  });
}

void apply_check_attributes(const RuleSyntax& syntax, const SourceText& source, RowCheck& check,
                            Diagnostics& diagnostics) {
  AttributeReader reader(source, kOnCheck, diagnostics);
  reader.read(syntax.attributes, [&](const AttributeInfo&, const AttributeSyntax& attribute) {
    reader.text_argument(attribute, 0, check.description);
  });
}

void apply_quality_attributes(const RuleSyntax& syntax, const SourceText& source, QualityRule& quality,
                              Diagnostics& diagnostics) {
  AttributeReader reader(source, kOnQuality, diagnostics);
  reader.read(syntax.attributes, [&](const AttributeInfo& info, const AttributeSyntax& attribute) {
    std::string text;
    if (!reader.text_argument(attribute, 0, text)) return;
    if (info.id == AttributeId::kDescription) {
      quality.description = std::move(text);
    } else if (text == "warn" || text == "error") {
      quality.severity = text == "warn" ? QualitySeverity::kWarn : QualitySeverity::kError;
    } else {
      reader.error(attribute.arguments[0].span, "contract.severity", fmt::format("{} is no severity", quote_text(text)))
          .help.push_back("severity(\"warn\") or severity(\"error\")");
    }
  });
}

std::string attribute_not_for_members(const ContractField& field) {
  if (field.unique) return "unique";
  if (field.key) return "key";
  if (field.default_value) return "default";
  if (field.coerce) return "coerce";
  return {};
}

}  // namespace runink::contract
