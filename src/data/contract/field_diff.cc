#include "data/contract/field_diff.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "data/contract/canonical.h"

namespace runink::contract {

using columnar::TypeId;

Impact impact_of(bool readers, bool writers) {
  if (readers && writers) return Impact::kBreaksBoth;
  if (readers) return Impact::kBreaksReaders;
  return writers ? Impact::kBreaksWriters : Impact::kCompatible;
}

namespace {

// "tightened" refuses more, "loosened" allows more.
std::string_view direction(bool readers, bool writers) {
  if (readers && writers) return "changed";
  if (readers) return "loosened";
  return writers ? "tightened" : "changed";
}

// The whole numbers that a type holds are those of this many bits; 0: not an integer type.
struct IntegerSpan {
  int bits = 0;
  bool is_signed = false;
};
IntegerSpan integer_span(const DataType& type) {
  if (!type.is_integer()) return {};
  return {type.width() * 8, type.is_signed_integer()};
}

// Whether every value of `from` is, as written in text, a value of `to`.
bool type_accepts(const DataType& to, const DataType& from) {
  if (to == from) return true;
  const IntegerSpan a = integer_span(from), b = integer_span(to);
  if (a.bits > 0 && b.bits > 0) {
    if (a.is_signed == b.is_signed) return a.bits <= b.bits;
    return !a.is_signed && a.bits < b.bits;
  }
  if (a.bits > 0 && to.id() == TypeId::kDecimal) {
    static constexpr int kDigits[] = {3, 5, 10, 19};  // of 8, 16, 32, 64 bits, signed
    const int index = a.bits == 8 ? 0 : a.bits == 16 ? 1 : a.bits == 32 ? 2 : 3;
    const int digits = !a.is_signed && a.bits == 64 ? 20 : kDigits[index];
    return to.precision() - to.scale() >= digits;
  }
  if (a.bits > 0 && to.is_float()) return true;  // written as a number; large ones are rounded
  if (from.id() == TypeId::kDecimal && to.id() == TypeId::kDecimal) {
    return to.scale() >= from.scale() && to.precision() - to.scale() >= from.precision() - from.scale();
  }
  if (from.id() == TypeId::kDecimal && to.is_float()) return true;
  if (from.id() == TypeId::kFloat32 && to.id() == TypeId::kFloat64) return true;
  if (from.id() == TypeId::kEnum && to.id() == TypeId::kEnum) {
    for (const auto& label : from.labels()) {
      if (std::find(to.labels().begin(), to.labels().end(), label) == to.labels().end()) return false;
    }
    return true;
  }
  // Anything that is text in a file; numbers and booleans are not, in JSON.
  if (to.id() == TypeId::kString) {
    switch (from.id()) {
      case TypeId::kEnum:
      case TypeId::kDate:
      case TypeId::kTime:
      case TypeId::kTimestamp:
      case TypeId::kDuration:
      case TypeId::kUuid:
      case TypeId::kBytes:
        return true;
      default:
        return false;
    }
  }
  if (to.id() == TypeId::kList && from.id() == TypeId::kList) return type_accepts(to.element(), from.element());
  return false;
}

std::string bound_text(const std::optional<Value>& bound, const ContractField& field) {
  return bound ? value_text(*bound, field) : std::string("none");
}

class FieldDiff {
 public:
  FieldDiff(const ContractField& before, const ContractField& after, std::string name, std::vector<Change>& out)
      : before_(before), after_(after), name_(std::move(name)), out_(out) {}

  void run() {
    if (compare_types()) compare_values();
    compare_presence();
    compare_identity();
    compare_text_forms();
    compare_protection();
    compare_words();
  }

 private:
  Change& add(std::string kind, Impact impact, std::string before, std::string after, std::string sentence) {
    Change change;
    change.kind = std::move(kind);
    change.field = name_;
    change.before = std::move(before);
    change.after = std::move(after);
    change.impact = impact;
    change.sentence = name_ + ": " + sentence;
    out_.push_back(std::move(change));
    return out_.back();
  }

