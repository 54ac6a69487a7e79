// Who had something of the ledger shown unmasked, and when: <ledger>/revealed.ndjson, mode 0600, one line each.
//
// A run with --reveal says so in its own record; this is for commands that show what is kept.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace runink::ledger {

struct Reveal {
  std::string what;    // the command: "dlq show"
  std::string letter;  // id of the dead letter that was shown
  std::string run_id;  // of the run it belongs to
  int64_t time_micros = 0;  // 0: now
};

// To be called before anything is shown; the name of the user is added. An error means: show nothing.
Status record_reveal(const std::string& ledger_root, const Reveal& reveal);

}  // namespace runink::ledger
