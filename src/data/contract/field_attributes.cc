#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <charconv>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/text.h"
#include "data/contract/attribute_reader.h"
#include "data/contract/canonical.h"
#include "data/contract/redact.h"
#include "data/expr/rules.h"

namespace runink::contract {

using columnar::TypeId;

namespace {

bool is_ordered(const DataType& type) {
  switch (type.id()) {
    case TypeId::kDate:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
      return true;
    default:
      return type.is_numeric();
  }
}

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
    for (const auto& near : nearest(argument.text, labels))
      diagnostic.help.push_back(fmt::format("did you mean {}?", near));
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
      case AttributeId::kRequired:
        field_.required = true;
        break;
      case AttributeId::kUnique:
      case AttributeId::kKey:
        apply_identity(info, attribute);
        break;
      case AttributeId::kMin:
      case AttributeId::kMax:
      case AttributeId::kRange:
        apply_bounds(info, attribute);
        break;
      case AttributeId::kLength:
        apply_length(attribute);
        break;
      case AttributeId::kPattern:
        apply_pattern(attribute);
        break;
      case AttributeId::kOneOf:
        apply_one_of(attribute);
        break;
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
      case AttributeId::kMask:
        apply_mask(attribute);
        break;
      case AttributeId::kLineage:
        reader_.text_argument(attribute, 0, field_.lineage);
        break;
      case AttributeId::kDescription:
        reader_.text_argument(attribute, 0, field_.description);
        break;
      case AttributeId::kUnit:
        reader_.text_argument(attribute, 0, field_.unit);
        break;
      case AttributeId::kTags:
        reader_.text_list(attribute, field_.tags);
        break;
      case AttributeId::kGlossary:
        reader_.text_argument(attribute, 0, field_.glossary);
        break;
      default:
        break;
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
      reader_
          .error(attribute.arguments[0].span, "contract.contradiction",
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
      does_not_fit(attribute, "pattern",
                   field_.type.id() == TypeId::kEnum ? "the enum already lists what is allowed" : "");
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
      auto& diagnostic = reader_.error(span, "contract.pattern",
                                       fmt::format("this pattern is not valid: {}", escape_control(compiled.error())));
      if (compiled.error_code() == RE2::ErrorBadPerlOp) {
        diagnostic.help.push_back("RE2 has no look-ahead and no back references, so that matching takes linear time");
      }
      return;
    }
    if (pattern == ".*") reader_.warning(span, "contract.useless_rule", "this pattern matches every line of text");
    if (pattern.front() == '^' || (pattern.back() == '$' && !pattern.ends_with("\\$"))) {
      reader_.warning(span, "contract.useless_rule",
                      "a pattern always matches the whole value: ^ and $ are not needed");
    }
    field_.pattern = std::move(pattern);
  }

  void apply_one_of(const AttributeSyntax& attribute) {
    const TypeId id = field_.type.id();
    if (id == TypeId::kBool || id == TypeId::kList || id == TypeId::kStruct || id == TypeId::kJson ||
        id == TypeId::kBytes || id == TypeId::kEnum) {
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
      reader_
          .error(min_span_, "contract.contradiction",
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
      reader_.warning(zone_span_, "contract.useless_rule",
                      "every value names its own offset (%z): zone only says how it is written");
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

std::string attribute_not_for_members(const ContractField& field) {
  if (field.unique) return "unique";
  if (field.key) return "key";
  if (field.default_value) return "default";
  if (field.coerce) return "coerce";
  return {};
}

}  // namespace runink::contract
