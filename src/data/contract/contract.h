// Contract: what the data must look like. The parsed, resolved and validated form of a `contract NAME { … }`.
//
// A contract is made from text only, by parse.h (imports from other standards and inference also write text first), so
// every contract in memory has passed the same checks. It is immutable and shared; any thread may read it.
//
// Structs are resolved: a field of a struct type has become one field per member, named `billing.city`, in the order
// of declaration. A list of structs stays one field of type list<struct{…}>, whose members are its `elements`.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "data/columnar/type.h"
#include "data/columnar/value.h"
#include "data/expr/aggregate.h"
#include "data/expr/check.h"

namespace runink::contract {

using columnar::DataType;
using columnar::SchemaPtr;
using columnar::Value;

// MAJOR.MINOR.PATCH (semver 2.0 without pre-release parts).
struct Version {
  uint32_t major = 0, minor = 0, patch = 0;
  auto operator<=>(const Version&) const = default;
  std::string to_string() const;
  static bool parse(std::string_view text, Version* out);  // leading zeros and anything more are refused
};

struct ContractField {
  std::string name;  // the column: "delay", "billing.city"; inside a list of structs the member's own name
  DataType type;

  // Rules. Bounds and the values of one_of and default hold the field's type (see columnar::Value).
  bool required = false;               // also set by `key`
  bool unique = false;                 // alone, over the whole data set
  bool key = false;                    // all fields marked so are, together, unique over the whole data set
  std::optional<Value> min, max;       // inclusive; `range(a, b)` sets both
  std::optional<uint64_t> length_min;  // code points of a string, bytes of bytes, elements of a list
  std::optional<uint64_t> length_max;
  std::string pattern;        // RE2, matches the whole value; empty: none
  std::vector<Value> one_of;  // empty: any value

  // How text becomes a value.
  std::string format;                  // strftime-like, for date, time, timestamp
  std::string zone;                    // IANA name; timestamp only
  std::optional<Value> default_value;  // takes the place of an absent or null value: such a column is never null
  bool coerce = false;                 // "12" for 12, 1 for true, 3.0 for 3 are accepted

  // Protection.
  bool pii = false;
  std::string pii_kind;             // "email", "phone", …: what `pii("email")` says; may be empty
  std::vector<std::string> access;  // roles that may see the value unmasked; sorted
  std::string mask;                 // method as written ("last4"); empty: wholly masked if pii, else not at all

  // Words for people; not part of the hash.
  std::string lineage, description, unit, glossary;
  std::vector<std::string> tags;

  std::vector<ContractField> elements;  // members, when type is list<struct{…}>, with their rules; else empty
  Location location;

  // Whether a value may be null once the record passed.
  bool nullable() const { return !required && !default_value.has_value(); }
  // Whether this field or, in a list of structs, any member is pii.
  bool holds_pii() const;
};

enum class QualitySeverity { kWarn, kError };

// `check NAME: expression;` on each row: fails only on false.
struct RowCheck {
  std::string name;
  std::string text;            // as written, trimmed
  std::string canonical;       // printed from the parsed form: stable spelling
  expr::TypedExpr expression;  // over the columns of Contract::schema
  std::string description;
  Location location;
};

// `quality NAME: expression;` on the whole data set: an expression over aggregates; fails on false (null passes).
struct QualityRule {
  std::string name;
  std::string text, canonical;
  expr::AggregateExpr expression;  // without group keys: all records are one group
  QualitySeverity severity = QualitySeverity::kError;
  std::string description;
  Location location;
};

enum class RuleKind {
  kType,      // "delay.type": the reader could not make a value of the type (also out of range of the type)
  kRequired,  // "delay.required"
  kRange,     // "delay.range", "delay.min", "delay.max"
  kLength,    // "name.length"
  kPattern,   // "origin.pattern"
  kOneOf,     // "origin.one_of"
  kElements,  // "legs.carrier.pattern": a rule of a member of a list's struct
  kCheck,     // "check distinct_airports"
  kUnique,    // "id.unique"
  kKey,       // "key": all key fields together
  kRecord,    // "record": the record as a whole could not be read (syntax, duplicate key, too long, …)
};

// One thing that can be wrong with one record. A rule is known by its index here for the life of the contract and by
// its name for ever.
struct Rule {
  std::string name;
  RuleKind kind = RuleKind::kRecord;
  int column = -1;                            // the field it is about; -1 for checks, key, record
  int check = -1;                             // index into Contract::checks
  std::vector<int> element;                   // kElements: the path of members below the column
  RuleKind element_kind = RuleKind::kRecord;  // kElements: which rule of the member
  std::string sentence;                       // "delay must lie between -1440 and 4320"
};

// Columns whose values together must differ from row to row; the first in input order is kept.
struct UniqueSet {
  std::vector<int> columns;
  int rule = -1;  // index into Contract::rules
};

struct Contract {
  std::string name;
  std::optional<Version> version;
  std::string owner, description;
  std::string classification;  // free text such as "internal"; empty when not said
  std::vector<std::string> tags;
  std::optional<uint64_t> max_records;  // a hint for the size of buffers, never a limit
  bool open = false;                    // fields not named here pass through

  std::vector<ContractField> fields;  // flattened, in column order
  std::vector<RowCheck> checks;
  std::vector<QualityRule> qualities;
  Location location;
  std::vector<std::string> files;  // every file read for it: its own first, then imports, in order of first use

  // Derived once, by the parser.
  SchemaPtr schema;         // one column per field
  std::vector<Rule> rules;  // stable order: record, per field (type, required, …), checks, unique, key
  std::vector<UniqueSet> unique_sets;
  std::string hash;  // see canonical.h: 64 hexadecimal digits

  int column_of(std::string_view column) const { return schema->index_of(column); }
  int rule_of(std::string_view rule) const;  // -1 when there is none
  int type_rule(int column) const { return type_rules_of_column[static_cast<size_t>(column)]; }
  int required_rule(int column) const { return required_rules_of_column[static_cast<size_t>(column)]; }  // -1: none
  static constexpr int kRecordRule = 0;  // index of the rule "record"
  std::string version_text() const { return version ? version->to_string() : std::string("unversioned"); }

  std::vector<int> type_rules_of_column, required_rules_of_column;
};
using ContractPtr = std::shared_ptr<const Contract>;

}  // namespace runink::contract
