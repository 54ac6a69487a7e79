// Drift: a profile of data, held against a contract.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/text.h"
#include "data/contract/canonical.h"
#include "data/contract/diff.h"
#include "data/contract/redact.h"
#include "data/expr/rules.h"

namespace runink::contract {

using columnar::TypeId;

namespace {

class ColumnDrift {
 public:
  ColumnDrift(const ContractField& field, const ColumnProfile& seen, const DataProfile& profile,
              std::vector<Drift>& out)
      : field_(field), seen_(seen), profile_(profile), out_(out), hidden_(mask_of(field).has_value()) {}

  void run() {
    presence();
    if (seen_.present == 0) return;
    if (!kinds()) return;
    values();
    bounds();
    lengths();
    if ((field_.unique || (field_.key && key_alone_)) && !seen_.all_distinct && seen_.present > 1) {
      add("value.repeated", true, "unique", "a value that comes twice",
          "a value comes twice, and the field must be unique");
    }
  }
  void set_key_alone(bool alone) { key_alone_ = alone; }

 private:
  void add(std::string kind, bool error, std::string expected, std::string found, const std::string& sentence) {
    out_.push_back(
        {std::move(kind), field_.name, std::move(expected), std::move(found), error, field_.name + ": " + sentence});
  }
  std::string shown(const std::string& value) const { return hidden_ ? std::string("****") : quote_text(value); }

  void presence() {
    if (seen_.nulls == 0 || !field_.required || field_.default_value) return;
    add("null.found", true, "required", "null",
        fmt::format("{} of {} records have no value, and it is required", human_count(seen_.nulls),
                    human_count(profile_.records)));
  }

  // Whether JSON values are of a kind that the type is read from.
  bool kinds() {
    const TypeId id = field_.type.id();
    if (profile_.from_text || id == TypeId::kJson) return true;
    const bool nested = id == TypeId::kList;
    const bool number = field_.type.is_numeric(), boolean = id == TypeId::kBool;
    const bool text = !nested && !number && !boolean;
    std::vector<std::string> wrong;
    if (seen_.saw_nested && !nested) wrong.push_back("lists or objects");
    if (seen_.saw_number && !number && !(field_.coerce && !nested)) wrong.push_back("numbers");
    if (seen_.saw_bool && !boolean && !(field_.coerce && !nested)) wrong.push_back("booleans");
    // A decimal may be written as text, so that no reader rounds it.
    if (seen_.saw_text && !text && !field_.coerce && id != TypeId::kDecimal) wrong.push_back("text");
    if (wrong.empty()) return true;
    add("type.mismatch", true, type_text(field_), join(wrong, " and "),
        fmt::format("values are {}, not {}", join(wrong, " and "), type_text(field_)));
    return false;
  }

  // Every value that was kept is tried; few enough are.
  void values() {
    if (field_.type.id() == TypeId::kList || field_.type.id() == TypeId::kJson) return;
    auto text = columnar::FieldText::make({field_.name, field_.type, true, field_.format, field_.zone});
    if (!text.ok()) return;
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(expr::kRegexMemoryBytes);
    const RE2 pattern(field_.pattern, options);
    for (const auto& [value, count] : seen_.distinct) {
      const auto parsed = text->parse(value);
      if (!parsed.ok()) {
        const bool is_enum = field_.type.id() == TypeId::kEnum;
        add(is_enum ? "value.unknown" : "type.mismatch", true, type_text(field_), shown(value),
            is_enum ? fmt::format("{} is none of the enum's values", shown(value))
                    : fmt::format("{} is not of type {}", shown(value), type_text(field_)));
        return;
      }
      if (!field_.pattern.empty() && !RE2::FullMatch(value, pattern)) {
        add("pattern.broken", true, field_.pattern, shown(value),
            fmt::format("{} does not match {}", shown(value), field_.pattern));
        return;
      }
      if (!field_.one_of.empty() &&
          std::find(field_.one_of.begin(), field_.one_of.end(), *parsed) == field_.one_of.end()) {
        add("value.unknown", true, "one_of", shown(value),
            fmt::format("{} is not among the values allowed", shown(value)));
        return;
      }
    }
    if (field_.type.is_integer() && seen_.type.is_float() && seen_.distinct.empty() && !hidden_) {
      add("type.mismatch", true, type_text(field_), seen_.type.to_string(), "values are not whole numbers");
    }
  }

