#include "data/contract/attribute_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/contract/canonical.h"

namespace runink::contract {

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
      {AttributeId::kPii, "pii", kAnyField, 0, 1, "pii",
       "Personal data: masked wherever it is shown. pii(\"email\") says which kind."},
      {AttributeId::kAccess, "access", kAnyField, 1, 64, "access(\"role\")",
       "Only these roles see the value unmasked."},
      {AttributeId::kMask, "mask", kAnyField, 1, 1, "mask(\"last4\")", "How the value is masked; wholly without it."},
      {AttributeId::kLineage, "lineage", kAnyField, 1, 1, "lineage(\"text\")",
       "Where the value comes from, for people."},
      {AttributeId::kDescription, "description", kAll | kOnCheck | kOnQuality, 1, 1, "description(\"text\")",
       "What it means."},
      {AttributeId::kUnit, "unit", kColumn, 1, 1, "unit(\"minutes\")", "The unit of a number."},
      {AttributeId::kTags, "tags", kAll, 1, 64, "tags(\"a\", \"b\")", "Words to find it by."},
      {AttributeId::kGlossary, "glossary", kAnyField, 1, 1, "glossary(\"term\")", "The term of the business glossary."},
      {AttributeId::kVersion, "version", kOnContract, 1, 1, "version(\"1.0.0\")",
       "MAJOR.MINOR.PATCH of this contract."},
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
    case kOnField:
      return "a field";
    case kOnStruct:
      return "a field of a struct type";
    case kOnContract:
      return "a contract";
    case kOnCheck:
      return "a check";
    default:
      return "a quality rule";
  }
}

}  // namespace

const AttributeInfo* AttributeReader::find(const AttributeSyntax& attribute) {
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

bool AttributeReader::arguments_fit(const AttributeInfo& info, const AttributeSyntax& attribute) {
  const size_t count = attribute.arguments.size();
  if (count >= info.arguments_min && count <= info.arguments_max && (count > 0 || !attribute.parentheses)) return true;
  const std::string wanted = info.arguments_max == 0 ? "no arguments"
                             : info.arguments_min == info.arguments_max
                                 ? fmt::format("{} argument{}", info.arguments_min, info.arguments_min == 1 ? "" : "s")
                             : info.arguments_max >= 64
                                 ? "one argument or more"
                                 : fmt::format("{} or {} arguments", info.arguments_min, info.arguments_max);
  error(attribute.name_span, "contract.argument_count", fmt::format("{} takes {}, not {}", info.name, wanted, count))
      .help.push_back(info.use);
  return false;
}

bool AttributeReader::text_argument(const AttributeSyntax& attribute, size_t index, std::string& out) {
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

bool AttributeReader::text_list(const AttributeSyntax& attribute, std::vector<std::string>& out) {
  bool good = true;
  for (size_t i = 0; i < attribute.arguments.size(); ++i) {
    std::string text;
    if (!text_argument(attribute, i, text)) {
      good = false;
    } else if (std::find(out.begin(), out.end(), text) != out.end()) {
      warning(attribute.arguments[i].span, "contract.repeated_value",
              fmt::format("{} is named twice", quote_text(text)));
    } else {
      out.push_back(std::move(text));
    }
  }
  return good;
}

}  // namespace runink::contract
