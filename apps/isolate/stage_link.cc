#include "isolate/stage_link.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace runink::isolate {

using slice::StageMessage;

namespace {

constexpr int kRunnerGone = 1;  // exit code; nobody is left to see it
constexpr int kStopMillis = 100;

os::Fd make_event() { return os::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "event"); }

void signal_event(const os::Fd& event) {
  const uint64_t one = 1;
  const ssize_t ignored = ::write(event.get(), &one, sizeof one);
  (void)ignored;
}

}  // namespace

StageLink::StageLink(os::Fd socket, StopFlag* stop)
    : descriptor_(socket.get()), stop_(stop), channel_(std::move(socket)), wake_(make_event()) {}

StageLink::~StageLink() {
  ending_ = true;
  signal_event(wake_);
  thread_.join();
}

Result<wire::Message> StageLink::next() {
  for (;;) {
    std::optional<wire::Message> message = RUNINK_TRY(channel_.receive_within(-1));
    if (message) return std::move(*message);
  }
}

void StageLink::listen(std::chrono::milliseconds every, std::function<void()> tell) {
  listening_ = true;
  tell_every_ = every;
  tell_ = std::move(tell);
  thread_.start([this] { read(); });
}

void StageLink::stop_telling() {
  std::lock_guard lock(telling_);
  tell_ = nullptr;
}

void StageLink::read() {
  using Clock = std::chrono::steady_clock;
  Clock::time_point due = Clock::now() + tell_every_;
  while (!ending_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    pollfd waiting[2] = {{descriptor_, POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (::poll(waiting, 2, std::max(0, static_cast<int>(left.count()))) < 0 && errno != EINTR) ::_exit(kRunnerGone);
    if (Clock::now() >= due) {
      due = Clock::now() + tell_every_;
      std::lock_guard lock(telling_);
      if (tell_) tell_();
    }
    if (waiting[0].revents == 0) continue;
    for (;;) {
      Result<std::optional<wire::Message>> message = std::optional<wire::Message>();
      {
        std::lock_guard lock(channel_mutex_);
        message = channel_.receive();
      }
      if (!message.ok()) ::_exit(kRunnerGone);
      if (!message->has_value()) break;
      take(std::move(**message));
    }
  }
}

void StageLink::take(wire::Message message) {
  std::lock_guard lock(mutex_);
  switch (static_cast<StageMessage>(message.type)) {
    case StageMessage::kAnswer: {
      auto found = questions_.find(message.subject);
      if (found == questions_.end()) {
        if (answers_sent_) return;
        found = questions_.emplace(message.subject, Question()).first;
      }
      found->second.answered = true;
      found->second.message = std::move(message);
      break;
    }
    case StageMessage::kStop:
      stop_->request();
      break;
    case StageMessage::kGo:
      go_ = true;
      break;
    case StageMessage::kAnswersSent:
      answers_sent_ = true;
      break;
    case StageMessage::kStepEnded: {
      auto end = slice::decode_step_end(message.body);
      auto at = step(message.subject);
      if (!end.ok() || !at.ok()) return;
      (*at)->end = *end;
      signal_event((*at)->ended);
      break;
    }
    default:
      return;
  }
  changed_.notify_all();
}

void StageLink::wait(std::unique_lock<std::mutex>* lock, const std::function<bool()>& done) {
  if (listening_) return changed_.wait(*lock, done);
  lock->unlock();
  std::lock_guard reader(reading_);
  lock->lock();
  while (!done()) {
    lock->unlock();
    auto message = next();
    if (!message.ok()) ::_exit(kRunnerGone);
    take(std::move(*message));
    lock->lock();
  }
}

bool StageLink::wait_for_go() {
  std::unique_lock lock(mutex_);
  wait(&lock, [this] { return go_ || stop_->requested(); });
  return go_;
}

Status StageLink::send(StageMessage message, uint64_t subject, std::string_view body) {
  std::unique_lock lock(channel_mutex_);
  RUNINK_RETURN_IF_ERROR(channel_.send(static_cast<uint16_t>(message), subject, body));
  while (channel_.wants_to_write()) {
    // Whoever answers must be heard meanwhile.
    lock.unlock();
    pollfd waiting = {descriptor_, POLLOUT, 0};
    (void)::poll(&waiting, 1, kStopMillis);
    lock.lock();
    RUNINK_RETURN_IF_ERROR(channel_.flush());
  }
  return {};
}

std::optional<wire::Message> StageLink::answer_unasked(slice::Ask what, uint32_t op) {
  std::unique_lock lock(mutex_);
  wait(&lock, [this] { return answers_sent_; });
  auto found = questions_.extract(slice::number_unasked(what, op));
  return found.empty() ? std::nullopt : std::optional(std::move(found.mapped().message));
}

Result<wire::Message> StageLink::question(const slice::StageAsk& ask) {
  uint64_t number = 0;
  {
    std::lock_guard lock(mutex_);
    number = ++last_question_;
    questions_[number];
  }
  Status sent = send(StageMessage::kAsk, number, encode(ask));
  std::unique_lock lock(mutex_);
  if (sent.ok()) wait(&lock, [&] { return questions_[number].answered; });
  wire::Message message = std::move(questions_[number].message);
  questions_.erase(number);
  RUNINK_RETURN_IF_ERROR(std::move(sent));
  return message;
}

Result<Answered> StageLink::ask(const slice::StageAsk& ask, size_t descriptors) {
  std::optional<wire::Message> message = answer_unasked(ask.what, ask.op);
  if (!message) message = RUNINK_TRY(question(ask));
  Answered out;
  out.answer = RUNINK_TRY(slice::decode_answer(message->body));
  RUNINK_RETURN_IF_ERROR(std::move(out.answer.status));
  if (message->descriptors.size() < descriptors) {
    return data_loss("the runner's answer has {} descriptors instead of {}", message->descriptors.size(), descriptors);
  }
  out.descriptors = std::move(message->descriptors);
  return out;
}

Result<StageLink::Step*> StageLink::step(uint64_t number) {
  Step& at = steps_[number];
  if (!at.ended.valid()) at.ended = make_event();
  if (!at.ended.valid()) return from_errno(errno, "make an event");
  return &at;
}

Result<int> StageLink::step_end_descriptor(uint64_t number) {
  std::lock_guard lock(mutex_);
  return RUNINK_TRY(step(number))->ended.get();
}

std::optional<slice::StepEnd> StageLink::step_end(uint64_t number) {
  std::lock_guard lock(mutex_);
  return steps_[number].end;
}

std::optional<slice::StepEnd> StageLink::wait_for_step(uint64_t number, int millis) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(millis), [&] { return steps_[number].end.has_value(); });
  return steps_[number].end;
}

}  // namespace runink::isolate
