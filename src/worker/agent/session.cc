#include "worker/agent/session.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "worker/launcher/protocol.h"

namespace runink::agent {
namespace {

constexpr int kMessagesATurn = 16;
constexpr size_t kMostUnread = 64;  // answers that a caller leaves unread before it is cut off
constexpr size_t kLinesAtOnce = 256;
constexpr int64_t kLookForLinesNanos = 100'000'000;
constexpr int64_t kLogsFlushNanos = 200'000'000;
constexpr size_t kLeastPrefix = 3;  // of an id that is not written out

Status broken(std::string_view what) { return data_loss("a caller broke the protocol: {}", what); }

}  // namespace

std::unique_ptr<Session> Session::begin(SessionContext& context, os::Fd socket, const Caller& caller,
                                        std::function<void(Session*)> on_close) {
  std::unique_ptr<Session> session(new Session(context, std::move(socket), caller, std::move(on_close)));
  if (!context.loop.watch(session->channel_.descriptor(), net::EventLoop::kReadable, session.get()).ok()) {
    session->close();
  } else if (context.authority.role_of(caller) == Role::kNone) {
    session->refuse(context.authority.refusal(caller));
    session->close();
  } else {
    session->answer(AnswerType::kWelcome, encode(Welcome{.user = context.own_user, .is_operator = session->operator_}));
  }
  return session;
}

Session::Session(SessionContext& context, os::Fd socket, Caller caller, std::function<void(Session*)> on_close)
    : context_(context),
      channel_(std::move(socket)),
      caller_(std::move(caller)),
      operator_(context.authority.role_of(caller_) == Role::kOperator),
      on_close_(std::move(on_close)) {}

Session::~Session() {
  on_close_ = nullptr;
  close();
}

void Session::close() {
  if (std::exchange(closed_, true)) return;
  context_.loop.cancel(timer_);
  if (channel_.valid()) context_.loop.unwatch(channel_.descriptor());
  channel_.close();
  context_.slices.unwatch(this);
  if (doing_ == Doing::kExec && !detached_) context_.slices.kill(slice_, EndReason::kCallerGone);
  if (on_close_) on_close_(this);
}

void Session::on_io(unsigned events) {
  if ((events & net::EventLoop::kWritable) != 0 && !channel_.flush().ok()) return close();
  // Who leaves an answer unread is asked for nothing more, so that answers do not pile up.
  for (int i = 0; i < kMessagesATurn && !closed_ && !channel_.wants_to_write(); ++i) {
    auto message = channel_.receive();
    if (!message.ok()) return close();
    if (!*message) break;
    if (!handle(std::move(**message)).ok()) return close();
  }
  if (!closed_) update_interest();
}

void Session::update_interest() {
  if (channel_.queued() > kMostUnread) return close();
  if (channel_.wants_to_write() == writing_) return;
  writing_ = !writing_;
  context_.loop.set_interest(channel_.descriptor(), writing_ ? net::EventLoop::kWritable : net::EventLoop::kReadable);
}

void Session::answer(AnswerType type, std::string_view body, std::span<const int> descriptors) {
  if (closed_) return;
  if (!channel_.send(static_cast<uint16_t>(type), 0, body, descriptors).ok()) return close();
  update_interest();
}

void Session::refuse(const Status& why) { answer(AnswerType::kRefused, launcher::encode(why)); }

// An error of what was asked is an answer; one that is returned here ends the connection.
Status Session::handle(wire::Message message) {
  const auto type = static_cast<AskType>(message.type);
  if (doing_ == Doing::kNothing) {
    Status asked = ask(std::move(message));
    if (asked.code() == Code::kDataLoss) return asked;
    if (!asked.ok()) refuse(asked);
    return {};
  }
  if (doing_ != Doing::kExec || type != AskType::kSignal || detached_)
    return broken("it asks before it has its answer");
  context_.slices.signal(slice_, RUNINK_TRY(launcher::decode_signal(message.body)));
  return {};
}

Status Session::ask(wire::Message message) {
  switch (static_cast<AskType>(message.type)) {
    case AskType::kExec:
      return exec(std::move(message));
    case AskType::kSignal:
      return {};  // its slice has just ended
    case AskType::kList:
      return list(message.body);
    case AskType::kEnd:
      return end(message.body);
    case AskType::kLogs:
      return logs(message.body);
    case AskType::kMetrics:
      return metrics(message.body);
    case AskType::kStatus:
      answer(AnswerType::kStatusRows, encode(context_.status()));
      return {};
  }
  return broken("a question of an unknown type");
}

// ---- A slice ----

Status Session::exec(wire::Message message) {
  if (message.subject > kExecDetached) return broken("a flag that is unknown");
  SliceRequest request{.launch = RUNINK_TRY(launcher::decode_launch(message.body)),
                       .owner = caller_.user,
                       .detached = message.subject == kExecDetached,
                       .descriptors = std::move(message.descriptors)};
  const size_t streams = request.detached ? 0 : 3;
  if (request.descriptors.size() != streams + request.launch.program_descriptors ||
      request.launch.kept_descriptors != 0) {
    return broken("other descriptors than were announced");
  }
  model::SliceSpec& spec = request.launch.spec;
  Status allowed = context_.stopping ? unavailable("start a slice: the agent is about to stop") : model::validate(spec);
  if (allowed.ok() && request.detached && spec.terminal.has_value()) {
    allowed = invalid_argument("start a slice: one that runs on without its caller has no terminal");
  }
  if (allowed.ok()) allowed = context_.authority.confine(caller_, &spec);
  if (allowed.ok()) allowed = model::validate(spec);
  if (!allowed.ok()) {
    model::wipe_secrets(&spec);
    return allowed.code() == Code::kDataLoss ? std::move(allowed).with_context("start a slice") : allowed;
  }
  doing_ = Doing::kExec;
  detached_ = request.detached;
  std::string id = context_.slices.start(std::move(request), !operator_, this);
  if (doing_ == Doing::kExec) slice_ = std::move(id);
  return {};
}

void Session::on_started(const StartedAnswer& started, const os::Fd& control) {
  if (doing_ != Doing::kExec) return;
  slice_ = started.id;
  const int descriptors[] = {control.get()};
  answer(AnswerType::kStarted, encode(started),
         control.valid() ? std::span<const int>(descriptors) : std::span<const int>());
  if (!detached_ || closed_) return;
  context_.slices.unwatch(this);
  doing_ = Doing::kNothing;
}

void Session::on_refused(const Status& why) {
  if (doing_ != Doing::kExec) return;
  doing_ = Doing::kNothing;
  context_.slices.unwatch(this);
  refuse(why);
}

void Session::on_ended(const EndedAnswer& ended) {
  if (doing_ != Doing::kExec && doing_ != Doing::kWaitForEnd) return;
  doing_ = Doing::kNothing;
  context_.slices.unwatch(this);
  answer(AnswerType::kEnded, encode(ended));
}

// ---- Questions ----

bool Session::may_see(const SliceView& view) const { return operator_ || view.owner == caller_.user; }

// By its id, or by the beginning of it where no other begins so. What the caller may not see is not there.
Result<SliceView> Session::resolve(const std::string& id) const {
  std::optional<SliceView> exact = context_.slices.view(id);
  if (exact && may_see(*exact)) return std::move(*exact);
  std::optional<SliceView> found;
  if (id.size() >= kLeastPrefix) {
    for (SliceView& view : context_.slices.views(true)) {
      if (!view.id.starts_with(id) || !may_see(view)) continue;
      if (found) {
        return invalid_argument("slice {}: {} and {} begin so", escape_control(id), found->id, view.id)
            .with_hint("write more of it");
      }
      found = std::move(view);
    }
  }
  if (found) return std::move(*found);
  return not_found("there is no slice {}", escape_control(id))
      .with_hint(id.size() < kLeastPrefix
                     ? fmt::format("of an id at least the first {} characters are needed", kLeastPrefix)
                     : "runi slice list --all shows those there are");
}

Status Session::list(std::string_view body) {
  const ListAsk asked = RUNINK_TRY(decode_list_ask(body));
  std::vector<SliceView> views;
  if (!asked.id.empty()) {
    views.push_back(RUNINK_TRY(resolve(asked.id)));
  } else {
    for (SliceView& view : context_.slices.views(asked.ended)) {
      if (may_see(view)) views.push_back(std::move(view));
    }
  }
  for (SliceView& view : views) context_.add_usage(&view);
  answer(AnswerType::kSlices, encode(views));
  return {};
}

Status Session::end(std::string_view body) {
  const EndAsk asked = RUNINK_TRY(decode_end_ask(body));
  const SliceView view = RUNINK_TRY(resolve(asked.id));
  if (asked.grace_micros && (*asked.grace_micros < 0 || *asked.grace_micros > INT64_MAX / 1000)) {
    return invalid_argument("end slice {}: the grace cannot be negative", view.id);
  }
  if (context_.slices.over(view.id)) {
    answer(AnswerType::kEnded, encode(EndedAnswer{.id = view.id, .reason = view.reason, .end = view.end}));
    return {};
  }
  doing_ = Doing::kWaitForEnd;
  slice_ = view.id;
  context_.slices.watch(view.id, this);
  if (asked.grace_micros && *asked.grace_micros == 0) {
    context_.slices.kill(view.id, EndReason::kAsked);
  } else {
    const auto nanos = asked.grace_micros ? std::optional(*asked.grace_micros * 1000) : std::nullopt;
    context_.slices.end(view.id, EndReason::kAsked, nanos);
  }
  return {};
}

Status Session::metrics(const std::string& id) {
  if (id.empty() && !operator_) {
    return permission_denied("metrics of all slices are for operators of this agent").with_hint("name one of yours");
  }
  const std::string resolved = id.empty() ? std::string() : RUNINK_TRY(resolve(id)).id;
  answer(AnswerType::kText, RUNINK_TRY(context_.metrics(resolved)));
  return {};
}

Status Session::logs(std::string_view body) {
  logs_ask_ = RUNINK_TRY(decode_logs_ask(body));
  const SliceView view = RUNINK_TRY(resolve(logs_ask_.id));
  if (!view.detached) {
    return failed_precondition("slice {} has no log: what it writes goes to whoever started it", view.id)
        .with_hint("logs are kept of slices that were started with --detach");
  }
  slice_ = view.id;
  (void)context_.logs.flush(kLogsFlushNanos);
  auto reader = LogReader::open(context_.logs.folder_of(slice_), logs_ask_.last_lines);
  if (!reader.ok() && reader.status().code() != Code::kNotFound) return std::move(reader).status();
  reader_.reset();
  if (reader.ok()) reader_ = std::move(*reader);
  doing_ = Doing::kLogs;
  pump_logs();
  return {};
}

Result<size_t> Session::send_lines() {
  if (!reader_) {
    auto reader = LogReader::open(context_.logs.folder_of(slice_));
    if (!reader.ok() && reader.status().code() == Code::kNotFound) return size_t{0};
    reader_ = RUNINK_TRY(std::move(reader));
  }
  const std::vector<LogLine> lines = RUNINK_TRY(reader_->next(kLinesAtOnce));
  if (!lines.empty()) answer(AnswerType::kLines, encode(lines));
  return lines.size();
}

// A batch a turn, and the next once the caller has read this one.
void Session::pump_logs() {
  timer_ = 0;
  if (closed_) return;
  bool more = true;
  if (!channel_.wants_to_write()) {
    const bool over = context_.slices.over(slice_);
    if (over && logs_ask_.follow) (void)context_.logs.flush(kLogsFlushNanos);
    const auto sent = send_lines();
    if (closed_) return;
    if (!sent.ok()) {
      doing_ = Doing::kNothing;
      return refuse(sent.status());
    }
    more = *sent > 0;
    if (!more && (!logs_ask_.follow || over)) {
      doing_ = Doing::kNothing;
      reader_.reset();
      return answer(AnswerType::kLinesEnd, {});
    }
  }
  const bool at_once = more && !channel_.wants_to_write();
  timer_ = context_.loop.call_after(at_once ? 0 : kLookForLinesNanos, [this] { pump_logs(); });
}

}  // namespace runink::agent
