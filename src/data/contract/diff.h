// What changed between two contracts, whom it breaks, and which version that asks for; and how far data has drifted.
//
// A change breaks *readers* when data that is valid under the new contract may not be what the old one promised
// (removed, retyped, loosened, enum value added); it breaks *writers* when data that was valid under the old contract
// may be refused by the new one (required added, tightened, enum value removed).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/contract/contract.h"
#include "data/contract/infer.h"

namespace runink::contract {

enum class Impact { kNone, kCompatible, kBreaksReaders, kBreaksWriters, kBreaksBoth };
std::string_view impact_text(Impact impact);  // "no effect", "compatible", "breaks readers", …

struct Change {
  std::string kind;               // stable: "field.added", "field.removed", "type.changed", "range.tightened", …
  std::string field;              // column, or "check NAME", "quality NAME", or empty for the contract
  std::string before, after;      // as canonical text; empty when there is none
  Impact impact = Impact::kNone;  // kNone: words only (description, owner, …)
  std::string sentence;           // "delay: range(-10, 10) became range(-10, 5): values above 5 are now refused"
  bool breaks_readers() const { return impact == Impact::kBreaksReaders || impact == Impact::kBreaksBoth; }
  bool breaks_writers() const { return impact == Impact::kBreaksWriters || impact == Impact::kBreaksBoth; }
};

enum class Bump { kNone, kPatch, kMinor, kMajor };
std::string_view bump_text(Bump bump);  // "none", "patch", "minor", "major"

struct ContractDiff {
  std::vector<Change>
      changes;  // contract first, then fields in order of the new contract, removed ones, checks, qualities
  bool breaks_readers() const;
  bool breaks_writers() const;
  // Major if anything breaks anyone; minor for compatible changes; patch for changes of words only; none without any.
  Bump required() const;
};

ContractDiff diff_contracts(const Contract& before, const Contract& after);

// The bump between two versions; kNone also when `after` is not higher.
Bump bump_between(const Version& before, const Version& after);
// OK when the version of `after` was raised at least as far as the changes require; else kFailedPrecondition with each
// breaking change as a detail and the lowest version that would do as hint.
Status check_bump(const Contract& before, const Contract& after, const ContractDiff& diff);
Version lowest_next(const Version& before, Bump bump);

// Drift: what a data file holds, against what the contract says.
struct Drift {
  std::string kind;  // "field.unknown", "field.missing", "type.mismatch", "null.found", "value.out_of_range", …
  std::string field;
  std::string expected, found;
  bool error = false;    // records would be rejected; else only noticed (unknown fields are dropped)
  std::string sentence;  // pii values are masked
};
std::vector<Drift> drift_of(const Contract& contract, const DataProfile& profile);

}  // namespace runink::contract
