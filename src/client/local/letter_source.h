// From a dead letter back to the source that it was read from: for replaying letters and for making golden cases of them.
#pragma once

#include <string>

#include "base/status.h"
#include "data/ledger/dead_letters.h"
#include "data/plan/plan.h"

namespace runink::local {

// The operator of the scenario that reads such records: the source of that name, else the scenario's first one if it
// reads rows of another scenario (whose records have no source). kFailedPrecondition, with the reason, where there is none:
// the record was joined with, or was computed on the way.
Result<plan::OperatorId> source_of_letter(const plan::ScenarioPlan& scenario, const std::string& letter_source);

// What must stand before the records of a source in a file of their own: its CSV header line without line break, read
// from the source file that the letter names; "" where the source has none. An error where the file is gone.
Result<std::string> header_before_letters(const plan::Source& source, const std::string& letter_source, const std::string& project_root);

}  // namespace runink::local
