#include "worker/slice/step_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "platform/os/fd.h"
#include "platform/os/file.h"
#include "platform/os/signals.h"
#include "worker/slice/step_host.h"
#include "worker/slice/step_library.h"

namespace runink::slice {

namespace {

constexpr int kReportDescriptor = 3;

constexpr const char* kUsage =
    "runi-slice runs custom C++ steps; runi starts it.\n"
    "\n"
    "  runi-slice step --library FILE.so --name NAME   run a step: Arrow IPC on standard input and output,\n"
    "                                                  refused records as JSON lines on descriptor 3\n"
    "  runi-slice steps --library FILE.so              list the steps of a library with their contracts\n"
    "  runi-slice serve                                run a stage of a pipeline, as the socket at descriptor 3 says\n"
    "  runi-slice --version\n";

void say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

int failed(const Status& status) {
  say(fmt::format("error: {}\n", escape_control(status.to_string())));
  for (const auto& detail : status.details()) say(fmt::format("  {}\n", escape_control(detail)));
  if (!status.hint().empty()) say(fmt::format("  {}\n", escape_control(status.hint())));
  return 1;
}

// ---- The descriptors. The step must not be able to write into the stream by printing, nor hold what it should not.

struct Streams {
  os::Fd in, out, report;
  bool reporting = false;  // somebody reads descriptor 3
};

os::Fd moved(int fd, const char* name) {
  // Above what programs take for the standard ones.
  return os::Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 10), name);
}

Result<Streams> take_streams() {
  Streams streams;
  streams.in = moved(STDIN_FILENO, "standard input");
  streams.out = moved(STDOUT_FILENO, "standard output");
  if (!streams.in.valid() || !streams.out.valid()) return invalid_argument("standard input and output must be open");
  streams.reporting = ::fcntl(kReportDescriptor, F_GETFD) >= 0;
  streams.report = moved(streams.reporting ? kReportDescriptor : STDERR_FILENO, "descriptor 3");
  if (!streams.report.valid()) return invalid_argument("neither descriptor 3 nor standard error is open");
  const os::Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null");
  if (!nothing.valid() || ::dup2(nothing.get(), STDIN_FILENO) < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    return from_errno(errno, "set up the step's descriptors");
  }
  (void)std::setvbuf(stdout, nullptr, _IOLBF, 0);  // so that its lines are there when it crashes
  return streams;
}

// What whoever started this program left open. Called first, when nothing of its own is.
void close_unknown_descriptors() {
  if (::syscall(SYS_close_range, kReportDescriptor + 1, ~0u, 0u) == 0) return;
  const long most = ::sysconf(_SC_OPEN_MAX);
  for (int fd = kReportDescriptor + 1; fd < (most > 0 && most < 65536 ? most : 65536); ++fd) (void)::close(fd);
}

// ---- Last words of a crash: which records the step had.

char crash_message[512];
volatile sig_atomic_t crash_length = 0;

void set_crash_message(const std::string& step, uint64_t first, uint64_t count) {
  crash_length = 0;
  const auto end = fmt::format_to_n(crash_message, sizeof crash_message - 1, "step \"{}\" crashed in records {} to {}\n", step, first,
                                    first + count - 1);
  crash_length = static_cast<sig_atomic_t>(end.out - crash_message);
}

void on_crash(int signal) {
  if (crash_length > 0) {
    const ssize_t ignored = ::write(STDERR_FILENO, crash_message, static_cast<size_t>(crash_length));
    (void)ignored;
  }
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void install_crash_words() {
  static char stack[64 << 10];
  stack_t alternate = {};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  (void)::sigaltstack(&alternate, nullptr);  // a stack overflow has no other
  struct sigaction action = {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) (void)::sigaction(signal, &action, nullptr);
}

// ---- The commands.

Status run(const std::string& library, const std::string& name, const Streams& streams) {
  const LoadedStep step = RUNINK_TRY(load_step(library, name));
  install_crash_words();
  StepStreams io;
  io.read = [&](char* into, size_t size) { return os::read_some(streams.in, into, size); };
  io.write = [&](std::string_view bytes) { return os::write_all(streams.out, bytes); };
  io.marks = streams.reporting;
  io.report = [&](std::string_view lines) { return os::write_all(streams.report, lines); };
  io.before_batch = [&](uint64_t first, uint64_t count) { set_crash_message(step.name, first, count); };
  Status status = run_step(step, io);
  crash_length = 0;
  return status;
}

Status list(const std::string& library, const Streams& streams) {
  std::string out;
  for (const LoadedStep& step : RUNINK_TRY(load_steps(library))) {
    out += step.name;
    for (const auto& c : {step.input, step.output}) out += fmt::format("\t{}\t{}\t{}", c->name, c->version_text(), c->hash);
    out += '\n';
  }
  return os::write_all(streams.out, out);
}

int wrong_usage(const std::string& what) {
  say(fmt::format("error: {}\n\n{}", what, kUsage));
  return 2;
}

}  // namespace

int slice_main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "--version") {
    std::printf("runi-slice %s (step interface %u)\n", RUNINK_VERSION, RUNINK_STEP_ABI_VERSION);
    return 0;
  }
  if (command == "--help" || command == "-h") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (command != "step" && command != "steps") return wrong_usage(command.empty() ? "no command" : "no such command: " + command);
  std::string library, name;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    std::string* into = word == "--library" ? &library : word == "--name" && command == "step" ? &name : nullptr;
    if (into == nullptr) return wrong_usage("no such flag: " + word);
    if (i + 1 == argc) return wrong_usage(word + " needs a value");
    *into = argv[++i];
  }
  if (library.empty()) return wrong_usage("--library is missing");
  if (command == "step" && name.empty()) return wrong_usage("--name is missing");

  close_unknown_descriptors();
  os::ignore_broken_pipes();
  auto streams = take_streams();
  if (!streams.ok()) return failed(streams.status());
  const Status status = command == "step" ? run(library, name, *streams) : list(library, *streams);
  return status.ok() ? 0 : failed(status);
}

}  // namespace runink::slice
