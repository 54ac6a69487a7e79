// One stage of a scenario while its slice runs, as the runner has it: what it asks is answered, what it says is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "client/local/scenario_runner.h"
#include "data/engine/letter_queue.h"
#include "data/plan/parts.h"
#include "isolate/relay.h"
#include "isolate/slice_host.h"
#include "worker/slice/letter_stream.h"
#include "worker/slice/stage_protocol.h"
#include "worker/wire/framing.h"

namespace runink::isolate {

// What all stages of a scenario share. Outlives them.
struct Scene {
  local::ScenarioWork& work;
  SliceHost& host;
  const StopFlag& stop;  // requested by the user, or since another stage has failed
  std::string runi_slice;
  std::map<std::string, std::string>& outputs;  // spill files of Output operators, by name
};

class Stage {
 public:
  // `number`: which of `parts`; both outlive it.
  Stage(Scene& scene, const std::vector<plan::Part>& parts, size_t number);
  ~Stage();

  // Starts its slice and sends the work. `descriptors`: of its inlet, then of its outlet.
  // `plan_digest`: of the scenario; the stage's own has to be the same at its end.
  Status start(const slice::StageStart& work, const std::vector<int>& descriptors, std::string plan_digest);

  // The event loop's part: what it waits for, and what is done then.
  int descriptor() const { return channel_.descriptor(); }
  bool connected() const { return channel_.valid(); }
  bool wants_to_write() const { return channel_.wants_to_write(); }
  bool waits_for_others() const { return !deferred_.empty(); }  // answers that are not known yet
  void take_messages();
  void answer_deferred();
  // A slice has ended; false where it is none of this stage's.
  bool take_end(SliceHost::Ended& ended);

  bool begun() const { return begun_; }
  bool over() const { return over_ || slice_ == 0; }  // it has no slice any more
  void go();
  void ask_to_stop();
  void kill();

  // Once over(): how it ended; and what it told of its work.
  const Status& status() const { return end_.status; }
  engine::ExecutionReport take_report();
  const slice::StageProgress& progress() const { return progress_; }
  // Of a stage that is not the first: its letters, which were kept until it is their turn.
  Status write_letters();

 private:
  struct Input {
    std::vector<std::string> names;
    connectors::Locator locator;
    uint64_t next = 0;
    std::map<uint64_t, std::unique_ptr<InputRelay>> relays;
  };
  struct Sink {
    std::unique_ptr<connectors::OutputFile> file;  // published with the run's others
    std::unique_ptr<OutputRelay> relay;            // else
    bool ended = false;                            // the stage has said that it wrote all
  };
  struct Step {
    uint64_t slice = 0;
    plan::OperatorId op = 0;
    std::unique_ptr<local::LastWords> words;
    connectors::ProgramWords words_go_to;
    std::optional<Result<sandbox::SliceEnd>> end;
  };
  struct Deferred {
    uint64_t question = 0;
    std::function<std::optional<slice::StageAnswer>()> look;
  };

  void take(wire::Message message);
  void fail(Status status);
  void end_of_work(wire::Message message);
  Status check_complete() const;
  Status take_letters(std::string_view piece);
  Status take_letter(uint32_t op, engine::RejectedRecord record);
  Status take_samples(std::string_view body);

  void answer_unasked();
  void answer(uint64_t question, slice::StageAnswer answer, const std::vector<int>& descriptors = {});
  Status take_question(const wire::Message& message);
  // Each answers, or says why not.
  Status open_inputs(uint64_t question, const plan::Operator& op);
  Status open_input(uint64_t question, const plan::Operator& op, uint64_t number);
  Status end_input(uint64_t question, const plan::Operator& op, uint64_t number);
  Status open_sink(uint64_t question, const plan::Operator& op);
  Status end_sink(uint64_t question, const plan::Operator& op, const slice::StageAsk& ask);
  Status open_output(uint64_t question, const plan::Operator& op);
  Status start_step(uint64_t question, const plan::Operator& op);
  Status about_step(uint64_t question, const slice::StageAsk& ask);
  // The operator of this part that it asks about, if it is a T.
  template <typename T>
  Result<const plan::Operator*> own(uint32_t id) const;
  Status ended_badly(const Result<sandbox::SliceEnd>& end);

  Scene& scene_;
  const plan::Part& part_;
  const size_t number_;
  const bool alone_;
  const std::string name_;  // for messages
  wire::Channel channel_;
  uint64_t slice_ = 0;
  std::unique_ptr<local::LastWords> words_;
  bool begun_ = false, reported_ = false, over_ = false;
  slice::StageEnd end_;
  std::string plan_digest_;
  slice::StageProgress progress_;
  std::map<uint32_t, std::vector<std::string>> samples_;
  slice::LetterReader letters_;
  engine::LetterQueue kept_letters_;
  uint32_t sources_ = 0;
  std::map<plan::OperatorId, Input> inputs_;
  std::map<plan::OperatorId, Sink> sinks_;
  std::map<uint64_t, Step> steps_;
  std::vector<Deferred> deferred_;
};

}  // namespace runink::isolate
