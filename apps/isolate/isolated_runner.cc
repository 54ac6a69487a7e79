#include "isolate/isolated_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "client/local/compile_steps.h"
#include "data/engine/merge_reports.h"
#include "data/plan/parts.h"
#include "isolate/slice_host.h"
#include "isolate/stage.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/sandbox/host_facts.h"
#include "worker/slice/batch_stream.h"

namespace runink::isolate {
namespace {

constexpr int kTickMillis = 50;                      // how soon a request to stop is seen
constexpr int kDeferredTickMillis = 2;               // while an answer waits for a thread that is about to end
constexpr int64_t kStopNanos = 10'000'000'000;       // for stages to end once they were asked to
constexpr int64_t kFailedStopNanos = 2'000'000'000;  // … because another has failed

// By measurement (docs/internals/slice-engine.md).
constexpr slice::StreamKind kStream = slice::StreamKind::kRing;

struct Neighbours {
  std::vector<os::Fd> sender, receiver;  // what the part before is given, and the one behind
};

Result<Neighbours> make_neighbours() {
  Neighbours out;
  if constexpr (kStream == slice::StreamKind::kSocket) {
    slice::StreamPair pair = RUNINK_TRY(slice::make_stream_pair());
    out.sender.push_back(std::move(pair.sender));
    out.receiver.push_back(std::move(pair.receiver));
  } else {
    slice::Ring ring = RUNINK_TRY(slice::make_ring());
    out.sender.push_back(RUNINK_TRY(ring.memory.duplicate()));
    out.receiver.push_back(std::move(ring.memory));
    out.sender.push_back(std::move(ring.sender_life));
    out.receiver.push_back(std::move(ring.receiver_life));
  }
  return out;
}

bool uses_key(const expr::TypedExpr& expression) { return expression.valid() && expression.needs_key(); }

// Whether anything of the part computes with the project's key; a slice that does not is not given it.
bool needs_key(const plan::ScenarioPlan& scenario) {
  const auto any = [](const auto& list, auto of) {
    return std::any_of(list.begin(), list.end(), [&](const auto& item) { return uses_key(of(item)); });
  };
  const auto in_aggregates = [&](const std::vector<expr::AggregateSpec>& list) {
    return any(list, [](const auto& a) { return a.argument; });
  };
  for (const plan::Operator& op : scenario.operators) {
    bool needs = false;
    if (const auto* p = std::get_if<plan::Filter>(&op.parameters)) needs = uses_key(p->condition);
    if (const auto* p = std::get_if<plan::Derive>(&op.parameters))
      needs = any(p->items, [](const auto& i) { return i.value; });
    if (const auto* p = std::get_if<plan::Split>(&op.parameters))
      needs = any(p->branches, [](const auto& b) { return b.condition; });
    if (const auto* p = std::get_if<plan::Check>(&op.parameters))
      needs = any(p->contract->checks, [](const auto& c) { return c.expression; });
    if (const auto* p = std::get_if<plan::Join>(&op.parameters)) {
      const auto itself = [](const auto& e) { return e; };
      needs = any(p->probe_keys, itself) || any(p->build_keys, itself) || uses_key(p->residual);
    }
    if (const auto* p = std::get_if<plan::Group>(&op.parameters)) {
      const auto value = [](const auto& i) { return i.value; };
      needs = any(p->keys, value) || any(p->items, value) || in_aggregates(p->aggregates);
    }
    if (const auto* p = std::get_if<plan::Sink>(&op.parameters)) {
      needs = std::any_of(p->masks.begin(), p->masks.end(), [](const auto& mask) { return !mask.empty(); });
    }
    if (needs) return true;
  }
  for (const auto& quality : scenario.qualities) {
    if (uses_key(quality.expression.result) || in_aggregates(quality.expression.aggregates)) return true;
  }
  for (const auto& assertion : scenario.assertions) {
    if (uses_key(assertion.expression.result) || in_aggregates(assertion.expression.aggregates)) return true;
  }
  return false;
}

class IsolatedRun final : public local::ScenarioRun {
 public:
  IsolatedRun(local::ScenarioWork work, std::string runi_slice, SliceHost& host)
      : work_(std::move(work)),
        stop_(work_.execution.stop),
        parts_(plan::cut_into_parts(work_.scenario)),
        host_(host),
        scene_{work_, host_, stop_, std::move(runi_slice), outputs_} {}
  ~IsolatedRun() override {
    stop_relays();
    for (auto& stage : stages_) stage->kill();
    (void)wait([this] { return all(&Stage::over); });
    for (const std::string& path : sockets_) (void)os::remove_file(path);
  }

  // Until every stage has all it needs.
  Status prepare() {
    RUNINK_RETURN_IF_ERROR(start());
    RUNINK_RETURN_IF_ERROR(wait([this] { return failed() || all(&Stage::begun); }));
    return all(&Stage::begun) ? Status() : end();  // one alone goes on, and may have failed later than that
  }