  // Whether rules on values can be compared: the literals of both sides are of the same type.
  bool compare_types() {
    const bool structs = !before_.elements.empty() && !after_.elements.empty();
    if (structs) {
      compare_members();
      return true;
    }
    if (before_.type == after_.type) return true;
    const std::string was = type_text(before_), is = type_text(after_);
    if (before_.type.id() == TypeId::kEnum && after_.type.id() == TypeId::kEnum) {
      compare_labels(was, is);
      return false;
    }
    const bool writers = !type_accepts(after_.type, before_.type);
    add("type.changed", impact_of(true, writers), was, is,
        writers
            ? fmt::format("type {} became {}: readers expect the old one, and not every old value is of the new one",
                          was, is)
            : fmt::format("type {} became {}: readers expect the old one; every old value is still accepted", was, is));
    // Values of different types are not compared: rules that are not the very same may refuse anything.
    const std::string old_rules = rules_text(before_), new_rules = rules_text(after_);
    if (old_rules != new_rules) {
      add("rules.changed", impact_of(!old_rules.empty(), !new_rules.empty()), old_rules, new_rules,
          "rules changed with the type");
    }
    return false;
  }

  static std::string rules_text(const ContractField& field) {
    std::vector<std::string> parts;
    if (field.min) parts.push_back("at least " + value_text(*field.min, field));
    if (field.max) parts.push_back("at most " + value_text(*field.max, field));
    if (field.length_min) parts.push_back(fmt::format("length from {}", *field.length_min));
    if (field.length_max) parts.push_back(fmt::format("length to {}", *field.length_max));
    if (!field.pattern.empty()) parts.push_back("pattern " + quote_text(field.pattern));
    for (const auto& value : field.one_of) parts.push_back("or " + value_text(value, field));
    return join(parts, ", ");
  }

  void compare_labels(const std::string& was, const std::string& is) {
    std::vector<std::string> added, removed;
    const auto& old_labels = before_.type.labels();
    const auto& new_labels = after_.type.labels();
    for (const auto& label : new_labels) {
      if (std::find(old_labels.begin(), old_labels.end(), label) == old_labels.end())
        added.push_back(quote_text(label));
    }
    for (const auto& label : old_labels) {
      if (std::find(new_labels.begin(), new_labels.end(), label) == new_labels.end())
        removed.push_back(quote_text(label));
    }
    if (!added.empty()) {
      add("enum.value_added", Impact::kBreaksReaders, was, is,
          fmt::format("{} added to the enum: readers may meet a value they do not know", join(added, ", ")));
    }
    if (!removed.empty()) {
      add("enum.value_removed", Impact::kBreaksWriters, was, is,
          fmt::format("{} removed from the enum: such values are now refused", join(removed, ", ")));
    }
    if (added.empty() && removed.empty()) {
      add("enum.reordered", Impact::kCompatible, was, is,
          "the values of the enum stand in another order, by which they sort");
    }
  }

  void compare_members() {
    for (const auto& member : after_.elements) {
      const ContractField* old = find_field(before_.elements, member.name);
      const std::string name = name_ + "." + member.name;
      if (old != nullptr) {
        field_changed(*old, member, name, out_);
      } else {
        field_added(member, name, out_);
      }
    }
    for (const auto& member : before_.elements) {
      if (find_field(after_.elements, member.name) == nullptr) field_removed(member, name_ + "." + member.name, out_);
    }
    if (before_.type.id() != after_.type.id()) {
      add("type.changed", Impact::kBreaksBoth, type_text(before_), type_text(after_),
          "the nesting of its lists changed");
    }
  }

  void compare_values() {
    compare_range();
    compare_length();
    compare_pattern();
    compare_one_of();
  }

  void compare_range() {
    const auto differs = [](const std::optional<Value>& a, const std::optional<Value>& b) {
      return a.has_value() != b.has_value() || (a && columnar::compare_values(*a, *b) != 0);
    };
    if (!differs(before_.min, after_.min) && !differs(before_.max, after_.max)) return;
    const auto lower_open = [](const std::optional<Value>& from, const std::optional<Value>& to) {
      return from && (!to || columnar::compare_values(*to, *from) < 0);  // goes further down
    };
    const auto upper_open = [](const std::optional<Value>& from, const std::optional<Value>& to) {
      return from && (!to || columnar::compare_values(*to, *from) > 0);
    };
    const bool readers = lower_open(before_.min, after_.min) || upper_open(before_.max, after_.max);
    const bool writers = lower_open(after_.min, before_.min) || upper_open(after_.max, before_.max);
    const auto text = [](const ContractField& field) {
      return fmt::format("{} to {}", bound_text(field.min, field), bound_text(field.max, field));
    };
    add(fmt::format("range.{}", direction(readers, writers)), impact_of(readers, writers), text(before_), text(after_),
        fmt::format("allowed values went from {} to {}{}", text(before_), text(after_), consequence(readers, writers)));
  }

  static std::string consequence(bool readers, bool writers) {
    if (readers && writers) return ": some that were allowed are refused, some that were refused are allowed";
    if (readers) return ": readers may meet values that were refused before";
    return writers ? ": values that were allowed are refused" : "";
  }

