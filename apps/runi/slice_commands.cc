#include "slice_commands.h"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <utility>

#include "agent_access.h"
#include "base/clock.h"
#include "base/text.h"
#include "platform/os/process.h"
#include "worker/agent/agent_protocol.h"

namespace runink {
namespace {

using agent::AnswerType;
using agent::AskType;
using agent::SliceView;
using agent::Stage;

std::string user_name_of(uint32_t id) {
  const struct passwd* entry = ::getpwuid(id);
  return entry == nullptr ? std::to_string(id) : std::string(entry->pw_name);
}

// "exit code 3", "SIGKILL", and why, where it did not end by itself.
std::string result_of(agent::EndReason reason, const sandbox::SliceEnd& end) {
  const bool unknown = !end.exited && end.signal == 0;
  const std::string how = unknown      ? std::string("unknown")
                          : end.exited ? fmt::format("exit code {}", end.code)
                                       : os::signal_name(end.signal);
  if (reason == agent::EndReason::kItself) return how;
  return fmt::format("{}: {}", agent::reason_name(reason), how);
}

double seconds_between(int64_t from_micros, int64_t to_micros) {
  return static_cast<double>(std::max<int64_t>(to_micros - from_micros, 0)) / 1e6;
}

// How long it has run, or ran.
cli::Cell age_of(const SliceView& view) {
  const int64_t begin = view.started_micros != 0 ? view.started_micros : view.requested_micros;
  const int64_t end = view.ended_micros != 0 ? view.ended_micros : system_clock().unix_micros();
  return cli::Cell::seconds(seconds_between(begin, end));
}

template <typename Number>
cli::Cell bytes_or_none(const std::optional<Number>& bytes) {
  return bytes ? cli::Cell::bytes(*bytes) : cli::Cell();
}

cli::Table make_list() {
  cli::Table table({{.key = "id", .title = "ID"},
                    {.key = "herd", .title = "HERD"},
                    {.key = "state", .title = "STATE"},
                    {.key = "result", .title = "RESULT"},
                    {.key = "seconds", .title = "TIME"},
                    {.key = "cpu_seconds", .title = "CPU"},
                    {.key = "memory_bytes", .title = "MEMORY"},
                    {.key = "memory_peak_bytes", .title = "PEAK", .wide = true},
                    {.key = "user", .title = "USER", .wide = true},
                    {.key = "pid", .title = "PID", .wide = true},
                    {.key = "detached", .title = "DETACHED", .wide = true},
                    {.key = "start", .title = "START", .wide = true},
                    {.key = "started", .title = "STARTED", .wide = true},
                    {.key = "ended", .title = "ENDED", .wide = true},
                    {.key = "exit_code", .title = "CODE", .wide = true},
                    {.key = "signal", .title = "SIGNAL", .wide = true},
                    {.key = "reason", .title = "REASON", .wide = true},
                    {.key = "limits_hit", .title = "LIMITS", .wide = true},
                    {.key = "read_bytes", .title = "READ", .wide = true},
                    {.key = "written_bytes", .title = "WRITTEN", .wide = true},
                    {.key = "page_faults", .title = "FAULTS", .wide = true},
                    {.key = "major_page_faults", .title = "MAJOR", .wide = true},
                    {.key = "command", .title = "COMMAND"}});
  table.set_empty_note("no slices; start one with: runi exec --detach -- COMMAND");
  return table;
}

void add_to_list(const SliceView& view, cli::Table* table) {
  using cli::Cell;
  const bool ended = view.stage == Stage::kEnded;
  const sandbox::SliceEnd& end = view.end;
  const sandbox::SliceUsage& usage = end.usage;
  const double ended_cpu = static_cast<double>(usage.user_micros + usage.system_micros) / 1e6;
  const Cell cpu = ended ? Cell::seconds(ended_cpu) : view.cpu_seconds ? Cell::seconds(*view.cpu_seconds) : Cell();
  const auto& peak = ended ? usage.peak_memory_bytes : view.memory_peak_bytes;
  const bool signalled = ended && !end.exited && end.signal != 0;
  table->add({view.id,
              view.herd,
              std::string(agent::stage_name(view.stage)),
              ended ? Cell(result_of(view.reason, end)) : Cell(),
              age_of(view),
              cpu,
              bytes_or_none(ended ? peak : view.memory_bytes),
              bytes_or_none(peak),
              user_name_of(view.owner),
              view.pid == 0 ? Cell() : Cell(view.pid),
              view.detached,
              view.path,
              Cell::time(view.started_micros),
              Cell::time(view.ended_micros),
              ended && end.exited ? Cell(end.code) : Cell(),
              signalled ? Cell(end.signal) : Cell(),
              ended ? Cell(agent::reason_name(view.reason)) : Cell(),
              Cell::list(end.limits_hit),
              bytes_or_none(usage.io_read_bytes),
              bytes_or_none(usage.io_write_bytes),
              ended ? Cell::count(usage.minor_faults + usage.major_faults) : Cell(),
              ended ? Cell::count(usage.major_faults) : Cell(),
              view.command});
}

// Where a person reads, nothing steers his terminal; elsewhere bytes are what they were.
void print_line(cli::Console& console, const agent::LogLine& line, bool times) {
  const bool to_output = line.stream == agent::LogStream::kOutput;
  const bool terminal = to_output ? console.out_is_terminal() : console.err_is_terminal();
  std::string text = times ? format_utc(line.unix_micros) + " " : std::string();
  if (line.stream == agent::LogStream::kRunink) text += "runink: ";
  text += terminal ? escape_control(line.text, true) : line.text;
  if (!line.continues) text += '\n';
  if (to_output) {
    console.out(text);
  } else {
    console.err(text);
  }
}

}  // namespace

Result<int> run_slice_list(cli::Invocation& invocation) {
  agent::AgentClient agent = RUNINK_TRY(need_agent(invocation));
  const agent::ListAsk ask{.ended = invocation.enabled("all"), .id = invocation.text("ID")};
  const wire::Message message = RUNINK_TRY(agent.call(AskType::kList, encode(ask), AnswerType::kSlices));
  std::vector<SliceView> views = RUNINK_TRY(agent::decode_slices(message.body));
  std::sort(views.begin(), views.end(),
            [](const SliceView& a, const SliceView& b) { return a.requested_micros < b.requested_micros; });
  cli::Table table = make_list();
  for (const SliceView& view : views) add_to_list(view, &table);
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return cli::kExitDone;
}

Result<int> run_slice_logs(cli::Invocation& invocation) {
  agent::AgentClient agent = RUNINK_TRY(need_agent(invocation));
  agent::LogsAsk ask{.id = invocation.text("ID"), .follow = invocation.enabled("follow")};
  if (invocation.given("last")) {
    if (invocation.integer("last") < 0) return invocation.usage_error("--last cannot be negative");
    ask.last_lines = static_cast<uint64_t>(invocation.integer("last"));
  }
  RUNINK_RETURN_IF_ERROR(agent.ask(AskType::kLogs, encode(ask)));
  for (;;) {
    const auto message = RUNINK_TRY(agent.answer(-1));
    if (message->type == static_cast<uint16_t>(AnswerType::kLinesEnd)) return cli::kExitDone;
    if (message->type != static_cast<uint16_t>(AnswerType::kLines)) {
      return data_loss("the agent answered with a message of type {}, which was not asked for", message->type);
    }
    for (const agent::LogLine& line : RUNINK_TRY(agent::decode_lines(message->body))) {
      print_line(invocation.console(), line, invocation.enabled("times"));
    }
    RUNINK_RETURN_IF_ERROR(invocation.console().flush());
  }
}

Result<int> run_slice_metrics(cli::Invocation& invocation) {
  agent::AgentClient agent = RUNINK_TRY(need_agent(invocation));
  const wire::Message message = RUNINK_TRY(agent.call(AskType::kMetrics, invocation.text("ID"), AnswerType::kText));
  invocation.console().out(message.body);
  return cli::kExitDone;
}

Result<int> run_slice_kill(cli::Invocation& invocation) {
  agent::AgentClient agent = RUNINK_TRY(need_agent(invocation));
  std::optional<int64_t> grace;
  if (invocation.given("grace")) grace = invocation.duration_micros("grace");
  for (const std::string& id : invocation.texts("ID")) {
    RUNINK_RETURN_IF_ERROR(agent.ask(AskType::kEnd, encode(agent::EndAsk{.id = id, .grace_micros = grace})));
    const auto message = RUNINK_TRY(agent.answer(-1));
    if (message->type != static_cast<uint16_t>(AnswerType::kEnded)) {
      return data_loss("the agent answered with a message of type {}, which was not asked for", message->type);
    }
    const agent::EndedAnswer ended = RUNINK_TRY(agent::decode_ended_answer(message->body));
    invocation.console().say(fmt::format("slice {} has ended: {}", ended.id, result_of(ended.reason, ended.end)));
  }
  return cli::kExitDone;
}

Result<int> run_agent_status(cli::Invocation& invocation) {
  agent::AgentClient agent = RUNINK_TRY(need_agent(invocation));
  const wire::Message message = RUNINK_TRY(agent.call(AskType::kStatus, {}, AnswerType::kStatusRows));
  const agent::AgentStatus status = RUNINK_TRY(agent::decode_status_rows(message.body));
  if (invocation.output_form() == cli::OutputForm::kJson) {
    invocation.console().out(status.json + "\n");
    return cli::kExitDone;
  }
  std::vector<cli::Field> fields;
  for (const auto& [title, text] : status.rows) fields.push_back({title, title, cli::Cell(text)});
  RUNINK_RETURN_IF_ERROR(cli::render_fields(fields, invocation.output_form(), invocation.console()));
  return cli::kExitDone;
}

}  // namespace runink
