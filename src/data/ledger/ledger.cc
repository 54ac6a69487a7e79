#include "data/ledger/ledger.h"

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "platform/crypto/random.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"

namespace runink::ledger {

namespace {

constexpr uint64_t kMaxRecordBytes = 256u << 20;
constexpr uint64_t kMaxPlanBytes = 1u << 30;

std::string record_file(const std::string& run_folder) { return run_folder + "/run.json"; }
std::string plan_file(const std::string& run_folder) { return run_folder + "/plan.json"; }

Status write_plan(const std::string& run_folder, const std::string& plan) {
  if (plan.empty()) return {};
  const std::string path = plan_file(run_folder);
  const auto info = os::file_info(path);
  if (info.ok() && info->size == plan.size()) {
    const auto before = os::read_file(path, kMaxPlanBytes);
    if (before.ok() && *before == plan) return {};
  }
  return os::write_file_atomic(path, plan, 0600);
}

// Every process that opens a ledger checks this one line.
Status check_layout(const std::string& root, bool create) {
  const std::string path = root + "/FORMAT";
  const auto text = os::read_file(path, 4096);
  if (!text.ok()) {
    if (text.status().code() != Code::kNotFound) return text.status();
    if (!create) return {};
    return os::write_file_atomic(path, fmt::format("{}\n", kLayoutFormat), 0600);
  }
  const std::string_view word = trim(*text);
  int format = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), format);
  if (error != std::errc() || end != word.data() + word.size() || format < 1) {
    return data_loss("open the ledger {}: FORMAT is damaged", root);
  }
  if (format > kLayoutFormat) {
    return failed_precondition("open the ledger {}: its layout has format {}, this program knows {}", root, format,
                               kLayoutFormat)
        .with_hint("it was written by a newer runi; use that one");
  }
  return {};
}

bool matches(const RunRecord& record, const RunFilter& filter) {
  return (filter.feature.empty() || record.feature == filter.feature) &&
         (filter.scenario.empty() || record.scenario == filter.scenario) &&
         (filter.parent_id.empty() || record.parent_id == filter.parent_id) &&
         (!filter.state || record.state == *filter.state) && (!filter.parents_only || record.parent_id.empty()) &&
         record.started_micros >= filter.since_micros;
}

RunState state_of(EventType terminal) {
  switch (terminal) {
    case EventType::kComplete: return RunState::kSucceeded;
    case EventType::kFail: return RunState::kFailed;
    default: return RunState::kAborted;
  }
}

std::string write_marker(const os::ProcessIdentity& process) {
  return fmt::format("{} {} {}\n", process.pid, process.start_ticks, process.boot_id);
}

os::ProcessIdentity read_marker(std::string_view text) {
  os::ProcessIdentity process;
  const auto words = split(trim(text), ' ');
  if (words.size() < 2) return process;
  std::from_chars(words[0].data(), words[0].data() + words[0].size(), process.pid);
  std::from_chars(words[1].data(), words[1].data() + words[1].size(), process.start_ticks);
  if (words.size() > 2) process.boot_id = words[2];
  return process;
}

// What is known of a killed run that had not even written its START event.
LineageEvent start_event_of(const RunRecord& record) {
  LineageEvent event;
  event.type = EventType::kStart;
  event.time_micros = record.started_micros;
  event.run_id = record.id;
  const auto name_space = record.labels.find("lineage_namespace");
  event.job_namespace = name_space == record.labels.end() ? "runink://default" : name_space->second;
  event.job_name = record.job_name();
  event.runink_version = record.runink_version;
  event.job_type = record.scenario.empty() ? "FEATURE" : "SCENARIO";
  if (!record.parent_id.empty()) {
    event.parent_run_id = record.parent_id;
    event.parent_job_namespace = event.job_namespace;
    event.parent_job_name = record.feature;
  }
  return event;
}

}  // namespace

