#include "data/ledger/publish_record.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>
#include <set>

#include "base/id.h"
#include "base/text.h"
#include "data/ledger/json_access.h"
#include "platform/crypto/digest.h"
#include "platform/os/file.h"
#include "platform/os/lock.h"

namespace runink::ledger {

namespace {

constexpr uint64_t kMaxPublishFileBytes = 64u << 20;
constexpr std::string_view kTempMark = ".runink-";

struct Step {
  PublishMode mode = PublishMode::kReplace;
  std::string temp, target;
  uint64_t prior_bytes = 0;  // of the target, for appending
  uint64_t bytes = 0;        // of the temporary file
  int64_t modified_nanos = 0;
};

std::string publish_folder(const std::string& ledger_root) { return ledger_root + "/publish"; }

const char* mode_name(PublishMode mode) {
  switch (mode) {
    case PublishMode::kReplace: return "replace";
    case PublishMode::kAppend: return "append";
    case PublishMode::kFail: return "create";
  }
  return "replace";
}

Json write_process(const os::ProcessIdentity& process) {
  return {{"pid", process.pid}, {"start_ticks", process.start_ticks}, {"boot_id", process.boot_id}};
}
os::ProcessIdentity read_process(const Json& j) {
  return {get_number(j, "pid"), get_count(j, "start_ticks"), get_text(j, "boot_id")};
}

// Only names that AtomicFile makes: a damaged record must not move or remove anything else.
bool plausible_temp(const std::string& path) {
  const std::string name = os::file_name_of(path);
  return os::is_absolute(path) && name.starts_with(".") && name.find(kTempMark) != std::string::npos;
}
bool plausible(const Step& step) {
  return plausible_temp(step.temp) && os::folder_of(step.temp) == os::folder_of(step.target);
}

// One line of JSON and one with its SHA-256.
std::string encode_record(const std::string& run_id, const os::ProcessIdentity& process, const std::vector<Step>& steps) {
  Json j = {{"format", 1}, {"run", run_id}, {"process", write_process(process)}, {"steps", Json::array()}};
  for (const Step& step : steps) {
    j["steps"].push_back({{"action", mode_name(step.mode)},
                          {"temp", step.temp},
                          {"target", step.target},
                          {"prior_bytes", step.prior_bytes},
                          {"bytes", step.bytes},
                          {"modified_nanos", step.modified_nanos}});
  }
  const std::string line = dump_line(j);
  return line + "\n" + crypto::sha256_hex(line) + "\n";
}

struct Record {
  os::ProcessIdentity process;
  std::vector<Step> steps;
};

std::optional<Record> parse_record(std::string_view text, const std::string& path) {
  const auto lines = split(text, '\n');
  if (lines.size() != 3 || crypto::sha256_hex(lines[0]) != lines[1]) return std::nullopt;
  const auto j = parse_json(lines[0], path);
  if (!j.ok() || get_number(*j, "format") != 1) return std::nullopt;
  Record record{read_process(get_object(*j, "process")), {}};
  for (const Json& item : get_array(*j, "steps")) {
    Step step;
    const std::string action = get_text(item, "action");
    if (action == "append") step.mode = PublishMode::kAppend;
    else if (action == "create") step.mode = PublishMode::kFail;
    step.temp = get_text(item, "temp");
    step.target = get_text(item, "target");
    step.prior_bytes = get_count(item, "prior_bytes");
    step.bytes = get_count(item, "bytes");
    step.modified_nanos = get_number(item, "modified_nanos");
    if (!plausible(step)) return std::nullopt;
    record.steps.push_back(std::move(step));
  }
  return record;
}

Status append_bytes(const Step& step) {
  const os::Fd from = RUNINK_TRY(os::open_file(step.temp));
  const unsigned permissions = RUNINK_TRY(os::file_info(from)).permissions;
  const os::Fd to = RUNINK_TRY(os::open_file(step.target, os::OpenMode::kReadWrite, permissions));
  const os::FileInfo info = RUNINK_TRY(os::file_info(to));
  if (info.size < step.prior_bytes) {
    return data_loss("append to {}: it has become shorter since ({} bytes, it had {})", step.target, info.size,
                     step.prior_bytes);
  }
  // What an interrupted attempt appended is cut off again.
  RUNINK_RETURN_IF_ERROR(os::truncate_file(to, step.prior_bytes));
  std::string buffer(1u << 20, '\0');
  for (uint64_t at = step.prior_bytes;;) {
    const size_t n = RUNINK_TRY(os::read_full(from, buffer.data(), buffer.size()));
    if (n == 0) break;
    RUNINK_RETURN_IF_ERROR(os::pwrite_all(to, std::string_view(buffer.data(), n), at));
    at += n;
  }
  RUNINK_RETURN_IF_ERROR(os::sync_data(to));
  return os::remove_file(step.temp);
}

Status create_target(const Step& step) {
  if (::renameat2(AT_FDCWD, step.temp.c_str(), AT_FDCWD, step.target.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EINVAL || errno == ENOSYS) {
    // A file system without it: a second name, then the first one goes.
    if (::link(step.temp.c_str(), step.target.c_str()) == 0 || (errno == EEXIST && os::same_file(step.temp, step.target))) {
      return os::remove_file(step.temp);
    }
  }
  return from_errno(errno, fmt::format("create {}", step.target));
}

// Idempotent: a temporary file that is gone is a step that has been done.
Status do_step(const Step& step) {
  const auto info = os::link_info(step.temp);
  if (!info.ok()) return info.status().code() == Code::kNotFound ? Status() : info.status();
  switch (step.mode) {
    case PublishMode::kReplace: return os::rename_file(step.temp, step.target);
    case PublishMode::kAppend: return append_bytes(step);
    case PublishMode::kFail: return create_target(step);
  }
  return {};
}

// Where a record goes once its steps are done: into the run's folder, so that a run killed between publishing and its last
// record is known to have published. Gone where the run has no folder.
Status retire_record(const std::string& ledger_root, const std::string& run_id) {
  const std::string path = publish_folder(ledger_root) + "/" + run_id + ".commit";
  const std::string run_folder = ledger_root + "/runs/" + run_id;
  return os::exists(run_folder) ? os::rename_file(path, run_folder + "/published.json") : os::remove_file(path);
}

Status sync_targets(const std::vector<Step>& steps) {
  std::set<std::string> folders;
  for (const Step& step : steps) folders.insert(os::folder_of(step.target));
  for (const std::string& folder : folders) RUNINK_RETURN_IF_ERROR(os::sync_folder(folder));
  return {};
}

std::string intent_header(const std::string& run_id, const os::ProcessIdentity& process) {
  return dump_line({{"format", 1}, {"run", run_id}, {"process", write_process(process)}}) + "\n";
}

struct Intent {
  os::ProcessIdentity process;
  std::vector<Step> steps;
};

// As far as it was written: a torn last line names a file that was not begun yet.
std::optional<Intent> parse_intent(std::string_view text, const std::string& path) {
  const auto lines = split(text, '\n');
  if (lines.size() < 2) return std::nullopt;
  const auto header = parse_json(lines[0], path);
  if (!header.ok()) return std::nullopt;
  Intent intent{read_process(get_object(*header, "process")), {}};
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    const auto j = parse_json(lines[i], path);
    if (!j.ok()) break;
    Step step;
    step.temp = get_text(*j, "temp");
    step.target = get_text(*j, "target");
    if (plausible_temp(step.temp)) intent.steps.push_back(std::move(step));
  }
  return intent;
}

}  // namespace

struct OutputSet::State {
  struct Output {
    os::AtomicFile file;
    Step step;
  };

