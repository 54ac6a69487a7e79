// A member whose state is wrong or cannot be read takes itself out of service for good: a mark beside the state says
// why, and the next start does not use that state. It is kept aside for people to look at, one at most, and the member
// begins with nothing, without a vote, and takes all from the leader.
//
//   <folder>/state/QUARANTINED       the mark
//   <folder>/state-quarantined/      the state that was set aside, with the mark in it
//
// The log goes too, since a difference may come of the log as well as of the state. So a mark is made only where the
// other voters are enough by themselves (integrity.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "control/journal/journal.h"

namespace runink::server {

inline constexpr std::string_view kQuarantinedKind = "barn.quarantined";

// `folder` is the member's in all of these. Durable when it returns. The state may be in use.
Status mark_quarantined(const std::string& folder, std::string_view why);
// Why; none: there is no mark.
Result<std::optional<std::string>> quarantine_mark(const std::string& folder);
// Why the state that lies aside was set aside, whenever that was; none: there is none.
Result<std::optional<std::string>> set_aside_because(const std::string& folder);

// At a start, before the state is opened: where there is a mark, the state is set aside, in the place of one that was
// there before, and the log is given up. Whatever a crash leaves, the next start does the rest. False: no mark.
Result<bool> set_aside_if_marked(const std::string& folder, journal::Disk& disk, const journal::Identity& identity,
                                 const journal::Options& options);

}  // namespace runink::server
