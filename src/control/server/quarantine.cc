#include "control/server/quarantine.h"

#include "control/raft/driver/journal_storage.h"
#include "platform/os/file.h"

namespace runink::server {
namespace {

constexpr std::string_view kMark = "QUARANTINED";
constexpr size_t kMarkBytes = 16 << 10;

std::string state_of(const std::string& folder) { return os::join_path(folder, "state"); }
std::string aside_of(const std::string& folder) { return os::join_path(folder, "state-quarantined"); }

Result<std::optional<std::string>> read_mark(const std::string& state) {
  Result<std::string> text = os::read_file(os::join_path(state, kMark), kMarkBytes + 1);
  if (text.status().code() == Code::kNotFound) return std::optional<std::string>();
  // One that cannot be read is a mark all the same.
  if (!text.ok()) return std::optional<std::string>(text.status().to_string());
  if (text->ends_with('\n')) text->pop_back();
  return std::optional<std::string>(std::move(*text));
}

}  // namespace

Status mark_quarantined(const std::string& folder, std::string_view why) {
  std::string text(why.substr(0, kMarkBytes));
  text += '\n';
  return os::write_file_atomic(os::join_path(state_of(folder), kMark), text, 0600);
}

Result<std::optional<std::string>> quarantine_mark(const std::string& folder) { return read_mark(state_of(folder)); }
Result<std::optional<std::string>> set_aside_because(const std::string& folder) { return read_mark(aside_of(folder)); }

Result<bool> set_aside_if_marked(const std::string& folder, journal::Disk& disk, const journal::Identity& identity,
                                 const journal::Options& options) {
  const std::optional<std::string> why = RUNINK_TRY(quarantine_mark(folder));
  if (!why) return false;
  // The log first: the mark goes away together with the state, in one rename, and is the last to go.
  RUNINK_RETURN_IF_ERROR(raft::abandon_log(disk, identity, options, *why).with_context("give up the log"));
  RUNINK_RETURN_IF_ERROR(os::remove_tree(aside_of(folder)));
  RUNINK_RETURN_IF_ERROR(os::rename_file(state_of(folder), aside_of(folder)));
  RUNINK_RETURN_IF_ERROR(os::sync_folder(folder));
  return true;
}

}  // namespace runink::server
