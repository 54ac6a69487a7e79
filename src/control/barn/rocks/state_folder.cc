#include "control/barn/rocks/state_folder.h"

#include <algorithm>
#include <charconv>

#include "platform/os/file.h"

namespace runink::barn {

namespace {

constexpr std::string_view kLive = "LIVE", kLock = "lock";
constexpr std::string_view kState = "state-", kSnapshot = "snapshot-", kTaking = "taking-";

// The number of "state-000012"; nothing for any other name.
std::optional<uint64_t> state_number(std::string_view name) {
  if (!name.starts_with(kState)) return std::nullopt;
  name.remove_prefix(kState.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || name.size() < 6) return std::nullopt;
  return number;
}

std::string state_name(uint64_t number) { return fmt::format("{}{:06}", kState, number); }

bool has_state(const std::string& folder) { return os::exists(os::join_path(folder, "CURRENT")); }

}  // namespace

std::string StateFolder::path(std::string_view name) const { return os::join_path(root_, name); }
std::string StateFolder::live() const { return path(live_); }

Result<std::unique_ptr<StateFolder>> StateFolder::open(const std::string& root, std::optional<crypto::SealingKey> key,
                                                       StepHook step) {
  std::string path = RUNINK_TRY(os::absolute_path(root));
  std::unique_ptr<StateFolder> folder(new StateFolder(std::move(path), std::move(key), std::move(step)));
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder->root_, 0700));
  RUNINK_RETURN_IF_ERROR(folder->lock());
  if (!RUNINK_TRY(folder->find_live())) RUNINK_RETURN_IF_ERROR(folder->make_first());
  RUNINK_RETURN_IF_ERROR(folder->tidy());
  return folder;
}

Result<std::unique_ptr<StateFolder>> StateFolder::open_to_read(const std::string& root,
                                                               std::optional<crypto::SealingKey> key) {
  std::string path = RUNINK_TRY(os::absolute_path(root));
  std::unique_ptr<StateFolder> folder(new StateFolder(std::move(path), std::move(key), {}));
  const bool there = os::exists(folder->root_);  // otherwise there is no place for the lock
  if (there) RUNINK_RETURN_IF_ERROR(folder->lock());
  if (!there || !RUNINK_TRY(folder->find_live())) return not_found("there is no state in {}", folder->root_);
  return folder;
}

Status StateFolder::lock() {
  lock_ = RUNINK_TRY(os::FileLock::try_acquire(path(kLock), "the state of a Barn member"));
  return Status();
}

Result<bool> StateFolder::find_live() {
  const Result<std::string> text = os::read_file(path(kLive), 4096);
  if (text.ok()) {
    std::string name = *text;
    if (name.ends_with('\n')) name.pop_back();
    if (!state_number(name) || !os::exists(path(name))) {
      return data_loss("{} does not name a state that is there", path(kLive))
          .with_hint("put back the folder that is missing, or remove this member and let it join anew");
    }
    live_ = name;
    return true;
  }
  if (text.status().code() != Code::kNotFound) return text.status();
  for (const std::string& name : RUNINK_TRY(os::list_directory(root_))) {
    if (!state_number(name) || !has_state(path(name))) continue;
    return data_loss("{} is missing, and {} holds a state", path(kLive), path(name))
        .with_hint(fmt::format("if it is the state of this member: echo {} > {}", name, path(kLive)));
  }
  return false;
}

Status StateFolder::make_first() {
  RUNINK_RETURN_IF_ERROR(step("make the first state"));
  RUNINK_RETURN_IF_ERROR(os::make_directories(path(state_name(1)), 0700));
  return write_live(state_name(1));
}

// What it names must be on disk, the name itself included.
Status StateFolder::write_live(const std::string& name) {
  RUNINK_RETURN_IF_ERROR(step("sync names"));
  RUNINK_RETURN_IF_ERROR(os::sync_folder(root_));
  RUNINK_RETURN_IF_ERROR(step("switch"));
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(path(kLive), name + "\n", 0600));
  live_ = name;
  return Status();
}