Result<Ledger> Ledger::open(const std::string& project_root) {
  const std::string project = RUNINK_TRY(os::absolute_path(project_root));
  const std::string root = project + "/.runink";
  const auto open_all = [&]() -> Status {
    RUNINK_RETURN_IF_ERROR(os::make_directories(root, 0700));
    RUNINK_RETURN_IF_ERROR(check_layout(root, true));
    for (const char* part : {"runs", "running", "dead-letters", "publish", "tmp"}) {
      RUNINK_RETURN_IF_ERROR(os::make_directories(root + "/" + part, 0700));
    }
    return {};
  };
  RUNINK_RETURN_IF_ERROR(open_all().with_context("open the ledger of this project"));
  return Ledger(project, root);
}

Result<Ledger> Ledger::open_existing(const std::string& project_root) {
  const std::string project = RUNINK_TRY(os::absolute_path(project_root));
  const std::string root = project + "/.runink";
  const auto info = os::file_info(root);
  if (!info.ok() && info.status().code() != Code::kNotFound) return info.status();
  if (!info.ok() || !info->folder()) {
    return not_found("there are no runs in {} yet", project).with_kind("ledger.none").with_hint("runi run FILE makes one");
  }
  RUNINK_RETURN_IF_ERROR(check_layout(root, false));
  return Ledger(project, root);
}

std::string Ledger::run_folder(const std::string& run_id) const { return root_ + "/runs/" + run_id; }
std::string Ledger::lineage_file(const std::string& run_id) const { return run_folder(run_id) + "/lineage.ndjson"; }
std::string Ledger::log_file(const std::string& run_id) const { return run_folder(run_id) + "/log.ndjson"; }

bool Ledger::was_published(const std::string& run_id) const { return os::exists(run_folder(run_id) + "/published.json"); }

Result<os::FileLock> Ledger::lock_for_run(const std::string& purpose) const {
  auto lock = os::FileLock::try_acquire(root_ + "/run.lock", purpose);
  if (lock.ok()) return lock;
  return std::move(lock)
      .status()
      .with_context("another run of this project is in progress")
      .with_hint("wait for it, or end it with runi cancel");
}

Result<RunRecord> Ledger::create_run(RunRecord record) const {
  const int64_t now = system_clock().unix_micros();
  if (record.id.empty()) record.id = make_uuid_v7(now / 1000, crypto::random_array<10>());
  if (!is_uuid(record.id)) return invalid_argument("create run \"{}\": its id is not a UUID", record.id);
  if (record.started_micros == 0) record.started_micros = now;
  if (record.process.pid == 0) record.process = os::current_process();
  if (record.host.empty()) record.host = os::host_name();
  if (record.user.empty()) record.user = os::user_name();
  const std::string folder = run_folder(record.id);
  if (os::exists(folder)) return already_exists("create run {}: there is one of this id", record.id);
  // The marker first: a kill between the two leaves one that the sweep clears, never a run that no sweep finds.
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(marker_file(record.id), write_marker(record.process), 0600));
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700));
  RUNINK_RETURN_IF_ERROR(update_run(record));
  return record;
}

Status Ledger::update_run(const RunRecord& record) const {
  const std::string folder = run_folder(record.id);
  const auto write = [&]() -> Status {
    RUNINK_RETURN_IF_ERROR(write_plan(folder, record.plan_json));
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(record_file(folder), to_json(record), 0600));
    return record.state == RunState::kRunning ? Status() : os::remove_file(marker_file(record.id));
  };
  return write().with_context(fmt::format("write the record of run {}", record.id));
}

Result<RunRecord> Ledger::load_run(const std::string& run_id) const {
  if (!is_uuid(run_id)) return not_found("there is no run \"{}\"", run_id);
  const std::string path = record_file(run_folder(run_id));
  const std::string text = RUNINK_TRY(os::read_file(path, kMaxRecordBytes));
  RunRecord record = RUNINK_TRY(parse_run_record(text, path));
  if (record.id != run_id) return data_loss("read {}: it is the record of run {}", path, record.id);
  const std::string plan = plan_file(run_folder(run_id));
  if (os::exists(plan)) record.plan_json = RUNINK_TRY(os::read_file(plan, kMaxPlanBytes));
  return record;
}

