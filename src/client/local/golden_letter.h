// A dead letter as a golden case: its original bytes as input, and what the feature makes of them now as expected.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "client/local/golden.h"
#include "data/ledger/dead_letters.h"

namespace runink::local {

struct LetterCase {
  std::string folder;                // of the case, path from the project root
  std::vector<std::string> written;  // files, paths from the project root
  bool rejected = false;             // the record is still refused by the present feature
};

// `name`: of the case; empty: the first 8 characters of the letter's id. kAlreadyExists where the folder is there. The
// input file holds the record as it is, personal data included, so its mode is 0600.
Result<LetterCase> golden_case_of_letter(const Project& project, const ledger::DeadLetter& letter, const std::string& name,
                                         const GoldenOptions& options);

}  // namespace runink::local
