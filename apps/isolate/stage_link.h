// A stage's connection to the runner, from inside its slice: questions and answers, for any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "isolate/parked_thread.h"
#include "platform/os/fd.h"
#include "worker/slice/stage_protocol.h"
#include "worker/wire/framing.h"

namespace runink::isolate {

struct Answered {
  slice::StageAnswer answer;  // its status is OK
  std::vector<os::Fd> descriptors;
};

// Any thread, several at once. Until listen(), who waits for something reads what comes; then a thread of this object
// does, which costs every answer two changes of threads, but hears the runner at any time.
class StageLink {
 public:
  // `stop` is requested when the runner asks for that. Once the runner has gone, the process ends: nothing that it
  // could still do would be of use to anybody.
  StageLink(os::Fd socket, StopFlag* stop);
  ~StageLink();

  // The next message; waits. Before listen() only.
  Result<wire::Message> next();
  // Besides, the thread calls `tell` every so often, until stop_telling() has returned.
  void listen(std::chrono::milliseconds every, std::function<void()> tell);
  void stop_telling();
  // Waits for kGo, or for a request to stop (then false). Before listen() only.
  bool wait_for_go();

  // Waits until the runner has taken it.
  Status send(slice::StageMessage message, uint64_t subject, std::string_view body);
  // Waits for the answer, which may have come unasked. The runner's refusal is the error; fewer descriptors than
  // `descriptors` are kDataLoss.
  Result<Answered> ask(const slice::StageAsk& ask, size_t descriptors = 0);

  // Of a step that the runner has started: readable once it has ended, and how.
  Result<int> step_end_descriptor(uint64_t step);
  std::optional<slice::StepEnd> step_end(uint64_t step);
  // Waits at most `millis`.
  std::optional<slice::StepEnd> wait_for_step(uint64_t step, int millis);

 private:
  struct Step {
    os::Fd ended;  // an eventfd
    std::optional<slice::StepEnd> end;
  };
  struct Question {
    bool answered = false;
    wire::Message message;
  };
  void read();
  void take(wire::Message message);
  // `lock` is of mutex_; `done` is asked with it held.
  void wait(std::unique_lock<std::mutex>* lock, const std::function<bool()>& done);
  Result<Step*> step(uint64_t number);  // with mutex_ held
  // Waits until all such answers are there; nullopt: to this there is none.
  std::optional<wire::Message> answer_unasked(slice::Ask what, uint32_t op);
  Result<wire::Message> question(const slice::StageAsk& ask);

  const int descriptor_;  // of the channel, for poll
  StopFlag* stop_;
  std::mutex channel_mutex_;
  wire::Channel channel_;
  std::mutex mutex_;  // what follows
  std::condition_variable changed_;
  std::map<uint64_t, Question> questions_;
  std::map<uint64_t, Step> steps_;
  uint64_t last_question_ = 0;
  bool go_ = false, answers_sent_ = false;
  std::atomic<bool> ending_{false};
  std::mutex reading_;  // before listen(): held by who reads
  std::atomic<bool> listening_{false};
  std::chrono::milliseconds tell_every_{};
  std::mutex telling_;  // held by who tells
  std::function<void()> tell_;
  os::Fd wake_;  // ends the thread
  ParkedThread thread_;
};

}  // namespace runink::isolate
