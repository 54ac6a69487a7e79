// What a run that goes on from an earlier one need not do again.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/ledger/ledger.h"
#include "data/plan/plan.h"

namespace runink::local {

inline constexpr const char* kSpoolLabel = "spool";  // of a parent run: the run under whose id rows are kept

struct Resumed {
  int64_t now_micros = 0;             // of the run to go on from: both halves see one now()
  std::string spool;                  // the run under whose id rows for other scenarios are kept
  std::vector<std::string> complete;  // scenarios
  std::vector<std::string> notes;     // complete scenarios that run again all the same, and why; one line each
};

// Looks at the run `id` and those that it went on from. `now` is the new run, with its hashes and inputs. Where the
// project or an input has changed since: kFailedPrecondition, kind "resume.changed". A scenario that is complete runs
// again where a file that it published is gone or has changed since.
Result<Resumed> look_back(const ledger::Ledger& ledger, const std::string& id, const ledger::RunRecord& now);

// Whether every file that the run and those that it went on from have published is still as it was.
Result<bool> outputs_are_there(const ledger::Ledger& ledger, const std::string& id);

// Takes scenarios out of `complete` whose rows another one of `chosen` is going to read and that are not there.
// `rows_of(scenario, output)` names the file they would be in.
void require_rows(const std::vector<const plan::ScenarioPlan*>& chosen,
                  const std::function<std::string(const std::string&, const std::string&)>& rows_of, Resumed* resumed);

// Refuses (kFailedPrecondition, kind "resume.changed") where a scenario that is not complete reads standard input: nobody can
// give it what the run `id` has read already.
Status check_standard_input(const std::vector<const plan::ScenarioPlan*>& chosen, const Resumed& resumed,
                            const std::string& id);

}  // namespace runink::local