  std::string ledger_root, folder, run_id;
  os::ProcessIdentity process;
  os::Fd intent;
  std::deque<Output> outputs;  // addresses stay
  Probe probe;
  bool finished = false;

  std::string intent_path() const { return folder + "/" + run_id + ".intent"; }
  std::string commit_path() const { return folder + "/" + run_id + ".commit"; }
  void reached(const std::string& point) const {
    if (probe) probe(point);
  }

  void discard() {
    if (finished) return;
    finished = true;
    outputs.clear();
    intent.reset();
    (void)os::remove_file(intent_path());
  }

  Status record(const std::vector<Step>& steps) {
    Status status = os::write_file_atomic(commit_path(), encode_record(run_id, process, steps), 0600);
    if (status.ok()) return status;
    // It may have its name already (the sync of the folder failed): then it must lose it, or the decision stands.
    const Status removed = os::remove_file(commit_path());
    if (removed.ok()) return std::move(status).with_context("publish the outputs");
    release_all();
    return std::move(status).with_context("publish the outputs").with_kind("publish.torn");
  }

  void release_all() {
    finished = true;
    for (Output& output : outputs) (void)output.file.release();
  }
};

OutputSet::OutputSet(std::unique_ptr<State> state) : state_(std::move(state)) {}
OutputSet::OutputSet(OutputSet&&) noexcept = default;
OutputSet& OutputSet::operator=(OutputSet&& other) noexcept {
  if (this != &other) {
    discard();
    state_ = std::move(other.state_);
  }
  return *this;
}
OutputSet::~OutputSet() { discard(); }

Result<OutputSet> OutputSet::begin(const std::string& ledger_root, const std::string& run_id, Probe probe) {
  if (!is_uuid(run_id)) return invalid_argument("publish outputs: \"{}\" is not the id of a run", run_id);
  auto state = std::make_unique<State>();
  state->ledger_root = RUNINK_TRY(os::absolute_path(ledger_root));
  state->folder = publish_folder(state->ledger_root);
  state->run_id = run_id;
  state->process = os::current_process();
  state->probe = std::move(probe);
  RUNINK_RETURN_IF_ERROR(os::make_directories(state->folder, 0700));
  state->intent = RUNINK_TRY(os::open_file(state->intent_path(), os::OpenMode::kCreateNew, 0600));
  OutputSet set(std::move(state));
  RUNINK_RETURN_IF_ERROR(os::write_all(set.state_->intent, intent_header(run_id, set.state_->process)));
  set.state_->reached("begun");
  return set;
}

Result<os::AtomicFile*> OutputSet::open(const std::string& target, PublishMode mode, unsigned permissions) {
  RUNINK_CHECK(state_ != nullptr && !state_->finished);
  const auto attempt = [&]() -> Result<os::AtomicFile*> {
    const std::string absolute = RUNINK_TRY(os::absolute_path(target));
    if (mode == PublishMode::kFail && os::exists(absolute)) {
      return already_exists("{} exists, and its sink says mode=\"fail\"", target);
    }
    Step step;
    step.mode = mode;
    step.temp = RUNINK_TRY(os::AtomicFile::temp_path_for(absolute));
    const size_t index = state_->outputs.size();
    const std::string line = dump_line({{"temp", step.temp}, {"target", absolute}}) + "\n";
    if (!is_valid_utf8(step.temp)) {
      return invalid_argument("publish {}: its path is not UTF-8, so it cannot be recorded", escape_control(target));
    }
    // Written before the file is made, so that no kill leaves a file that nobody knows of. Not synced: after a power cut
    // a stray temporary file is the worst that comes of it.
    RUNINK_RETURN_IF_ERROR(os::write_all(state_->intent, line));
    state_->reached(fmt::format("noted:{}", index));
    os::AtomicFile file = RUNINK_TRY(os::AtomicFile::create_at(step.temp, absolute, permissions));
    step.target = file.target();
    for (const State::Output& other : state_->outputs) {
      if (other.step.target == step.target) return invalid_argument("two sinks write {}", target);
    }
    state_->outputs.push_back({std::move(file), std::move(step)});
    state_->reached(fmt::format("opened:{}", index));
    return &state_->outputs.back().file;
  };
  auto file = attempt();
  if (!file.ok()) return std::move(file).status().with_context("begin an output");
  return file;
}

Status OutputSet::publish() {
  RUNINK_CHECK(state_ != nullptr && !state_->finished);
  State& state = *state_;
  std::vector<Step> steps;
  const auto prepare = [&]() -> Status {
    size_t index = 0;
    for (State::Output& output : state.outputs) {
      RUNINK_RETURN_IF_ERROR(output.file.sync());
      Step step = output.step;
      const auto info = os::file_info(step.target);
      if (!info.ok() && info.status().code() != Code::kNotFound) return info.status();
      if (step.mode == PublishMode::kFail && info.ok()) return already_exists("{} has appeared meanwhile", step.target);
      if (step.mode == PublishMode::kAppend && info.ok()) step.prior_bytes = info->size;
      const os::FileInfo written = RUNINK_TRY(os::file_info(step.temp));
      step.bytes = written.size;
      step.modified_nanos = written.modified_nanos;
      steps.push_back(std::move(step));
      state.reached(fmt::format("synced:{}", index++));
    }
    return {};
  };
  Status status = prepare();
  if (status.ok() && !steps.empty()) status = state.record(steps);
  if (!status.ok()) {
    discard();
    return std::move(status).with_context("nothing was published");
  }
  state.reached("recorded");

  // Decided. From here on whatever goes wrong is completed by the next command.
  state.release_all();
  for (size_t i = 0; i < steps.size() && status.ok(); ++i) {
    status = do_step(steps[i]);
    if (status.ok()) state.reached(fmt::format("done:{}", i));
  }
  if (status.ok()) status = sync_targets(steps);
  if (!status.ok()) {
    return std::move(status)
        .with_context("finish publishing")
        .with_kind("publish.torn")
        .with_hint("the next runi command in this project completes it");
  }
  state.reached("settled");
  if (!steps.empty()) RUNINK_RETURN_IF_ERROR(retire_record(state.ledger_root, state.run_id));
  state.reached("record retired");
  state.intent.reset();
  RUNINK_RETURN_IF_ERROR(os::remove_file(state.intent_path()));
  state.reached("intent removed");
  return {};
}

void OutputSet::discard() {
  if (state_) state_->discard();
}

size_t OutputSet::size() const { return state_ ? state_->outputs.size() : 0; }

namespace {

// ".x.commit.runink-4711-…" of a process that was killed while it wrote one of the files of this folder.
void remove_stray(const std::string& folder, const std::string& name) {
  const size_t mark = name.find(kTempMark);
  if (!name.starts_with(".") || mark == std::string::npos) return;
  const std::string_view digits = std::string_view(name).substr(mark + kTempMark.size());
  pid_t pid = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) (void)os::remove_file(folder + "/" + name);
}

}  // namespace