  void compare_length() {
    if (before_.length_min == after_.length_min && before_.length_max == after_.length_max) return;
    const uint64_t was_min = before_.length_min.value_or(0), is_min = after_.length_min.value_or(0);
    const uint64_t was_max = before_.length_max.value_or(UINT64_MAX), is_max = after_.length_max.value_or(UINT64_MAX);
    const bool readers = is_min < was_min || is_max > was_max;
    const bool writers = is_min > was_min || is_max < was_max;
    const auto text = [](const ContractField& field) {
      return fmt::format("{} to {}", field.length_min.value_or(0),
                         field.length_max ? std::to_string(*field.length_max) : "any number");
    };
    add(fmt::format("length.{}", direction(readers, writers)), impact_of(readers, writers), text(before_), text(after_),
        fmt::format("length went from {} to {}{}", text(before_), text(after_), consequence(readers, writers)));
  }

  void compare_pattern() {
    if (before_.pattern == after_.pattern) return;
    // Whether one regular expression contains another is not decided here: a changed pattern may do both.
    const bool readers = !before_.pattern.empty(), writers = !after_.pattern.empty();
    const char* word = !readers ? "added" : !writers ? "removed" : "changed";
    const auto text = [](const ContractField& field) {
      return field.pattern.empty() ? std::string() : quote_text(field.pattern);
    };
    add(fmt::format("pattern.{}", word), impact_of(readers, writers), text(before_), text(after_),
        fmt::format("pattern {}{}", word, consequence(readers, writers)));
  }