Result<std::vector<RunRecord>> Ledger::list_runs(const RunFilter& filter, std::vector<Status>* problems) const {
  std::vector<RunRecord> records;
  auto names = os::list_directory(root_ + "/runs");
  if (!names.ok()) {
    if (names.status().code() == Code::kNotFound) return records;
    return std::move(names).status();
  }
  // Ids of version 7 sort by time.
  for (auto name = names->rbegin(); name != names->rend(); ++name) {
    if (!is_uuid(*name)) continue;
    const std::string path = record_file(run_folder(*name));
    const auto text = os::read_file(path, kMaxRecordBytes);
    auto record = text.ok() ? parse_run_record(*text, path) : Result<RunRecord>(text.status());
    if (!record.ok()) {
      // A folder without its record is a run that was being created or collected.
      if (record.status().code() != Code::kNotFound && problems != nullptr) problems->push_back(record.status());
      continue;
    }
    if (!matches(*record, filter)) continue;
    records.push_back(std::move(*record));
    if (filter.limit > 0 && records.size() >= filter.limit) break;
  }
  return records;
}

Result<std::string> Ledger::find_run(const std::string& words) const {
  if (words == "last") {
    RunFilter newest;
    newest.limit = 1;
    newest.parents_only = true;
    std::vector<RunRecord> runs = RUNINK_TRY(list_runs(newest));
    newest.parents_only = false;
    if (runs.empty()) runs = RUNINK_TRY(list_runs(newest));
    if (!runs.empty()) return runs[0].id;
    return not_found("there are no runs yet").with_kind("ledger.none").with_hint("runi run FILE makes one");
  }
  const std::string wanted = to_lower_ascii(words);
  std::vector<std::string> found;
  for (const std::string& name : RUNINK_TRY(os::list_directory(root_ + "/runs"))) {
    if (!is_uuid(name)) continue;
    if (name == wanted) return name;
    if (wanted.size() >= 4 && (name.starts_with(wanted) || name.ends_with(wanted))) found.push_back(name);
  }
  if (found.size() == 1) return found[0];
  if (found.empty()) {
    return not_found("there is no run \"{}\"", escape_control(words))
        .with_hint(wanted.size() < 4 ? "give at least 4 characters of its id, or \"last\"; runi runs lists them"
                                     : "runi runs lists them; \"last\" is the newest");
  }
  Status status = invalid_argument("\"{}\" fits {} runs", escape_control(words), found.size());
  for (size_t i = 0; i < std::min<size_t>(found.size(), 10); ++i) status = std::move(status).with_detail(found[i]);
  return std::move(status).with_hint("give more of the id, or its end: the beginning is the time");
}

Status Ledger::append_lineage(const LineageEvent& event) const {
  return append_event_line(lineage_file(event.run_id), to_json(event));
}

Status Ledger::finish_run(RunRecord* record, const LineageEvent& terminal) const {
  if (!is_terminal_event(terminal.type) || record->state == RunState::kRunning) {
    return invalid_argument("finish run {}: neither its state nor its last event may say that it goes on", record->id);
  }
  (void)RUNINK_TRY(append_terminal_line(lineage_file(record->id), to_json(terminal)));
  if (record->ended_micros == 0) record->ended_micros = terminal.time_micros;
  return update_run(*record);
}

// Those at which its stages served metrics.
void Ledger::remove_sockets(const std::string& id) const {
  const std::string folder = os::folder_of(lineage_file(id));
  const auto names = os::list_directory(folder);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (name.ends_with(".metrics")) (void)os::remove_file(os::join_path(folder, name));
  }
}

