#include "worker/agent/agent_protocol.h"

#include <unistd.h>

#include <cstdlib>

#include "worker/wire/codec.h"

// In the namespaces of the types, where a look-up by arguments finds them.
namespace runink::sandbox {

template <typename Archive>
static void visit(Archive& archive, SliceUsage& usage) {
  auto& [user, system, peak, read, written, minor, major] = usage;
  archive(user, system, peak, read, written, minor, major);
}

template <typename Archive>
static void visit(Archive& archive, SliceEnd& end) {
  auto& [exited, code, signal, timed_out, limits_hit, usage, at] = end;
  archive(exited, code, signal, timed_out, limits_hit, usage, at);
}

}  // namespace runink::sandbox

namespace runink::agent {

static constexpr Stage last_of(Stage) { return Stage::kRefused; }
static constexpr EndReason last_of(EndReason) { return EndReason::kHostRestarted; }
static constexpr LogStream last_of(LogStream) { return LogStream::kRunink; }

template <typename Archive>
static void visit(Archive& archive, Welcome& welcome) {
  auto& [version, user, is_operator] = welcome;
  archive(version, user, is_operator);
}

template <typename Archive>
static void visit(Archive& archive, StartedAnswer& answer) {
  auto& [id, path] = answer;
  archive(id, path);
}

template <typename Archive>
static void visit(Archive& archive, EndedAnswer& answer) {
  auto& [id, reason, end] = answer;
  archive(id, reason, end);
}

template <typename Archive>
static void visit(Archive& archive, ListAsk& ask) {
  auto& [ended, id] = ask;
  archive(ended, id);
}

template <typename Archive>
static void visit(Archive& archive, SliceView& view) {
  auto& [id, herd, command, path, group, owner, detached, stage, reason, pid, requested, started, ended, cpu, memory,
         peak, end] = view;
  archive(id, herd, command, path, group, owner, detached, stage, reason, pid, requested, started, ended, cpu, memory,
          peak, end);
}

template <typename Archive>
static void visit(Archive& archive, EndAsk& ask) {
  auto& [id, grace] = ask;
  archive(id, grace);
}

template <typename Archive>
static void visit(Archive& archive, LogsAsk& ask) {
  auto& [id, follow, last_lines] = ask;
  archive(id, follow, last_lines);
}

template <typename Archive>
static void visit(Archive& archive, LogLine& line) {
  auto& [micros, stream, text, continues, dropped_lines, dropped_bytes] = line;
  archive(micros, stream, text, continues, dropped_lines, dropped_bytes);
}

template <typename Archive>
static void visit(Archive& archive, AgentStatus& status) {
  auto& [rows, json] = status;
  archive(rows, json);
}

using wire::decode_value;
using wire::encode_value;

std::string encode(const Welcome& welcome) { return encode_value(welcome); }
std::string encode(const StartedAnswer& answer) { return encode_value(answer); }
std::string encode(const EndedAnswer& answer) { return encode_value(answer); }
std::string encode(const ListAsk& ask) { return encode_value(ask); }
std::string encode(const std::vector<SliceView>& slices) { return encode_value(slices); }
std::string encode(const EndAsk& ask) { return encode_value(ask); }
std::string encode(const LogsAsk& ask) { return encode_value(ask); }
std::string encode(const std::vector<LogLine>& lines) { return encode_value(lines); }
std::string encode(const AgentStatus& status) { return encode_value(status); }

Result<Welcome> decode_welcome(std::string_view body) { return decode_value<Welcome>(body, "an agent's greeting"); }
Result<StartedAnswer> decode_started_answer(std::string_view body) {
  return decode_value<StartedAnswer>(body, "the start of a slice");
}
Result<EndedAnswer> decode_ended_answer(std::string_view body) {
  return decode_value<EndedAnswer>(body, "the end of a slice");
}
Result<ListAsk> decode_list_ask(std::string_view body) { return decode_value<ListAsk>(body, "a request for slices"); }
Result<std::vector<SliceView>> decode_slices(std::string_view body) {
  return decode_value<std::vector<SliceView>>(body, "a list of slices");
}
Result<EndAsk> decode_end_ask(std::string_view body) { return decode_value<EndAsk>(body, "a request to end a slice"); }
Result<LogsAsk> decode_logs_ask(std::string_view body) { return decode_value<LogsAsk>(body, "a request for a log"); }
Result<std::vector<LogLine>> decode_lines(std::string_view body) {
  return decode_value<std::vector<LogLine>>(body, "lines of a log");
}
Result<AgentStatus> decode_status_rows(std::string_view body) {
  return decode_value<AgentStatus>(body, "an agent's status");
}

std::string own_socket_path() {
  if (::geteuid() == 0) return kRootSocketPath;
  const char* folder = std::getenv("XDG_RUNTIME_DIR");
  return folder == nullptr || folder[0] != '/' ? std::string() : std::string(folder) + "/runink/agent.sock";
}

}  // namespace runink::agent
