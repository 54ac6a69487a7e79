// What is said at an agent's socket: between `runi exec`, `runi slice` and `runi agent status`, and the agent. Messages
// are framed as the launcher's are (worker/wire/framing.h).
//
//   caller → agent   kExec kSignal kKill kList kEnd kLogs kMetrics kStatus
//   agent → caller   kWelcome, or kRefused and the end; then answers
//
// A connection asks for one slice with kExec, and is then that slice's; or it asks questions, one after the other. The
// answer to each is the one that stands beside it below, or kRefused with the whole Status.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "worker/agent/lifecycle.h"
#include "worker/agent/log_record.h"
#include "worker/sandbox/slice_end.h"

namespace runink::agent {

inline constexpr uint32_t kAgentProtocolVersion = 1;

enum class AskType : uint16_t {
  // launcher::LaunchRequest; subject: ExecFlags. Descriptors: 0, 1, 2 (not of a detached slice), then the program's
  // others. Answers: kStarted or kRefused, and, unless it is detached, kEnded.
  kExec = 1,
  kSignal = 2,   // launcher::encode_signal: to this connection's slice, as from its terminal. No answer
  kList = 3,     // ListAsk; kSlices
  kEnd = 4,      // EndAsk; kEnded once it has
  kLogs = 5,     // LogsAsk; kLines, any number of times, and kLinesEnd
  kMetrics = 6,  // the id of a slice, or nothing; kText
  kStatus = 7,   // kStatusRows
};

enum class AnswerType : uint16_t {
  kWelcome = 101,     // Welcome: the first message of a connection
  kRefused = 102,     // launcher::encode(Status)
  kStarted = 103,     // StartedAnswer; descriptors: the control channel of an engine
  kEnded = 104,       // EndedAnswer
  kSlices = 105,      // std::vector<SliceView>
  kLines = 106,       // std::vector<LogLine>
  kLinesEnd = 107,    // no more will come
  kText = 108,        // as it is
  kStatusRows = 109,  // AgentStatus
};

// The subject of kExec.
inline constexpr uint64_t kExecDetached = 1;

// Kind of the error of a caller whom the agent does not serve.
inline constexpr const char* kKindNotServed = "agent.not-served";

struct Welcome {
  uint32_t version = kAgentProtocolVersion;
  uint32_t user = 0;         // whom the agent runs as
  bool is_operator = false;  // the caller may do everything; else what concerns his own slices
};

struct StartedAnswer {
  std::string id;
  std::string path;  // "parked", "recycled", "cold"
};

struct EndedAnswer {
  std::string id;
  EndReason reason = EndReason::kItself;
  sandbox::SliceEnd end;
};

struct ListAsk {
  bool ended = false;  // also those that have ended
  std::string id;      // only this one; "": all that the caller may see
};

// One line of `runi slice list`.
struct SliceView {
  std::string id, herd, command, path;
  std::string group;  // its control group, "herd/slice"; empty without
  uint32_t owner = 0;
  bool detached = false;
  Stage stage = Stage::kRequested;
  EndReason reason = EndReason::kItself;
  int64_t pid = 0;  // of process 1, on the host; 0: none
  // Wall clock, microseconds; 0: not yet.
  int64_t requested_micros = 0, started_micros = 0, ended_micros = 0;
  // Now, of one that runs; in all, of one that has ended.
  std::optional<double> cpu_seconds;
  std::optional<uint64_t> memory_bytes, memory_peak_bytes;
  sandbox::SliceEnd end;
};

struct EndAsk {
  std::string id;
  std::optional<int64_t> grace_micros;  // absent: the slice's own
};

struct LogsAsk {
  std::string id;
  bool follow = false;                 // until the slice has ended
  std::optional<uint64_t> last_lines;  // begin so many lines before the end
};

struct AgentStatus {
  std::vector<std::pair<std::string, std::string>> rows;  // for people: title and text
  std::string json;                                       // an object, for programs
};

std::string encode(const Welcome& welcome);
std::string encode(const StartedAnswer& answer);
std::string encode(const EndedAnswer& answer);
std::string encode(const ListAsk& ask);
std::string encode(const std::vector<SliceView>& slices);
std::string encode(const EndAsk& ask);
std::string encode(const LogsAsk& ask);
std::string encode(const std::vector<LogLine>& lines);
std::string encode(const AgentStatus& status);

// kDataLoss for what is no such value.
Result<Welcome> decode_welcome(std::string_view body);
Result<StartedAnswer> decode_started_answer(std::string_view body);
Result<EndedAnswer> decode_ended_answer(std::string_view body);
Result<ListAsk> decode_list_ask(std::string_view body);
Result<std::vector<SliceView>> decode_slices(std::string_view body);
Result<EndAsk> decode_end_ask(std::string_view body);
Result<LogsAsk> decode_logs_ask(std::string_view body);
Result<std::vector<LogLine>> decode_lines(std::string_view body);
Result<AgentStatus> decode_status_rows(std::string_view body);

// Where the agent of this user listens: /run/runink/agent.sock (root), $XDG_RUNTIME_DIR/runink/agent.sock; "" where the
// user has no such folder.
std::string own_socket_path();
inline constexpr const char* kRootSocketPath = "/run/runink/agent.sock";

}  // namespace runink::agent
