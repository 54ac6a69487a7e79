// A custom step that does what its argument says, for step_process_test. It reads and writes lines.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

bool read_line(std::string* line) {
  line->clear();
  for (int c; (c = std::getchar()) != EOF;) {
    if (c == '\n') return true;
    *line += static_cast<char>(c);
  }
  return !line->empty();
}

void answer(const std::string& line) { std::printf("%s\n", line.c_str()); }
void report(const char* text) { (void)!::write(3, text, std::string(text).size()); }
void say(const char* text) { std::fprintf(stderr, "%s\n", text); }
[[noreturn]] void wait_for_ever() {
  std::fflush(stdout);
  for (;;) ::pause();
}

}  // namespace

int main(int, char** argv) {
  const std::string mode = argv[1];
  say(("I am " + mode).c_str());
  std::string line;
  if (mode == "exits_at_once") return 0;
  if (mode == "never_reads") wait_for_ever();
  if (mode == "stops_reading") {
    read_line(&line);
    ::close(0);
    wait_for_ever();
  }
  if (mode == "chatters") {  // more than any pipe holds, before it reads
    for (int i = 0; i < 40'000; ++i) say("a line on standard error, which somebody must read ............................");
  }
  if (mode == "leaves_a_child") {
    if (::fork() == 0) wait_for_ever();
  }
  if (mode == "leaves_a_hidden_child") {
    if (::fork() == 0) {
      ::setsid();
      if (::fork() != 0) ::_exit(0);
      for (int fd = 0; fd < 4; ++fd) ::close(fd);
      wait_for_ever();
    }
  }
  std::vector<std::string> held;
  for (int record = 0; read_line(&line); ++record) {
    if (mode == "crashes") {
      say("here it comes");
      ::signal(SIGSEGV, SIG_DFL);  // sanitizers have a handler of their own
      ::raise(SIGSEGV);
    } else if (mode == "crashes_in_a_record") {
      std::printf("{\"id\": 1");
      std::fflush(stdout);
      ::raise(SIGABRT);
    } else if (mode == "exits_3") {
      if (record == 1) return 3;
    } else if (mode == "mixes") {
      if (record % 3 == 0) answer(line);
      if (record % 3 == 1) report(("{\"record\": " + std::to_string(record) + ", \"action\": \"reject\", \"reason\": \"odd\"}\n").c_str());
      if (record % 3 == 2) report(("{\"record\":" + std::to_string(record) + ",\"action\":\"drop\",\"reason\":\"tested\"}\n").c_str());
      continue;
    } else if (mode == "holds_all") {
      held.push_back(line);
      continue;
    } else if (mode == "answers_for_ever") {
      for (;;) answer(line);
    } else if (mode == "refuses_for_ever") {
      for (;;) report("{\"record\": 0, \"action\": \"drop\"}\n");
    } else if (mode == "answers_twice") {
      answer(line);
    } else if (mode == "forgets_one") {
      if (record == 2) continue;
    } else if (mode == "marks") {
      if (record % 250 == 249) report(("{\"settled\":" + std::to_string(record + 1) + "}\n").c_str());
    } else if (mode == "takes_its_mark_back") {
      if (record == 1) report("{\"settled\": 2}\n{\"settled\": 1}\n");
    } else if (mode == "reports_rubbish") {
      report("what?\n");
    } else if (mode == "writes_rubbish") {
      if (record == 1) line = "Traceback (most recent call last):";
    } else if (mode == "omits_a_field") {
      line = "{\"text\": \"no id\"}";
    }
    answer(line);
  }
  for (const auto& h : held) answer(h);
  if (mode == "never_ends") wait_for_ever();
  if (mode == "closes_and_stays") {
    std::fclose(stdout);
    wait_for_ever();
  }
  return 0;
}
