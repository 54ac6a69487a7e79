#include "record_rows.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "platform/os/file.h"
#include "starters.h"
#include "stopwatch.h"
#include "worker/slice/stage_protocol.h"
#include "worker/wire/framing.h"

namespace runink::bench {
namespace {

using slice::Ask;
using slice::StageMessage;

constexpr double kGoal = 3;  // times a bare process
constexpr const char* kScenario = "Clean";
constexpr const char* kFeature = R"(Feature: First record
  Scenario: Clean
    @source("in.ndjson")
    @contract("flight.contract")
    Given flights arrive
    When records are checked against the contract
     And field "route" is set to origin + "-" + destination
    @sink("out.ndjson")
    Then valid records are written
)";
constexpr uint32_t kSource = 0, kSink = 3;  // in its plan: the check and the field are between
constexpr const char* kContract =
    "contract Flight { int32 delay [[required, range(-1440, 4320)]]; string origin [[required, "
    "pattern(\"[A-Z]{3}\")]]; "
    "string destination [[required]]; check distinct: origin != destination; }\n";
constexpr std::string_view kRecord = "{\"delay\":5,\"origin\":\"OAK\",\"destination\":\"LAX\"}\n";

// A stage that waits for work, and the work.
class Stage {
 public:
  // Started, warm, and waiting. No slice around it: what a slice adds to a stage that stands ready is nothing.
  static Result<Stage> make(const std::string& program) {
    Stage out;
    auto [ours, theirs] = RUNINK_TRY(wire::Channel::make_pair());
    const os::Fd theirs_fd = theirs.release();
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, theirs_fd.get(), slice::kStageDescriptor);
    const char* argv[] = {program.c_str(), "serve", nullptr};
    const int failed = ::posix_spawn(&out.pid_, program.c_str(), &actions, nullptr, const_cast<char**>(argv), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) return from_errno(failed, "start " + program);
    out.channel_ = std::move(ours);
    const auto ready = RUNINK_TRY(out.channel_.receive_within(30'000'000));
    if (!ready || ready->type != static_cast<uint16_t>(StageMessage::kReady)) {
      return internal_error("{} does not get ready", program);
    }
    return out;
  }
  Stage() = default;
  Stage(Stage&& other) noexcept : pid_(std::exchange(other.pid_, -1)), channel_(std::move(other.channel_)) {}
  Stage& operator=(Stage&&) = delete;
  ~Stage() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
  }

  // Microseconds from the work's first byte until the first byte of its output.
  Result<double> first_record(const std::string& work) {
    // A file: of a pipe that stays open a reader would wait for more.
    os::Fd input(::memfd_create("input", MFD_CLOEXEC), "input");
    RUNINK_RETURN_IF_ERROR(os::pwrite_all(input, kRecord, 0));
    os::Pipe output = RUNINK_TRY(os::make_pipe("output"));
    const int64_t begin = now_nanos();
    RUNINK_RETURN_IF_ERROR(channel_.send(static_cast<uint16_t>(StageMessage::kStart), 0, work));
    // As `runi run` does with what it knows that will be asked.
    for (const auto& [what, op] : {std::pair(Ask::kOpenInputs, kSource), std::pair(Ask::kOpenSink, kSink)}) {
      RUNINK_RETURN_IF_ERROR(answer(what, slice::number_unasked(what, op), input, output));
    }
    RUNINK_RETURN_IF_ERROR(channel_.send(static_cast<uint16_t>(StageMessage::kAnswersSent), 0, {}));
    for (;;) {
      pollfd waiting[2] = {{channel_.descriptor(), POLLIN, 0}, {output.read.get(), POLLIN, 0}};
      (void)::poll(waiting, 2, 10'000);
      if (waiting[1].revents != 0) return static_cast<double>(now_nanos() - begin) / 1e3;
      const auto message = RUNINK_TRY(channel_.receive());
      if (!message) {
        if (waiting[0].revents == 0) return internal_error("a stage does not answer");
        continue;
      }
      RUNINK_RETURN_IF_ERROR(answer(*message, input, output));
    }
  }

 private:
  Status answer(const wire::Message& message, const os::Fd& input, const os::Pipe& output) {
    if (message.type == static_cast<uint16_t>(StageMessage::kEnded)) {
      return RUNINK_TRY(slice::decode_end(message.body)).status;
    }
    if (message.type != static_cast<uint16_t>(StageMessage::kAsk)) return {};
    const slice::StageAsk ask = RUNINK_TRY(slice::decode_ask(message.body));
    return answer(ask.what, message.subject, input, output);
  }
  Status answer(Ask what, uint64_t question, const os::Fd& input, const os::Pipe& output) {
    slice::StageAnswer out;
    out.names = {"in.ndjson"};
    std::vector<int> descriptors;
    if (what == Ask::kOpenInputs) descriptors = {input.get()};
    if (what == Ask::kOpenSink) descriptors = {output.write.get()};
    if (what == Ask::kOpenSink) out.atomic = false;
    return channel_.send(static_cast<uint16_t>(StageMessage::kAnswer), question, encode(out), descriptors);
  }

  pid_t pid_ = -1;
  wire::Channel channel_;
};

std::string make_work() {
  slice::StageStart start;
  start.bundle.feature_path = "f.dsl";
  start.bundle.feature_text = kFeature;
  start.bundle.files = {{"flight.contract", kContract}};
  start.scenario = kScenario;
  start.memory_budget_bytes = 64 << 20;
  start.goes_on = true;
  return encode(start);
}

}  // namespace

Status record_rows(const Setting& setting) {
  if (!setting.wanted("slices.first_record")) return {};
  const std::string program = os::join_path(os::folder_of(setting.options().runi), "../runi-slice/runi-slice");
  const std::string work = make_work();
  const std::unique_ptr<Starter> floor = RUNINK_TRY(make_command_starter(setting.bare()));
  std::vector<double> stages, bare;
  for (int i = 0; i < setting.options().rounds * 5; ++i) {
    Stage stage = RUNINK_TRY(Stage::make(program));
    stages.push_back(RUNINK_TRY(stage.first_record(work)));
    const Start start = RUNINK_TRY(floor->once());
    bare.push_back(static_cast<double>(start.first - start.asked) / 1e3);
  }
  const Summary of_stages = summarise(stages), of_bare = summarise(bare);
  setting.print({.bench = "slices.first_record",
                 .peer = "bare",
                 .ratio = of_bare.p50 / of_stages.p50,
                 .goal = 1 / kGoal,
                 .numbers = {{"p50 us", of_stages.p50}, {"p99 us", of_stages.p99}, {"bare p50 us", of_bare.p50}}});
  return {};
}

}  // namespace runink::bench