  void compare_one_of() {
    const auto contains = [](const std::vector<Value>& list, const Value& value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    const auto all_in = [&](const std::vector<Value>& small, const std::vector<Value>& large) {
      return std::all_of(small.begin(), small.end(), [&](const Value& value) { return contains(large, value); });
    };
    const auto& was = before_.one_of;
    const auto& is = after_.one_of;
    if (was.empty() && is.empty()) return;
    const bool readers = !was.empty() && (is.empty() || !all_in(is, was));
    const bool writers = !is.empty() && (was.empty() || !all_in(was, is));
    if (!readers && !writers) return;  // the same values
    const auto text = [](const ContractField& field) {
      std::vector<std::string> texts;
      for (const auto& value : field.one_of) texts.push_back(value_text(value, field));
      return texts.empty() ? std::string("any") : join(texts, ", ");
    };
    add(fmt::format("one_of.{}", direction(readers, writers)), impact_of(readers, writers), text(before_), text(after_),
        fmt::format("allowed values went from {} to {}{}", text(before_), text(after_), consequence(readers, writers)));
  }

  // Required and default together: may readers meet null, and may writers leave the value out?
  void compare_presence() {
    const bool was_null_out = before_.nullable(), is_null_out = after_.nullable();
    const auto may_omit = [](const ContractField& field) { return !field.required || field.default_value.has_value(); };
    const bool readers = !was_null_out && is_null_out;
    const bool writers = may_omit(before_) && !may_omit(after_);
    const auto text = [](const ContractField& field) {
      if (field.default_value) return fmt::format("default({})", value_text(*field.default_value, field));
      return std::string(field.required ? "required" : "nullable");
    };
    const std::string was = text(before_), is = text(after_);
    if (readers || writers || was_null_out != is_null_out || may_omit(before_) != may_omit(after_)) {
      const char* kind = writers ? "required.added" : readers ? "required.removed" : "default.added";
      add(kind, impact_of(readers, writers), was, is,
          fmt::format("{} became {}{}", was, is,
                      readers && writers ? ""
                      : readers          ? ": readers may meet null"
                      : writers          ? ": records without a value are refused"
                                         : ": a missing value no longer is refused nor null"));
      return;
    }
    if (was != is) add("default.changed", Impact::kCompatible, was, is, fmt::format("{} became {}", was, is));
    if (before_.coerce != after_.coerce) {
      add(after_.coerce ? "coerce.added" : "coerce.removed",
          after_.coerce ? Impact::kCompatible : Impact::kBreaksWriters, before_.coerce ? "coerce" : "",
          after_.coerce ? "coerce" : "",
          after_.coerce ? "values of other types that say the same are accepted"
                        : "values of other types are no longer accepted");
    }
  }

  void compare_identity() {
    flag("unique", before_.unique, after_.unique, "two records with the same value are refused",
         "readers may meet the same value twice");
    flag("key", before_.key, after_.key, "it is part of the key",
         "it is no longer part of the key: records may agree in what is left of it");
  }

  void flag(std::string_view word, bool was, bool is, std::string_view when_added, std::string_view when_removed) {
    if (was == is) return;
    // A part more or less of a key changes what the key promises in one direction and what it asks in the other.
    const bool key = word == "key";
    const Impact impact = key ? Impact::kBreaksBoth : is ? Impact::kBreaksWriters : Impact::kBreaksReaders;
    add(fmt::format("{}.{}", word, is ? "added" : "removed"), impact, was ? std::string(word) : "",
        is ? std::string(word) : "", std::string(is ? when_added : when_removed));
  }

  void compare_text_forms() {
    if (before_.format != after_.format) {
      add("format.changed", Impact::kBreaksBoth, before_.format, after_.format,
          fmt::format("written as {} instead of {}", after_.format.empty() ? "ISO 8601" : after_.format,
                      before_.format.empty() ? "ISO 8601" : before_.format));
    }
    if (before_.zone != after_.zone) {
      add("zone.changed", Impact::kBreaksBoth, before_.zone, after_.zone,
          fmt::format("text without a zone is read as {} instead of {}", after_.zone.empty() ? "UTC" : after_.zone,
                      before_.zone.empty() ? "UTC" : before_.zone));
    }
  }

  void compare_protection() {
    if (before_.pii != after_.pii) {
      add(after_.pii ? "pii.added" : "pii.removed", after_.pii ? Impact::kBreaksReaders : Impact::kCompatible,
          before_.pii ? "pii" : "", after_.pii ? "pii" : "",
          after_.pii ? "now personal data: readers without access see it masked"
                     : "no longer personal data: it is shown unmasked");
    } else if (before_.pii_kind != after_.pii_kind) {
      add("pii.kind_changed", Impact::kCompatible, before_.pii_kind, after_.pii_kind, "another kind of personal data");
    }
    if (before_.access != after_.access) {
      // Without pii or mask, naming the first role is what hides the value.
      const bool lost = std::any_of(before_.access.begin(), before_.access.end(), [this](const std::string& role) {
        return std::find(after_.access.begin(), after_.access.end(), role) == after_.access.end();
      });
      const bool newly_hidden = before_.access.empty() && !before_.pii && before_.mask.empty();
      add("access.changed", lost || newly_hidden ? Impact::kBreaksReaders : Impact::kCompatible,
          join(before_.access, ", "), join(after_.access, ", "),
          lost || newly_hidden ? "readers who saw the value no longer do" : "more readers may see the value");
    }
    if (before_.mask != after_.mask) {
      add("mask.changed", Impact::kBreaksReaders, before_.mask, after_.mask,
          "it is shown in another way to readers without access");
    }
  }

  void compare_words() {
    const auto words = [this](std::string_view word, const std::string& was, const std::string& is) {
      if (was != is) add(fmt::format("{}.changed", word), Impact::kNone, was, is, fmt::format("{} changed", word));
    };
    words("description", before_.description, after_.description);
    words("unit", before_.unit, after_.unit);
    words("lineage", before_.lineage, after_.lineage);
    words("glossary", before_.glossary, after_.glossary);
    words("tags", join(before_.tags, ", "), join(after_.tags, ", "));
  }

  const ContractField& before_;
  const ContractField& after_;
  std::string name_;
  std::vector<Change>& out_;
};

}  // namespace

const ContractField* find_field(const std::vector<ContractField>& fields, std::string_view name) {
  for (const auto& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

void field_added(const ContractField& field, const std::string& name, std::vector<Change>& out) {
  Change change;
  change.kind = "field.added";
  change.field = name;
  change.after = type_text(field);
  const bool must_be_there = field.required && !field.default_value;
  change.impact = must_be_there ? Impact::kBreaksWriters : Impact::kCompatible;
  change.sentence = must_be_there ? fmt::format("{}: new and required: records without it are refused", name)
                                  : fmt::format("{}: new, and may be left out", name);
  // What was dropped as unknown may now be refused by a rule; that is so of every added field with rules, and is
  // drift that the old contract already reported, not a promise broken.
  out.push_back(std::move(change));
}

void field_removed(const ContractField& field, const std::string& name, std::vector<Change>& out) {
  Change change;
  change.kind = "field.removed";
  change.field = name;
  change.before = type_text(field);
  change.impact = Impact::kBreaksReaders;
  change.sentence = fmt::format("{}: removed: readers no longer get it", name);
  out.push_back(std::move(change));
}

void field_changed(const ContractField& before, const ContractField& after, const std::string& name,
                   std::vector<Change>& out) {
  FieldDiff(before, after, name, out).run();
}

}  // namespace runink::contract