  Status run() override {
    if (parts_.size() > 1) {
      for (auto& stage : stages_) stage->go();
    }
    RUNINK_RETURN_IF_ERROR(wait([this] { return failed() || all(&Stage::over); }));
    return end();
  }

  const engine::ExecutionReport& report() const override { return report_; }
  const engine::Progress& progress() const override { return progress_; }
  const std::map<std::string, std::string>& outputs() const override { return outputs_; }

 private:
  Status start() {
    const std::string digest = slice::plan_digest(work_.scenario);
    const uint64_t share = work_.execution.memory_budget_bytes / engine::row_holders(work_.scenario);
    std::vector<os::Fd> inlet;
    for (size_t i = 0; i < parts_.size(); ++i) {
      Neighbours edge;
      if (parts_[i].hands_on) edge = RUNINK_TRY(make_neighbours());
      slice::StageStart start;
      start.bundle = work_.bundle;
      start.scenario = work_.scenario.name;
      start.outputs = work_.outputs;
      start.part = static_cast<uint32_t>(i);
      start.parts = static_cast<uint32_t>(parts_.size());
      start.goes_on = parts_.size() == 1;
      start.inlet = parts_[i].begins ? kStream : slice::StreamKind::kNone;
      start.outlet = parts_[i].hands_on ? kStream : slice::StreamKind::kNone;
      start.threads = work_.execution.threads;
      start.memory_budget_bytes = share * engine::row_holders(parts_[i].scenario);
      start.sample_rows = work_.execution.sample_rows;
      start.chunk_bytes = work_.chunk_bytes;
      start.max_record_bytes = work_.max_record_bytes;
      start.now_micros = work_.execution.now_micros;
      if (needs_key(parts_[i].scenario)) start.key = work_.execution.key;
      start.reveal = work_.execution.reveal;
      std::vector<int> descriptors;
      for (const os::Fd& fd : inlet) descriptors.push_back(fd.get());
      for (const os::Fd& fd : edge.sender) descriptors.push_back(fd.get());
      const std::string stage = fmt::format("{}/stage-{}", work_.run_folder, i + 1);
      auto metrics = listen_at(stage + ".metrics");
      if ((start.metrics = metrics.ok())) descriptors.push_back(metrics->get());
      auto logs = os::open_file(stage + ".log.ndjson", os::OpenMode::kAppend, 0600);
      if ((start.logs = logs.ok())) descriptors.push_back(logs->get());
      stages_.push_back(std::make_unique<Stage>(scene_, parts_, i));
      RUNINK_RETURN_IF_ERROR(stages_.back()->start(start, descriptors, digest));
      inlet = std::move(edge.receiver);
    }
    return {};
  }

