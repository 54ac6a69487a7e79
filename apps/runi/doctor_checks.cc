#include "doctor_checks.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/temp.h"
#include "worker/doctor/doctor.h"

namespace runink {
namespace {

constexpr int64_t kMostMicros = 20'000'000;

cli::DoctorVerdict verdict_of(doctor::Verdict verdict) {
  switch (verdict) {
    case doctor::Verdict::kGood:
      return cli::DoctorVerdict::kGood;
    case doctor::Verdict::kNote:
      return cli::DoctorVerdict::kNote;
    case doctor::Verdict::kBad:
      break;
  }
  return cli::DoctorVerdict::kBad;
}

// What a command of ours wrote to standard error and how it ended; an error where it could not be started, or hung.
struct Ended {
  bool well = false;
  std::string said;
};
Result<Ended> run_self(std::vector<std::string> arguments) {
  const os::TempFolder folder = RUNINK_TRY(os::TempFolder::create(""));
  const os::Fd said = RUNINK_TRY(os::open_file(folder.file("said"), os::OpenMode::kTruncate, 0600));
  os::SpawnOptions options;
  options.argv = std::move(arguments);
  options.argv.insert(options.argv.begin(), "/proc/self/exe");
  options.standard_error = said.get();
  os::Child child = RUNINK_TRY(os::Child::spawn(options));
  const auto status = RUNINK_TRY(child.wait(kMostMicros));
  if (!status) return deadline_exceeded("it did not end within {} s", kMostMicros / 1'000'000);
  return Ended{status->success(), RUNINK_TRY(os::read_file(folder.file("said"), 64 << 10))};
}

// The first line of what was said, without its "error: ", and the help below it.
void take_error(const std::string& said, std::string* message, std::string* help) {
  for (const std::string_view line : split(said, '\n')) {
    const std::string_view text = trim(line);
    if (message->empty() && text.starts_with("error: ")) *message = text.substr(7);
    if (help->empty() && text.starts_with("help: ")) *help = text.substr(6);
  }
}

cli::DoctorFinding whole_slice(const char* check, std::vector<std::string> flags) {
  std::vector<std::string> arguments = {"--color", "never", "exec", "--quiet", "--agent", "none"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  arguments.insert(arguments.end(), {"--", "true"});
  const auto ended = run_self(arguments);
  if (!ended.ok()) return {check, cli::DoctorVerdict::kBad, ended.status().to_string(), ended.status().hint()};
  if (ended->well) return {check, cli::DoctorVerdict::kGood, "started, and ended well", ""};
  std::string message, help;
  take_error(ended->said, &message, &help);
  return {check, cli::DoctorVerdict::kBad, message.empty() ? "it did not end well" : message, help};
}

}  // namespace

std::vector<cli::DoctorFinding> check_slices() {
  std::vector<cli::DoctorFinding> out;
  for (doctor::Finding& one : doctor::probe_slices({})) {
    out.push_back({std::move(one.check), verdict_of(one.verdict), std::move(one.found), std::move(one.advice)});
  }
  out.push_back(whole_slice("a slice", {}));
  if (::geteuid() == 0) {
    out.push_back(whole_slice("a slice with limits", {"--cpu", "0.5", "--memory", "64Mi", "--pids", "16"}));
  }
  return out;
}

}  // namespace runink