Status Ledger::settle_killed_run(RunRecord* record, int64_t now_micros) const {
  remove_sockets(record->id);
  const std::string path = lineage_file(record->id);
  const std::vector<std::string> lines = RUNINK_TRY(read_event_lines(path));
  std::string start, end;
  for (const std::string& line : lines) {
    const auto type = event_type_of(line);
    if (type == EventType::kStart && start.empty()) start = line;
    if (type && is_terminal_event(*type) && end.empty()) end = line;
  }
  if (start.empty()) {
    start = to_json(start_event_of(*record));
    RUNINK_RETURN_IF_ERROR(append_event_line(path, start));
  }
  const std::string abandoned = fmt::format("its process ({}) ended without a word", record->process.pid);
  const std::string reason = abandoned + (was_published(record->id) ? ", after its outputs were published" : "");
  const std::string abort = RUNINK_TRY(abort_event_from_start(start, now_micros, reason));
  const EventType terminal = RUNINK_TRY(append_terminal_line(path, abort));
  record->state = state_of(terminal);
  record->ended_micros = now_micros;
  if (was_published(record->id)) record->labels["published"] = "true";
  // The run's own last event, written before it was killed, says why it ended.
  const std::string said = end.empty() ? "" : error_message_of(end);
  if (terminal == EventType::kAbort && !said.empty() && !said.starts_with(abandoned)) {
    record->state = RunState::kInterrupted;
    record->reason = said;
    record->error_kind = "run.interrupted";
    record->exit_code = 130;
  } else if (terminal == EventType::kAbort) {
    record->reason = reason;
    record->error_kind = "run.aborted";
  } else if (terminal == EventType::kFail && record->reason.empty()) {
    record->reason = said.empty() ? "failed; its process ended before it wrote why" : said;
  }
  return update_run(*record);
}

Result<std::vector<RunRecord>> Ledger::killed_runs(const SweepOptions& options, Status* problem) const {
  const auto alive = options.is_alive ? options.is_alive : os::is_alive;
  std::vector<RunRecord> killed;
  const auto names = os::list_directory(root_ + "/running");
  if (!names.ok()) return killed;
  for (const std::string& name : *names) {
    if (!is_uuid(name)) continue;
    const auto marker = os::read_file(marker_file(name), 4096);
    if (!marker.ok()) continue;  // removed meanwhile
    if (alive(read_marker(*marker))) continue;
    auto record = load_run(name);
    if (record.ok() && record->state == RunState::kRunning) {
      killed.push_back(std::move(*record));
    } else if (record.ok() || record.status().code() == Code::kNotFound) {
      // Killed behind its last record or before its first.
      if (!record.ok()) RUNINK_RETURN_IF_ERROR(os::remove_tree(run_folder(name)));
      RUNINK_RETURN_IF_ERROR(os::remove_file(marker_file(name)));
    } else {
      *problem = record.status();
    }
  }
  return killed;
}

// Scratch is named by run; what belongs to no living run is nobody's.
Status Ledger::remove_scratch(const SweepOptions& options) const {
  const auto alive = options.is_alive ? options.is_alive : os::is_alive;
  const auto scratch = os::list_directory(temp_root());
  if (!scratch.ok()) return {};
  for (const std::string& name : *scratch) {
    const std::string id = name.substr(0, 36);
    if (!is_uuid(id)) continue;
    const auto marker = os::read_file(marker_file(id), 4096);
    if (marker.ok() && alive(read_marker(*marker))) continue;
    RUNINK_RETURN_IF_ERROR(os::remove_tree(temp_root() + "/" + name));
  }
  return {};
}

Result<std::vector<RunRecord>> Ledger::sweep_killed_runs(const SweepOptions& options) const {
  const int64_t now = options.now_micros != 0 ? options.now_micros : system_clock().unix_micros();
  Status problem;
  RUNINK_RETURN_IF_ERROR(remove_scratch(options));  // first: on a full disk what follows may need the room
  std::vector<RunRecord> records = RUNINK_TRY(killed_runs(options, &problem));
  if (!records.empty()) {
    const os::FileLock lock = RUNINK_TRY(os::FileLock::acquire(root_ + "/sweep.lock", "sweep killed runs"));
    records = RUNINK_TRY(killed_runs(options, &problem));  // another command may have done it meanwhile
    // In the order of their ids, so oldest first: children of a killed run come after it, as their events did.
    for (RunRecord& record : records) {
      Status status = settle_killed_run(&record, now);
      if (!status.ok()) return std::move(status).with_context(fmt::format("settle the killed run {}", record.id));
    }
  }
  if (!problem.ok()) return std::move(problem).with_context("settle a killed run");
  return records;
}

}  // namespace runink::ledger