Status StateFolder::tidy() {
  for (const std::string& name : RUNINK_TRY(os::list_directory(root_))) {
    const bool old_state = state_number(name) && name != live_;
    const bool half_snapshot = name.starts_with(kSnapshot) && !os::exists(os::join_path(path(name), kManifestName));
    if (!old_state && !half_snapshot && !name.starts_with(kTaking) && !name.ends_with(".tmp")) continue;
    RUNINK_RETURN_IF_ERROR(step("remove what is not needed"));
    RUNINK_RETURN_IF_ERROR(os::remove_tree(path(name)));
  }
  return Status();
}

Result<std::string> StateFolder::begin_snapshot(RocksStore& store, const Position& position) {
  std::string taken = path(fmt::format("{}{}-{}", kTaking, position.index, position.term));
  RUNINK_RETURN_IF_ERROR(os::remove_tree(taken));
  RUNINK_RETURN_IF_ERROR(os::remove_tree(taken + ".tmp"));  // RocksDB's name for one that it has not finished
  RUNINK_RETURN_IF_ERROR(step("make a checkpoint"));
  RUNINK_RETURN_IF_ERROR(store.checkpoint(taken));
  return taken;
}

std::string StateFolder::snapshot_folder(raft::Index index, raft::Term term) const {
  return path(fmt::format("{}{:020}-{:020}", kSnapshot, index, term));
}

Result<std::string> StateFolder::finish_snapshot(const std::string& taken, const Position& position,
                                                 std::string_view membership, const StopFlag* stop) const {
  const std::string made = snapshot_folder(position.index, position.term);
  if (read_manifest(made, key_).ok()) {
    RUNINK_RETURN_IF_ERROR(os::remove_tree(taken));
    return made;
  }
  EarlierSnapshot earlier;
  const std::vector<std::string> others = RUNINK_TRY(snapshots());
  if (!others.empty()) {
    Result<SnapshotManifest> manifest = read_manifest(others.front(), key_);
    if (manifest.ok()) earlier = EarlierSnapshot{others.front(), std::move(*manifest)};
  }
  RUNINK_RETURN_IF_ERROR(step("describe a snapshot"));
  RUNINK_RETURN_IF_ERROR(status_of(
      describe_checkpoint(taken, position, membership, key_, earlier.folder.empty() ? nullptr : &earlier, stop)));
  RUNINK_RETURN_IF_ERROR(step("name a snapshot"));
  RUNINK_RETURN_IF_ERROR(os::remove_tree(made));
  RUNINK_RETURN_IF_ERROR(os::rename_file(taken, made));
  RUNINK_RETURN_IF_ERROR(os::sync_folder(root_));
  return made;
}

Result<std::vector<std::string>> StateFolder::snapshots() const {
  std::vector<std::string> found;
  for (const std::string& name : RUNINK_TRY(os::list_directory(root_))) {
    if (name.starts_with(kSnapshot) && os::exists(os::join_path(path(name), kManifestName)))
      found.push_back(path(name));
  }
  std::reverse(found.begin(), found.end());
  return found;
}

Status StateFolder::remove_snapshots(size_t keep) {
  const std::vector<std::string> all = RUNINK_TRY(snapshots());
  for (size_t i = keep; i < all.size(); ++i) {
    // Half a snapshot must not look like one: the manifest goes first.
    RUNINK_RETURN_IF_ERROR(step("remove a snapshot"));
    RUNINK_RETURN_IF_ERROR(os::remove_file(os::join_path(all[i], kManifestName)));
    RUNINK_RETURN_IF_ERROR(step("remove the rest of a snapshot"));
    RUNINK_RETURN_IF_ERROR(os::remove_tree(all[i]));
  }
  return Status();
}

Status StateFolder::remove_old_states() {
  for (const std::string& name : RUNINK_TRY(os::list_directory(root_))) {
    if (!state_number(name) || name == live_) continue;
    RUNINK_RETURN_IF_ERROR(step("remove an old state"));
    RUNINK_RETURN_IF_ERROR(os::remove_tree(path(name)));
  }
  return Status();
}

Status StateFolder::install(const std::string& received) {
  uint64_t number = *state_number(live_);
  for (const std::string& name : RUNINK_TRY(os::list_directory(root_))) {
    number = std::max(number, state_number(name).value_or(0));
  }
  const std::string name = state_name(number + 1);
  RUNINK_RETURN_IF_ERROR(step("name the new state"));
  RUNINK_RETURN_IF_ERROR(os::rename_file(received, path(name)));
  return write_live(name);
}

}  // namespace runink::barn
