#include "data/contract/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "data/contract/canonical.h"
#include "data/contract/field_diff.h"

namespace runink::contract {

std::string_view impact_text(Impact impact) {
  switch (impact) {
    case Impact::kNone:
      return "no effect";
    case Impact::kCompatible:
      return "compatible";
    case Impact::kBreaksReaders:
      return "breaks readers";
    case Impact::kBreaksWriters:
      return "breaks writers";
    case Impact::kBreaksBoth:
      return "breaks readers and writers";
  }
  return "";
}

std::string_view bump_text(Bump bump) {
  switch (bump) {
    case Bump::kNone:
      return "none";
    case Bump::kPatch:
      return "patch";
    case Bump::kMinor:
      return "minor";
    case Bump::kMajor:
      return "major";
  }
  return "";
}

bool ContractDiff::breaks_readers() const {
  return std::any_of(changes.begin(), changes.end(), [](const Change& c) { return c.breaks_readers(); });
}
bool ContractDiff::breaks_writers() const {
  return std::any_of(changes.begin(), changes.end(), [](const Change& c) { return c.breaks_writers(); });
}
Bump ContractDiff::required() const {
  if (breaks_readers() || breaks_writers()) return Bump::kMajor;
  Bump bump = Bump::kNone;
  for (const auto& change : changes)
    bump = std::max(bump, change.impact == Impact::kNone ? Bump::kPatch : Bump::kMinor);
  return bump;
}

namespace {

void contract_changes(const Contract& before, const Contract& after, std::vector<Change>& out) {
  const auto add = [&out](std::string kind, Impact impact, std::string was, std::string is, std::string sentence) {
    Change change;
    change.kind = std::move(kind);
    change.impact = impact;
    change.before = std::move(was);
    change.after = std::move(is);
    change.sentence = std::move(sentence);
    out.push_back(std::move(change));
  };
  if (before.classification != after.classification) {
    add("classification.changed", Impact::kCompatible, before.classification, after.classification,
        fmt::format("classification went from \"{}\" to \"{}\"", before.classification, after.classification));
  }
  if (before.open != after.open) {
    add(after.open ? "open.added" : "open.removed", after.open ? Impact::kCompatible : Impact::kBreaksReaders,
        before.open ? "open" : "", after.open ? "open" : "",
        after.open ? "fields that are not named pass through" : "fields that are not named no longer pass through");
  }
  const auto words = [&](std::string_view word, const std::string& was, const std::string& is) {
    if (was != is) add(fmt::format("{}.changed", word), Impact::kNone, was, is, fmt::format("{} changed", word));
  };
  words("name", before.name, after.name);
  words("owner", before.owner, after.owner);
  words("description", before.description, after.description);
  words("tags", join(before.tags, ", "), join(after.tags, ", "));
  const auto number = [](const std::optional<uint64_t>& n) { return n ? std::to_string(*n) : std::string(); };
  words("max_records", number(before.max_records), number(after.max_records));
}

void field_changes(const Contract& before, const Contract& after, std::vector<Change>& out) {
  for (const auto& field : after.fields) {
    const ContractField* old = find_field(before.fields, field.name);
    if (old != nullptr) {
      field_changed(*old, field, field.name, out);
    } else {
      field_added(field, field.name, out);
      if (!field.unique && !field.key) continue;
      // A column that is new and unique may be left out, but a new part of a key is already required.
      if (field.unique) out.back().sentence += "; values must be unique";
    }
  }
  for (const auto& field : before.fields) {
    if (find_field(after.fields, field.name) == nullptr) field_removed(field, field.name, out);
  }
  std::vector<std::string> was, is;
  for (const auto& field : before.fields) {
    if (find_field(after.fields, field.name) != nullptr) was.push_back(field.name);
  }
  for (const auto& field : after.fields) {
    if (find_field(before.fields, field.name) != nullptr) is.push_back(field.name);
  }
  if (was != is) {
    Change change;
    change.kind = "fields.reordered";
    change.before = join(was, ", ");
    change.after = join(is, ", ");
    change.impact = Impact::kCompatible;
    change.sentence = "columns stand in another order: who reads by name does not notice";
    out.push_back(std::move(change));
  }
}

void rule_change(std::vector<Change>& out, std::string kind, std::string name, Impact impact, std::string was,
                 std::string is, std::string sentence) {
  Change change;
  change.kind = std::move(kind);
  change.field = name;
  change.impact = impact;
  change.before = std::move(was);
  change.after = std::move(is);
  change.sentence = name + ": " + sentence;
  out.push_back(std::move(change));
}

void check_changes(const Contract& before, const Contract& after, std::vector<Change>& out) {
  std::map<std::string, const RowCheck*> old;
  for (const auto& check : before.checks) old[check.name] = &check;
  for (const auto& check : after.checks) {
    const std::string name = "check " + check.name;
    const auto at = old.find(check.name);
    if (at == old.end()) {
      rule_change(out, "check.added", name, Impact::kBreaksWriters, "", check.canonical,
                  "new: records that fail it are refused");
      continue;
    }
    if (at->second->canonical != check.canonical) {
      rule_change(out, "check.changed", name, Impact::kBreaksBoth, at->second->canonical, check.canonical,
                  "another condition: it may refuse what was allowed and allow what was refused");
    } else if (at->second->description != check.description) {
      rule_change(out, "description.changed", name, Impact::kNone, at->second->description, check.description,
                  "description changed");
    }
    old.erase(at);
  }
  for (const auto& check : before.checks) {
    if (old.count(check.name) == 0) continue;
    rule_change(out, "check.removed", "check " + check.name, Impact::kBreaksReaders, check.canonical, "",
                "removed: readers may meet records that failed it");
  }
}

void quality_changes(const Contract& before, const Contract& after, std::vector<Change>& out) {
  const auto stops = [](const QualityRule& rule) { return rule.severity == QualitySeverity::kError; };
  std::map<std::string, const QualityRule*> old;
  for (const auto& rule : before.qualities) old[rule.name] = &rule;
  for (const auto& rule : after.qualities) {
    const std::string name = "quality " + rule.name;
    const auto at = old.find(rule.name);
    if (at == old.end()) {
      rule_change(out, "quality.added", name, stops(rule) ? Impact::kBreaksWriters : Impact::kCompatible, "",
                  rule.canonical, stops(rule) ? "new: data that fails it is not published" : "new, and only warns");
      continue;
    }
    const QualityRule& was = *at->second;
    if (was.canonical != rule.canonical) {
      rule_change(out, "quality.changed", name, impact_of(stops(was), stops(rule)), was.canonical, rule.canonical,
                  "another condition");
    } else if (was.severity != rule.severity) {
      rule_change(out, "quality.severity_changed", name, stops(rule) ? Impact::kBreaksWriters : Impact::kBreaksReaders,
                  stops(was) ? "error" : "warn", stops(rule) ? "error" : "warn",
                  stops(rule) ? "data that fails it is no longer published" : "data that fails it is published");
    } else if (was.description != rule.description) {
      rule_change(out, "description.changed", name, Impact::kNone, was.description, rule.description,
                  "description changed");
    }
    old.erase(at);
  }
  for (const auto& rule : before.qualities) {
    if (old.count(rule.name) == 0) continue;
    rule_change(out, "quality.removed", "quality " + rule.name,
                stops(rule) ? Impact::kBreaksReaders : Impact::kCompatible, rule.canonical, "", "removed");
  }
}

}  // namespace

ContractDiff diff_contracts(const Contract& before, const Contract& after) {
  ContractDiff diff;
  contract_changes(before, after, diff.changes);
  field_changes(before, after, diff.changes);
  check_changes(before, after, diff.changes);
  quality_changes(before, after, diff.changes);
  return diff;
}

Bump bump_between(const Version& before, const Version& after) {
  if (after <= before) return Bump::kNone;
  if (after.major != before.major) return Bump::kMajor;
  return after.minor != before.minor ? Bump::kMinor : Bump::kPatch;
}

Version lowest_next(const Version& before, Bump bump) {
  switch (bump) {
    case Bump::kMajor:
      return {before.major + 1, 0, 0};
    case Bump::kMinor:
      return {before.major, before.minor + 1, 0};
    case Bump::kPatch:
      return {before.major, before.minor, before.patch + 1};
    case Bump::kNone:
      return before;
  }
  return before;
}

Status check_bump(const Contract& before, const Contract& after, const ContractDiff& diff) {
  const Bump required = diff.required();
  if (!before.version || !after.version) {
    return failed_precondition("contract {} has no version", after.name).with_hint("[[version(\"1.0.0\")]] contract …");
  }
  if (required == Bump::kNone && *after.version >= *before.version) return {};
  const Bump actual = bump_between(*before.version, *after.version);
  if (actual >= required && actual != Bump::kNone) return {};
  const Version next = lowest_next(*before.version, required == Bump::kNone ? Bump::kPatch : required);
  auto status = failed_precondition("contract {}: from {} to {} is {}, but the changes ask for a {} version",
                                    after.name, before.version->to_string(), after.version->to_string(),
                                    actual == Bump::kNone ? "no step up" : fmt::format("a {} step", bump_text(actual)),
                                    bump_text(required == Bump::kNone ? Bump::kPatch : required))
                    .with_kind("contract.bump")
                    .with_hint(fmt::format("set version(\"{}\")", next.to_string()));
  for (const auto& change : diff.changes) {
    if (change.breaks_readers() || change.breaks_writers()) {
      status = std::move(status).with_detail(fmt::format("{} ({})", change.sentence, impact_text(change.impact)));
    }
  }
  return status;
}

}  // namespace runink::contract