  void bounds() {
    if (!seen_.min || !seen_.max || !(field_.type.is_numeric() || field_.type == seen_.type)) return;
    const columnar::FieldText text(field_.type);
    const auto low = text.parse(*seen_.min), high = text.parse(*seen_.max);
    if (!low.ok() || !high.ok()) {
      if (field_.type.is_integer() && seen_.type.is_integer()) {
        const std::string found = hidden_ ? std::string("****") : fmt::format("{} to {}", *seen_.min, *seen_.max);
        add("value.out_of_range", true, field_.type.to_string(), found,
            fmt::format("values go from {}, outside {}", found, field_.type.to_string()));
      }
      return;
    }
    const bool below = field_.min && columnar::compare_values(*low, *field_.min) < 0;
    const bool above = field_.max && columnar::compare_values(*high, *field_.max) > 0;
    if (!below && !above) return;
    const std::string expected = fmt::format("{} to {}", field_.min ? value_text(*field_.min, field_) : "any",
                                             field_.max ? value_text(*field_.max, field_) : "any");
    const std::string found = hidden_ ? std::string("****") : fmt::format("{} to {}", *seen_.min, *seen_.max);
    add("value.out_of_range", true, expected, found, fmt::format("values go from {}, allowed are {}", found, expected));
  }

  void lengths() {
    if (field_.type.id() != TypeId::kString && field_.type.id() != TypeId::kList) return;
    const bool is_short = field_.length_min && seen_.length_min < *field_.length_min;
    const bool is_long = field_.length_max && seen_.length_max > *field_.length_max;
    if (!is_short && !is_long) return;
    const std::string expected = fmt::format("{} to {}", field_.length_min.value_or(0),
                                             field_.length_max ? std::to_string(*field_.length_max) : "any number");
    const std::string found = hidden_ ? std::string("****") : fmt::format("{} to {}", seen_.length_min, seen_.length_max);
    add("length.broken", true, expected, found, fmt::format("lengths go from {}, allowed are {}", found, expected));
  }

  const ContractField& field_;
  const ColumnProfile& seen_;
  const DataProfile& profile_;
  std::vector<Drift>& out_;
  bool hidden_, key_alone_ = false;
};

}  // namespace

namespace {

// A header that names nothing of the contract may be a record, whose cells are no names; with pii in the contract they are
// not shown.
bool header_may_be_a_record(const Contract& contract, const DataProfile& profile) {
  if (!profile.from_text) return false;
  const bool named = std::any_of(profile.columns.begin(), profile.columns.end(),
                                 [&](const auto& column) { return contract.column_of(column.name) >= 0; });
  return !named && std::any_of(contract.fields.begin(), contract.fields.end(),
                               [](const auto& field) { return mask_of(field) || field.holds_pii(); });
}

}  // namespace

std::vector<Drift> drift_of(const Contract& contract, const DataProfile& profile) {
  std::vector<Drift> out;
  const auto keys = std::count_if(contract.fields.begin(), contract.fields.end(), [](const auto& f) { return f.key; });
  for (const auto& field : contract.fields) {
    const auto seen = std::find_if(profile.columns.begin(), profile.columns.end(),
                                   [&](const auto& c) { return c.name == field.name; });
    if (seen == profile.columns.end()) {
      // What the contract keeps as one json value is several columns to the profile.
      const bool inside = std::any_of(profile.columns.begin(), profile.columns.end(),
                                      [&](const auto& c) { return c.name.starts_with(field.name + "."); });
      if (inside && field.type.id() == TypeId::kJson) continue;
      const bool error = field.required && !field.default_value && profile.records > 0;
      out.push_back({"field.missing", field.name, type_text(field), "", error,
                     fmt::format("{}: no record has it{}", field.name, error ? ", and it is required" : "")});
      continue;
    }
    ColumnDrift drift(field, *seen, profile, out);
    drift.set_key_alone(keys == 1);
    drift.run();
  }
  std::vector<std::string> names = contract.schema->names();
  const bool unsaid = header_may_be_a_record(contract, profile);
  for (const auto& column : profile.columns) {
    if (unsaid) {
      const std::string place = fmt::format("column {}", &column - profile.columns.data() + 1);
      out.push_back({"field.unknown", place, "", column.type.to_string(), false,
                     fmt::format("{}: the first record names no field of the contract here; is it a header?", place)});
      continue;
    }
    if (contract.column_of(column.name) >= 0) continue;
    // Members of something that the contract holds as one json or list column belong to it.
    const bool inside =
        std::any_of(names.begin(), names.end(), [&](const auto& name) { return column.name.starts_with(name + "."); });
    if (inside) continue;
    const auto near = nearest(column.name, names);
    out.push_back({"field.unknown", column.name, "", column.type.to_string(), false,
                   fmt::format("{}: the contract does not name it; it {}{}", column.name,
                               contract.open ? "passes through" : "is dropped",
                               near.empty() ? "" : fmt::format(" (did you mean {}?)", near[0]))});
  }
  return out;
}

}  // namespace runink::contract