  // A stream socket that whoever may look into the run's folder can connect to. Without one (the path is too long for
  // the kernel, say) a stage has no metrics, and runs all the same.
  Result<os::Fd> listen_at(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return invalid_argument("{} is too long for a socket", path);
    path.copy(address.sun_path, path.size());
    os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), path);
    if (!socket.valid() || ::fchmod(socket.get(), 0600) != 0 ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), 8) != 0) {
      return from_errno(errno, "listen at " + path);
    }
    sockets_.push_back(path);
    return socket;
  }

  template <typename Is>
  bool all(Is is) const {
    return std::all_of(stages_.begin(), stages_.end(), [&](const auto& stage) { return ((*stage).*is)(); });
  }
  bool failed() const {
    return std::any_of(stages_.begin(), stages_.end(), [](const auto& stage) { return !stage->status().ok(); });
  }

  // Serves the stages until `enough()`, or the run is to stop and they have had their time for it.
  template <typename Enough>
  Status wait(Enough enough) {
    int64_t until = 0;  // when stages that were asked to stop are killed
    for (;;) {
      turn();
      if (enough()) return {};
      if (all(&Stage::over)) return {};
      if (!stop_.requested()) continue;
      if (until == 0) {
        until = os::monotonic_nanos() + kStopNanos;
        for (auto& stage : stages_) stage->ask_to_stop();
      } else if (os::monotonic_nanos() > until) {
        for (auto& stage : stages_) stage->kill();
      }
    }
  }

  // One turn of the event loop.
  void turn() {
    std::vector<pollfd> waiting;
    bool deferred = false;
    for (const auto& stage : stages_) {
      deferred = deferred || stage->waits_for_others();
      if (!stage->connected()) continue;
      waiting.push_back({stage->descriptor(), static_cast<short>(POLLIN | (stage->wants_to_write() ? POLLOUT : 0)), 0});
    }
    host_.add_descriptors(&waiting);
    (void)::poll(waiting.data(), waiting.size(), deferred ? kDeferredTickMillis : kTickMillis);
    for (auto& stage : stages_) stage->take_messages();
    while (auto ended = host_.next_ended()) {
      for (auto& stage : stages_) {
        if (stage->take_end(*ended)) break;
      }
    }
    for (auto& stage : stages_) stage->answer_deferred();
    count_progress();
  }

  void count_progress() {
    uint64_t rejected = 0;
    for (const auto& stage : stages_) rejected += stage->progress().rejected;
    if (stages_.empty()) return;
    const slice::StageProgress& first = stages_[0]->progress();  // the sources are there
    progress_.records = first.records;
    progress_.bytes_read = first.bytes_read;
    progress_.bytes_total = first.bytes_total;
    progress_.rejected = rejected;
  }

  // Ends what still runs, and says how it went.
  Status end() {
    if (failed()) stop_failed_run();
    Status status = cause();
    std::vector<engine::ExecutionReport> reports;
    for (auto& stage : stages_) reports.push_back(stage->take_report());
    Status letters;
    for (auto& stage : stages_) {
      if (Status written = stage->write_letters(); letters.ok()) letters = std::move(written);
    }
    if (status.ok()) status = std::move(letters);
    auto merged = engine::merge_reports(work_.scenario, parts_, std::move(reports), status.ok());
    if (merged.ok()) report_ = std::move(*merged);
    return status.ok() ? merged.status() : status;
  }

  // What waits in this process for bytes or for a reader.
  void stop_relays() {
    stop_.request();
    work_.io.stop();
  }

  void stop_failed_run() {
    const bool asked = stop_.requested();
    stop_relays();
    for (auto& stage : stages_) stage->ask_to_stop();
    const int64_t until = os::monotonic_nanos() + (asked ? kStopNanos : kFailedStopNanos);
    while (!all(&Stage::over)) {
      turn();
      if (os::monotonic_nanos() > until) {
        for (auto& stage : stages_) stage->kill();
      }
    }
  }

  // Of all that went wrong, the thing that explains the rest: that somebody stopped is a consequence.
  Status cause() const {
    const Status* seen = nullptr;
    const bool requested = work_.execution.stop != nullptr && work_.execution.stop->requested();
    for (const auto& stage : stages_) {
      const Status& status = stage->status();
      if (status.ok()) continue;
      // A stage that does not stop when it is asked to is killed.
      const bool consequence = status.kind() == "run.stopped" ||
                               (requested ? status.kind() == "slice.ended" : status.kind() == "run.interrupted");
      if (requested && status.kind() == "run.interrupted") return status;
      if (!consequence) return status;
      if (seen == nullptr) seen = &status;
    }
    if (seen != nullptr && requested) return cancelled("interrupted").with_kind("run.interrupted");
    return seen != nullptr ? *seen : Status();
  }

  local::ScenarioWork work_;
  StopFlag stop_;
  std::vector<std::string> sockets_;
  const std::vector<plan::Part> parts_;
  std::map<std::string, std::string> outputs_;
  engine::ExecutionReport report_;
  engine::Progress progress_;
  SliceHost& host_;
  Scene scene_;
  std::vector<std::unique_ptr<Stage>> stages_;
};

class IsolatedRunner final : public local::ScenarioRunner {
 public:
  IsolatedRunner(std::string runi_slice, std::function<void(const std::string&)> note)
      : runi_slice_(std::move(runi_slice)), note_(std::move(note)) {}
  bool wants_bundle() const override { return true; }
  bool limits_steps() const override { return sandbox::is_host_root(); }
  Result<std::unique_ptr<local::ScenarioRun>> prepare(local::ScenarioWork work) override {
    auto run = std::make_unique<IsolatedRun>(std::move(work), runi_slice_, host_);
    RUNINK_RETURN_IF_ERROR(run->prepare());
    if (!host_.missing().empty() && !noted_ && note_) {
      noted_ = true;
      note_("note: these slices are weaker than those that root starts: " + join(host_.missing(), "; ") +
            "; what @requires asks for does not limit them");
    }
    return std::unique_ptr<local::ScenarioRun>(std::move(run));
  }

 private:
  const std::string runi_slice_;
  const std::function<void(const std::string&)> note_;
  bool noted_ = false;
  SliceHost host_;  // one launcher for all scenarios of the run
};

}  // namespace

std::string why_no_slices() {
  static const std::string why = [] {
    SliceHost host;
    model::SliceSpec spec;
    spec.argv = {"true"};
    model::add_default_environment(&spec);
    const auto started = host.start(spec, {});
    return started.ok() ? std::string() : started.status().to_string();
  }();
  return why;
}

Result<std::unique_ptr<local::ScenarioRunner>> make_runner(std::function<void(const std::string&)> note,
                                                           std::string runi_slice) {
  if (runi_slice.empty()) runi_slice = RUNINK_TRY(local::find_runi_slice());
  return std::unique_ptr<local::ScenarioRunner>(
      std::make_unique<IsolatedRunner>(std::move(runi_slice), std::move(note)));
}

}  // namespace runink::isolate