Result<std::vector<TornPublish>> complete_or_discard_torn_publish(
    const std::string& ledger_root, const std::function<bool(const os::ProcessIdentity&)>& is_alive) {
  const std::string folder = publish_folder(ledger_root);
  std::vector<TornPublish> torn;
  const auto list = [&]() -> Result<std::vector<std::string>> {
    auto names = os::list_directory(folder);
    if (!names.ok() && names.status().code() == Code::kNotFound) return std::vector<std::string>();
    if (names.ok()) std::erase(*names, "lock");
    return names;
  };
  if (RUNINK_TRY(list()).empty()) return torn;

  const os::FileLock lock = RUNINK_TRY(os::FileLock::acquire(folder + "/lock", "complete or discard a torn publish"));
  for (const std::string& name : RUNINK_TRY(list())) {  // sorted: .commit before .intent
    const std::string path = folder + "/" + name;
    remove_stray(folder, name);
    const bool commit = name.ends_with(".commit"), intent = name.ends_with(".intent");
    if (!commit && !intent) continue;
    const std::string run_id = name.substr(0, name.size() - 7);
    const std::string intent_path = folder + "/" + run_id + ".intent";
    const auto text = os::read_file(path, kMaxPublishFileBytes);
    if (!text.ok()) {
      if (text.status().code() == Code::kNotFound) continue;  // its own process has just removed it
      return text.status();
    }
    if (commit) {
      const std::optional<Record> record = parse_record(*text, path);
      if (!record) {
        // Not whole, so not decided. Its intent is dealt with next, and says whether the process lives.
        const auto beside = os::read_file(intent_path, kMaxPublishFileBytes);
        const auto begun = beside.ok() ? parse_intent(*beside, intent_path) : std::nullopt;
        if (!begun || !is_alive(begun->process)) RUNINK_RETURN_IF_ERROR(os::remove_file(path));
        continue;
      }
      if (is_alive(record->process)) continue;
      TornPublish done{run_id, true, {}};
      for (const Step& step : record->steps) {
        Status status = do_step(step);
        if (!status.ok()) return std::move(status).with_context(fmt::format("complete the publishing of run {}", run_id));
        done.targets.push_back(step.target);
      }
      RUNINK_RETURN_IF_ERROR(sync_targets(record->steps));
      RUNINK_RETURN_IF_ERROR(retire_record(ledger_root, run_id));
      RUNINK_RETURN_IF_ERROR(os::remove_file(intent_path));
      torn.push_back(std::move(done));
      continue;
    }
    if (os::exists(folder + "/" + run_id + ".commit")) continue;
    const std::optional<Intent> begun = parse_intent(*text, path);
    if (begun && is_alive(begun->process)) continue;
    // An intent without a whole first line is of a process that had begun nothing; it may still be writing that line.
    if (!begun) {
      const auto info = os::file_info(path);
      const int64_t age = info.ok() ? system_clock().unix_micros() * 1000 - info->modified_nanos : 0;
      if (age < int64_t{60} * 1'000'000'000) continue;
    }
    TornPublish discarded{run_id, false, {}};
    if (begun) {
      // None are left where the process was killed between retiring its record and removing its intent: all was published.
      for (const Step& step : begun->steps) {
        if (!os::link_info(step.temp).ok()) continue;
        RUNINK_RETURN_IF_ERROR(os::remove_file(step.temp));
        discarded.targets.push_back(step.target);
      }
    }
    RUNINK_RETURN_IF_ERROR(os::remove_file(path));
    if (!discarded.targets.empty()) torn.push_back(std::move(discarded));
  }
  return torn;
}

std::string changed_output(const std::string& ledger_root, const std::string& run_id,
                           const std::function<bool(const std::string& target)>& wanted) {
  const std::string path = ledger_root + "/runs/" + run_id + "/published.json";
  const auto text = os::read_file(path, kMaxPublishFileBytes);
  if (!text.ok()) return "";  // it published no file
  const std::optional<Record> record = parse_record(*text, path);
  if (!record) return path + " is damaged";
  for (const Step& step : record->steps) {
    if (wanted && !wanted(step.target)) continue;
    const auto info = os::file_info(step.target);
    if (!info.ok()) return step.target + " is not there any more";
    if (step.modified_nanos == 0) continue;  // written before these were kept
    // Others may have appended since, so what was appended is there as long as the file has not become shorter.
    const bool same = step.mode == PublishMode::kAppend
                          ? info->size >= step.prior_bytes + step.bytes
                          : info->size == step.bytes && info->modified_nanos == step.modified_nanos;
    if (!same) return step.target + " has changed since it was published";
  }
  return "";
}

}  // namespace runink::ledger
