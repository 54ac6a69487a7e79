#include "client/local/notify.h"

#include <cstdio>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/shell_words.h"
#include "platform/os/temp.h"

namespace runink::local {

namespace {

std::string message_of(const ledger::RunRecord& r) {
  return fmt::format("{{\"run\":{},\"feature\":{},\"scenario\":{},\"state\":{},\"records\":{},\"valid\":{},\"rejected\":{},\"reason\":{}}}",
                     json_quote(r.id), json_quote(r.feature), json_quote(r.scenario),
                     json_quote(ledger::run_state_name(r.state)), r.records_in, r.records_valid, r.records_rejected,
                     json_quote(r.reason));
}

Status send(const plan::Notification& n, const std::string& message, const ledger::RunRecord& record,
            const std::string& root) {
  if (n.channel == "stderr") {
    std::fprintf(stderr, "notification: scenario \"%s\" %s: %s\n", escape_control(record.scenario).c_str(),
                 std::string(ledger::run_state_name(record.state)).c_str(),
                 record.reason.empty() ? "all is well" : escape_control(record.reason).c_str());
    return {};
  }
  if (n.channel == "file") {
    const std::string path = n.target.starts_with("/") ? n.target : root + "/" + n.target;
    RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(path)));
    os::Fd fd = RUNINK_TRY(os::open_file(path, os::OpenMode::kAppend));
    return os::write_all(fd, message + "\n");
  }
  // exec: the message on standard input, ten seconds to take it.
  os::SpawnOptions spawn;
  spawn.argv = RUNINK_TRY(os::split_command(n.target));
  spawn.working_directory = root;
  os::TempFolder folder = RUNINK_TRY(os::TempFolder::create(""));
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(folder.file("message"), message + "\n", 0600));
  os::Fd input = RUNINK_TRY(os::open_file(folder.file("message")));
  spawn.standard_input = input.get();
  os::Child child = RUNINK_TRY(os::Child::spawn(spawn));
  auto status = RUNINK_TRY(child.wait(10'000'000));
  RUNINK_RETURN_IF_ERROR(status_of(child.kill_tree()));
  if (!status) return deadline_exceeded("it did not end within 10 seconds");
  if (!status->success()) return aborted("{}", status->to_string());
  return {};
}

}  // namespace

std::vector<std::string> send_notifications(const plan::ScenarioPlan& scenario, const ledger::RunRecord& record,
                                            const std::string& root) {
  std::vector<std::string> notes;
  const bool good = record.state == ledger::RunState::kSucceeded;
  for (const auto& n : scenario.notifications) {
    if ((n.when == "success" && !good) || (n.when == "failure" && good)) continue;
    if (Status status = send(n, message_of(record), record, root); !status.ok()) {
      notes.push_back(fmt::format("notification {}:{} was not sent: {}", n.channel, n.target, status.to_string()));
    }
  }
  return notes;
}

}  // namespace runink::local
