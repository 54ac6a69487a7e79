// Sends lines from standard input ("HERD SLICE TEXT") to a Fluentd-protocol server by the agent's forwarder, and prints
// what became of them as JSON when the input has ended. For fluentd.mjs.
//
//   fluentd_feed PORT [key=K] [user=U] [password=P] [ca=FILE] [name=SERVER] [answer-ms=N] [flush-ms=N] [chunk=BYTES]
#include <fmt/format.h>

#include <charconv>
#include <iostream>
#include <map>
#include <string>

#include "base/clock.h"
#include "worker/agent/fluentd_forwarder.h"

namespace {

int64_t number(const std::map<std::string, std::string>& words, const std::string& name, int64_t otherwise) {
  const auto found = words.find(name);
  if (found == words.end()) return otherwise;
  int64_t value = 0;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  using runink::agent::FluentdForwarder;
  std::map<std::string, std::string> words;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t at = word.find('=');
    words[word.substr(0, at)] = at == std::string::npos ? "" : word.substr(at + 1);
  }
  FluentdForwarder::Options options;
  options.where = {"127.0.0.1", static_cast<uint16_t>(std::stoi(argv[1]))};
  options.node = "test-node";
  options.shared_key = words["key"];
  options.user_name = words["user"];
  options.password = words["password"];
  if (words.count("ca") != 0) options.tls = runink::net::ClientTls{words["ca"], words["name"], "", ""};
  options.flush_nanos = 20'000'000;
  options.chunk_bytes = static_cast<size_t>(number(words, "chunk", 64 << 10));
  options.first_pause_nanos = 50'000'000;
  options.longest_pause_nanos = 200'000'000;
  options.answer_nanos = number(words, "answer-ms", 10'000) * 1'000'000;
  options.close_nanos = 100'000'000;
  auto forwarder = FluentdForwarder::start(options);
  if (!forwarder.ok()) {
    std::cerr << forwarder.status().to_string() << "\n";
    return 1;
  }
  std::string text;
  while (std::getline(std::cin, text)) {
    const size_t first = text.find(' '), second = text.find(' ', first + 1);
    runink::agent::LogLine line;
    line.unix_micros = runink::system_clock().unix_micros();
    line.text = text.substr(second + 1);
    (*forwarder)->offer({text.substr(first + 1, second - first - 1), text.substr(0, first)}, line);
  }
  const bool flushed = (*forwarder)->flush(number(words, "flush-ms", 30'000) * 1'000'000);
  const auto counters = (*forwarder)->counters();
  std::cout << fmt::format(R"({{"flushed":{},"acknowledged":{},"again":{},"failures":{},"buffered":{}}})", flushed,
                           counters.lines_acknowledged, counters.chunks_sent_again, counters.failures,
                           counters.buffered_lines)
            << "\n";
  return 0;
}
