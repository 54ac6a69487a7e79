#include "data/contract/contract.h"

#include <fmt/format.h>

#include <charconv>

#include "data/contract/canonical.h"
#include "data/contract/resolver.h"

namespace runink::contract {

using columnar::TypeId;

std::string Version::to_string() const { return fmt::format("{}.{}.{}", major, minor, patch); }

bool Version::parse(std::string_view text, Version* out) {
  uint32_t* parts[] = {&out->major, &out->minor, &out->patch};
  const char* at = text.data();
  const char* end = at + text.size();
  for (int i = 0; i < 3; ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return false;
    if (end - at > 1 && at[0] == '0' && at[1] >= '0' && at[1] <= '9') return false;
    const auto parsed = std::from_chars(at, end, *parts[i]);
    if (parsed.ec != std::errc() || parsed.ptr == at) return false;
    at = parsed.ptr;
  }
  return at == end;
}

bool ContractField::holds_pii() const {
  if (pii) return true;
  for (const auto& element : elements) {
    if (element.holds_pii()) return true;
  }
  return false;
}

int Contract::rule_of(std::string_view rule) const {
  for (size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].name == rule) return static_cast<int>(i);
  }
  return -1;
}

namespace {

std::string range_sentence(const ContractField& field) {
  if (field.min && field.max) {
    return fmt::format("must lie between {} and {}", value_text(*field.min, field), value_text(*field.max, field));
  }
  return field.min ? "must be at least " + value_text(*field.min, field)
                   : "must be at most " + value_text(*field.max, field);
}

std::string length_sentence(const ContractField& field) {
  const char* unit = field.type.id() == TypeId::kList    ? "elements"
                     : field.type.id() == TypeId::kBytes ? "bytes"
                                                         : "characters";
  if (field.length_min && field.length_max) {
    if (*field.length_min == *field.length_max) return fmt::format("must have {} {}", *field.length_min, unit);
    return fmt::format("must have {} to {} {}", *field.length_min, *field.length_max, unit);
  }
  return field.length_min ? fmt::format("must have at least {} {}", *field.length_min, unit)
                          : fmt::format("must have at most {} {}", *field.length_max, unit);
}

std::string one_of_sentence(const ContractField& field) {
  std::string out = "must be one of ";
  for (size_t i = 0; i < field.one_of.size(); ++i) {
    if (i == 12) return out + fmt::format(" and {} more", field.one_of.size() - i);
    out += (i == 0 ? "" : ", ") + value_text(field.one_of[i], field);
  }
  return out;
}

class RuleList {
 public:
  explicit RuleList(Contract& contract) : contract_(contract) {}

  void build() {
    Rule record;
    record.name = "record";
    record.sentence = "the record must be readable";
    contract_.rules.push_back(std::move(record));
    for (size_t i = 0; i < contract_.fields.size(); ++i) add_field(static_cast<int>(i));
    for (size_t i = 0; i < contract_.checks.size(); ++i) {
      const RowCheck& check = contract_.checks[i];
      Rule rule;
      rule.name = "check " + check.name;
      rule.kind = RuleKind::kCheck;
      rule.check = static_cast<int>(i);
      rule.sentence = "must hold: " + check.canonical;
      contract_.rules.push_back(std::move(rule));
    }
    add_unique_sets();
  }

 private:
  Rule& add(RuleKind kind, int column, std::string name, std::string sentence) {
    Rule rule;
    rule.name = std::move(name);
    rule.kind = kind;
    rule.column = column;
    rule.sentence = std::move(sentence);
    contract_.rules.push_back(std::move(rule));
    return contract_.rules.back();
  }
  int last() const { return static_cast<int>(contract_.rules.size()) - 1; }

  // Calls add(kind, last part of the rule's name, rest of its sentence) for each rule on the values of the field.
  template <typename Add>
  static void value_rules(const ContractField& field, Add add) {
    if (field.min || field.max) {
      add(RuleKind::kRange, field.min && field.max ? "range" : field.min ? "min" : "max", range_sentence(field));
    }
    if (field.length_min || field.length_max) add(RuleKind::kLength, "length", length_sentence(field));
    if (!field.pattern.empty()) add(RuleKind::kPattern, "pattern", "must match " + field.pattern);
    if (!field.one_of.empty()) add(RuleKind::kOneOf, "one_of", one_of_sentence(field));
  }

  void add_field(int column) {
    const ContractField& field = contract_.fields[static_cast<size_t>(column)];
    add(RuleKind::kType, column, field.name + ".type", field.name + " must be of type " + field.type.to_string());
    contract_.type_rules_of_column.push_back(last());
    // A default takes the place of null before rules are checked.
    const bool can_be_null = field.required && !field.default_value;
    if (can_be_null) add(RuleKind::kRequired, column, field.name + ".required", field.name + " must not be null");
    contract_.required_rules_of_column.push_back(can_be_null ? last() : -1);
    value_rules(field, [&](RuleKind kind, std::string_view word, const std::string& sentence) {
      add(kind, column, fmt::format("{}.{}", field.name, word), field.name + " " + sentence);
    });
    std::vector<int> path;
    add_members(column, field, field.name, path);
  }

  void add_members(int column, const ContractField& field, const std::string& prefix, std::vector<int>& path) {
    for (size_t i = 0; i < field.elements.size(); ++i) {
      const ContractField& member = field.elements[i];
      const std::string name = prefix + "." + member.name;
      path.push_back(static_cast<int>(i));
      const auto add_member_rule = [&](RuleKind kind, std::string_view word, const std::string& sentence) {
        Rule& rule = add(RuleKind::kElements, column, fmt::format("{}.{}", name, word), name + " " + sentence);
        rule.element = path;
        rule.element_kind = kind;
      };
      if (member.required) add_member_rule(RuleKind::kRequired, "required", "must not be null");
      value_rules(member, add_member_rule);
      add_members(column, member, name, path);
      path.pop_back();
    }
  }

  void add_unique_sets() {
    UniqueSet key;
    std::string names;
    for (size_t i = 0; i < contract_.fields.size(); ++i) {
      const ContractField& field = contract_.fields[i];
      if (field.key) {
        key.columns.push_back(static_cast<int>(i));
        names += (names.empty() ? "" : ", ") + field.name;
      }
      if (!field.unique) continue;
      add(RuleKind::kUnique, static_cast<int>(i), field.name + ".unique", field.name + " must be unique");
      contract_.unique_sets.push_back({{static_cast<int>(i)}, last()});
    }
    if (key.columns.empty()) return;
    add(RuleKind::kKey, -1, "key", fmt::format("the key ({}) must be unique", names));
    key.rule = last();
    contract_.unique_sets.push_back(std::move(key));
  }

  Contract& contract_;
};

}  // namespace

void derive(Contract& contract) {
  std::vector<columnar::Field> columns;
  columns.reserve(contract.fields.size());
  for (const auto& field : contract.fields) {
    columns.push_back({field.name, field.type, field.nullable(), field.format, field.zone});
  }
  contract.schema = std::make_shared<columnar::Schema>(std::move(columns));
  RuleList(contract).build();
}

}  // namespace runink::contract
