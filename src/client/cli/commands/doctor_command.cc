// runi doctor: is this machine, and this project, fit to run?
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/doctor.h"
#include "client/cli/history.h"
#include "client/cli/program.h"
#include "client/cli/project.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"

namespace runink::cli {
namespace {

using Verdict = DoctorVerdict;

DoctorChecks slice_checks = nullptr;

class Findings {
 public:
  void add(const std::string& check, Verdict verdict, const std::string& found, const std::string& advice = "") {
    static constexpr Style kStyles[] = {Style::kGreen, Style::kYellow, Style::kRed};
    static constexpr const char* kWords[] = {"good", "note", "bad"};
    bad_ |= verdict == Verdict::kBad;
    table_.add(
        {check, Cell(kWords[static_cast<int>(verdict)]).styled(kStyles[static_cast<int>(verdict)]), found, advice});
  }
  bool bad() const { return bad_; }
  const Table& table() const { return table_; }

 private:
  Table table_{{{"check", "CHECK"}, {"verdict", "VERDICT"}, {"found", "FOUND"}, {"advice", "ADVICE"}}};
  bool bad_ = false;
};

bool is_on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (std::string_view folder : split(path ? path : "", ':')) {
    if (access((std::string(folder) + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

void look_at_machine(Findings* findings) {
  findings->add("runi", Verdict::kGood, version());
  findings->add("processors", Verdict::kGood, fmt::format("{} usable", os::usable_cpu_count()));
  const uint64_t memory = std::min(os::physical_memory_bytes(), os::memory_limit_bytes().value_or(UINT64_MAX));
  findings->add("memory", memory < (uint64_t{512} << 20) ? Verdict::kNote : Verdict::kGood, human_bytes(memory),
                memory < (uint64_t{512} << 20) ? "large sorts and joins will spill to disk early" : "");
  Result<uint64_t> free = os::free_disk_bytes(".");
  if (free.ok()) {
    const bool little = *free < (uint64_t{1} << 30);
    findings->add("disk here", little ? Verdict::kNote : Verdict::kGood, human_bytes(*free) + " free",
                  little ? "outputs, spill files and dead letters need room; runi gc frees some" : "");
  }
  const bool compiler = is_on_path("c++") || is_on_path("g++");
  findings->add("C++ compiler", compiler ? Verdict::kGood : Verdict::kNote, compiler ? "found" : "none on PATH",
                compiler ? "" : "only runi compile needs it: apt-get install g++");
}

// Dead letters are raw records, samples and logs hold parts of them. Compiled steps are as readable as their sources.
void look_at_modes(const std::string& folder, Findings* findings) {
  namespace fs = std::filesystem;
  size_t open = 0;
  std::string first;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const std::string path = at->path().string();
    if (path == folder + "/steps") at.disable_recursion_pending();
    const Result<os::FileInfo> info = os::link_info(path);
    if (path == folder + "/steps" || !info.ok() || info->type == os::FileType::kLink) continue;
    if ((info->permissions & 077) == 0) continue;
    if (open++ == 0) first = fmt::format("{} has mode {:o}", path, info->permissions & 0777);
  }
  if (open == 0) return;
  if (open > 1) first += fmt::format(", and {} more are open to others", open - 1);
  findings->add("state files", Verdict::kBad, first, "they may hold raw records: chmod -R go= " + folder);
}

void look_at_state(const local::Project& project, Findings* findings) {
  const std::string folder = project.root() + "/.runink";
  if (!os::exists(folder)) {
    findings->add("state", Verdict::kGood, "nothing has run yet");
    return;
  }
  Result<os::FileInfo> info = os::file_info(folder);
  if (info.ok() && (info->permissions & 077) != 0) {
    findings->add("state folder", Verdict::kBad, fmt::format("{} has mode {:o}", folder, info->permissions & 0777),
                  "it holds raw records: chmod 700 " + folder);
  }
  look_at_modes(folder, findings);
  const auto past = os::list_directory(folder + "/runs");
  if (past.ok() && !past->empty() && project.existing_key().status().code() == Code::kNotFound) {
    findings->add("key", Verdict::kNote, folder + "/key is gone",
                  "the next run makes a new one, with which hash() and tokenise() give other values; restore the old one");
  }
  std::vector<std::string> notes;
  Result<ledger::Ledger> ledger = local::open_ledger_to_read(project, &notes);
  for (const std::string& note : notes) findings->add("state", Verdict::kNote, note);
  if (!ledger.ok()) {
    findings->add("ledger", Verdict::kBad, ledger.status().to_string(), ledger.status().hint());
    return;
  }
  std::vector<Status> problems;
  Result<std::vector<ledger::RunRecord>> runs = ledger->list_runs({}, &problems);
  for (const Status& problem : problems) findings->add("run record", Verdict::kBad, problem.to_string());
  if (runs.ok() && problems.empty()) findings->add("ledger", Verdict::kGood, fmt::format("{} runs", runs->size()));
}

void look_at_project(Findings* findings) {
  Result<local::Project> project = local::Project::find(".");
  if (!project.ok()) {
    const bool none = project.status().kind() == "project.not_found";
    findings->add("project", none ? Verdict::kNote : Verdict::kBad,
                  none ? "not in a project" : project.status().to_string(),
                  none ? "make one with: runi init NAME" : project.status().hint());
    return;
  }
  findings->add("project", Verdict::kGood, project->config().name + ", " + project->root());
  if (const Status context = project->check_context(""); !context.ok()) {
    findings->add("context", Verdict::kBad, context.message(), context.hint());
  }
  findings->add("writable", access(project->root().c_str(), W_OK) == 0 ? Verdict::kGood : Verdict::kBad,
                access(project->root().c_str(), W_OK) == 0 ? "yes" : "no: outputs and .runink cannot be written");
  look_at_state(*project, findings);
}

Result<int> run(Invocation& invocation) {
  Findings findings;
  look_at_machine(&findings);
  look_at_project(&findings);
  if (slice_checks != nullptr && !invocation.enabled("no-slices")) {
    for (const DoctorFinding& one : slice_checks()) findings.add(one.check, one.verdict, one.found, one.advice);
  }
  RUNINK_RETURN_IF_ERROR(invocation.print(findings.table()));
  return findings.bad() ? kExitFailed : kExitDone;
}

}  // namespace

void offer_slice_checks(DoctorChecks checks) { slice_checks = checks; }

Command doctor_command() {
  return {.name = "doctor",
          .group = "project",
          .summary = "say whether this machine and project are fit to run, and what slices can be held to here",
          .description =
              "Looks at processors, memory, disk, the compiler for custom steps, the project and its state folder, and "
              "says what to do about what it does not like.\n"
              "\n"
              "Then it tries, for real, all by which slices are isolated and limited: namespaces, mounts, system calls, "
              "every limit of control groups, networks, and whole slices. What it makes for that is gone when it ends. "
              "It says what this host, or you on it, cannot enforce, and what to change. Root and an ordinary user are "
              "told different things, each the truth for them.\n"
              "\n"
              "Exit code 1 when something is bad: not right, or not to be had here.",
          .flags = {{.name = "no-slices", .help = "leave out what only slices need"}},
          .lists = true,
          .examples = {{"runi doctor", "Is everything fine, and what can slices be held to?"},
                       {"runi doctor --no-slices", "Is everything fine to run pipelines without slices?"},
                       {"sudo runi doctor -o json", "What can root's slices be held to, for programs."}},
          .run = run};
}

}  // namespace runink::cli
