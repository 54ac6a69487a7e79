#include "control/journal/inspect.h"

#include "control/journal/scan.h"

namespace runink::journal {

std::string Damage::to_string() const {
  return fmt::format("{} at byte {}: {}; entries from {} on", file, offset, what, first_lost);
}

Result<Inspection> inspect(Disk& disk, const std::optional<crypto::SealingKey>& key) {
  ScanOptions options;
  options.key = key;
  options.keep_batches = true;
  Scan found = RUNINK_TRY_CONTEXT(scan(disk, options), "inspect the journal");
  if (!found.has_hard_state) {
    found.seen.hard_state_fault = fmt::format("there is no file {}", kHardStateFile);
  }
  return std::move(found.seen);
}

Status verify(Disk& disk, const std::optional<crypto::SealingKey>& key) {
  ScanOptions options;
  options.key = key;
  const Scan found = RUNINK_TRY_CONTEXT(scan(disk, options), "verify the journal");
  if (!found.has_hard_state) {
    if (found.highest_segment == 0) return not_found("verify the journal: there is none in this folder");
    return data_loss("verify the journal: there is no file {}", kHardStateFile);
  }
  if (!found.seen.hard_state) return data_loss("verify the journal: {}", found.seen.hard_state_fault);
  if (found.seen.damage) return data_loss("verify the journal: {}", found.seen.damage->to_string());
  if (!found.seen.vote_lost.empty())
    return data_loss("verify the journal: this member has lost its vote: {}", found.seen.vote_lost);
  if (!found.seen.hard_state_fault.empty()) return data_loss("verify the journal: {}", found.seen.hard_state_fault);
  return {};
}

}  // namespace runink::journal
