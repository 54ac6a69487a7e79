#include "isolate/stage_program.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "base/text.h"
#include "client/local/local_io.h"
#include "client/local/scenario_runner.h"
#include "client/local/version.h"
#include "data/columnar/spill.h"
#include "data/dsl/bundle.h"
#include "data/engine/execution.h"
#include "data/plan/parts.h"
#include "isolate/remote_openings.h"
#include "isolate/stage_link.h"
#include "isolate/warm_up.h"
#include "platform/os/signals.h"
#include "platform/os/spill_opener.h"
#include "platform/telemetry/log.h"
#include "platform/telemetry/machine_stats.h"
#include "platform/telemetry/metrics.h"
#include "worker/slice/batch_stream.h"
#include "worker/slice/letter_stream.h"
#include "worker/slice/metrics_endpoint.h"

namespace runink::isolate {

using slice::StageMessage;

namespace {

constexpr auto kTellEvery = std::chrono::milliseconds(200);
constexpr size_t kLetterPiece = 30 << 10;  // fits one packet
constexpr size_t kSampleBytes = 1 << 20;   // of a message of samples

// The rows of the part before, a batch at a time: a row does not wait for those that follow.
class NeighbourSource final : public engine::BatchSource {
 public:
  explicit NeighbourSource(std::unique_ptr<slice::BatchReceiver> rows) : rows_(std::move(rows)) {}
  Result<std::optional<engine::Morsel>> next() override {
    auto batch = RUNINK_TRY(rows_->receive());
    if (!batch) return std::optional<engine::Morsel>();
    engine::Morsel morsel;
    morsel.batches.push_back(std::move(*batch));
    return std::optional<engine::Morsel>(std::move(morsel));
  }
  Result<std::unique_ptr<engine::MorselReader>> make_reader() override {
    struct Reader final : engine::MorselReader {
      Result<engine::ReadReport> read(const engine::Morsel& morsel,
                                      const std::function<Status(columnar::Batch&&)>& emit) override {
        engine::ReadReport report;
        for (const columnar::Batch& batch : morsel.batches) {
          report.records += static_cast<uint64_t>(batch.rows);
          RUNINK_RETURN_IF_ERROR(emit(columnar::Batch(batch)));
        }
        return report;
      }
    };
    return std::unique_ptr<engine::MorselReader>(std::make_unique<Reader>());
  }

 private:
  std::unique_ptr<slice::BatchReceiver> rows_;
};

class NeighbourSink final : public engine::RowsSink {
 public:
  explicit NeighbourSink(std::unique_ptr<slice::BatchSender> rows) : rows_(std::move(rows)) {}
  Status write(const columnar::Batch& batch) override { return rows_->send(batch); }
  Status finish() override { return rows_->finish(); }

 private:
  std::unique_ptr<slice::BatchSender> rows_;
};

// Rows kept for another scenario, in a file that the runner keeps.
class KeptRows final : public engine::RowsSink {
 public:
  KeptRows(os::Fd file, columnar::SchemaPtr schema) : file_(std::move(file)), writer_(file_.get(), std::move(schema)) {}
  Status write(const columnar::Batch& batch) override { return writer_.write(batch); }
  Status finish() override { return writer_.flush(); }

 private:
  os::Fd file_;
  columnar::SpillWriter writer_;
};

// Everything that the engine asks of the world, from inside.
class StageIo final : public engine::IoFactory {
 public:
  StageIo(const plan::Part& part, local::LocalIo& local, RemoteOpenings& openings, const StopFlag& stop)
      : part_(part), local_(local), openings_(openings), stop_(stop) {}

  // Its own of those that came with the work, which lose them.
  Status take_streams(const slice::StageStart& start, std::vector<os::Fd>& descriptors) {
    size_t at = 0;
    const auto take = [&](slice::StreamKind kind, std::vector<os::Fd>* into) {
      const size_t count = kind == slice::StreamKind::kNone ? 0 : kind == slice::StreamKind::kSocket ? 1 : 2;
      for (size_t i = 0; i < count && at < descriptors.size(); ++i) into->push_back(std::move(descriptors[at++]));
      return into->size() == count;
    };
    const bool whole = take(start.inlet, &inlet_) && take(start.outlet, &outlet_);
    descriptors.erase(descriptors.begin(), descriptors.begin() + static_cast<std::ptrdiff_t>(at));
    const bool fits = (start.inlet != slice::StreamKind::kNone) == part_.begins.has_value() &&
                      (start.outlet != slice::StreamKind::kNone) == part_.hands_on.has_value();
    return whole && fits ? Status() : data_loss("the streams of a stage are not those of its plan");
  }

  Result<std::unique_ptr<engine::BatchSource>> open_source(const plan::Operator& op,
                                                           const std::vector<bool>& needed) override {
    if (part_.begins != op.id) return local_.open_source(op, needed);
    std::unique_ptr<slice::BatchReceiver> rows;
    if (inlet_.size() == 2) {
      rows = RUNINK_TRY(slice::make_ring_receiver(inlet_[0], std::move(inlet_[1]), op.schema, &stop_));
    } else {
      rows = slice::make_socket_receiver(std::move(inlet_[0]), op.schema, &stop_);
    }
    return std::unique_ptr<engine::BatchSource>(std::make_unique<NeighbourSource>(std::move(rows)));
  }
  Result<std::unique_ptr<engine::BatchSink>> open_sink(const plan::Operator& op,
                                                       const columnar::SchemaPtr& input) override {
    return local_.open_sink(op, input);
  }
  Result<std::unique_ptr<engine::StepProcess>> start_step(const plan::Operator& op,
                                                          const columnar::SchemaPtr& input) override {
    return local_.start_step(op, input);
  }
  Result<std::unique_ptr<engine::RowsSink>> open_output(const plan::Operator& op) override {
    const auto& schema = part_.scenario.operators[op.inputs[0].from].schema;
    if (part_.hands_on != op.id) {
      os::Fd file = RUNINK_TRY(openings_.open_output(op));
      return std::unique_ptr<engine::RowsSink>(std::make_unique<KeptRows>(std::move(file), schema));
    }
    std::unique_ptr<slice::BatchSender> rows;
    if (outlet_.size() == 2) {
      rows = RUNINK_TRY(slice::make_ring_sender(outlet_[0], std::move(outlet_[1]), schema, &stop_));
    } else {
      rows = slice::make_socket_sender(std::move(outlet_[0]), schema, &stop_);
    }
    return std::unique_ptr<engine::RowsSink>(std::make_unique<NeighbourSink>(std::move(rows)));
  }
  void stop() override { local_.stop(); }

 private:
  const plan::Part& part_;
  local::LocalIo& local_;
  RemoteOpenings& openings_;
  const StopFlag& stop_;
  std::vector<os::Fd> inlet_, outlet_;
};

class StageLetters final : public engine::DeadLetterSink {
 public:
  StageLetters(StageLink& link, const plan::ScenarioPlan& scenario, std::shared_ptr<connectors::SourceFiles> files)
      : writer_(
            kLetterPiece, [&link](std::string_view piece) { return link.send(StageMessage::kLetters, 0, piece); },
            [files = std::move(files)](uint32_t source) { return files->file(source).name; }) {
    for (const plan::Operator& op : scenario.operators) ids_[op.name] = op.id;
  }
  Status write(const engine::RejectedRecord& record) override {
    const auto op = ids_.find(record.step);
    if (op == ids_.end()) return internal_error("no step is named {}", record.step);
    std::lock_guard lock(mutex_);
    return writer_.add(op->second, record);
  }
  // Any thread: letters do not wait for others that fill a message.
  Status flush() {
    std::lock_guard lock(mutex_);
    return writer_.flush();
  }

 private:
  std::map<std::string, plan::OperatorId, std::less<>> ids_;
  std::mutex mutex_;
  slice::LetterWriter writer_;
};

// Tells the runner how far the stage is, while it lives.
class Teller {
 public:
  Teller(StageLink& link, StageLetters& letters, const engine::Progress& progress) : link_(link), progress_(progress) {
    link_.listen(kTellEvery, [this, &letters] {
      (void)letters.flush();
      tell();
    });
  }
  ~Teller() {
    link_.stop_telling();
    tell();
  }

 private:
  void tell() {
    (void)link_.send(StageMessage::kProgress, 0,
                     encode(slice::StageProgress{progress_.records, progress_.rejected, progress_.bytes_read,
                                                 progress_.bytes_total}));
  }
  StageLink& link_;
  const engine::Progress& progress_;
};

Status send_samples(StageLink& link, engine::ExecutionReport& report) {
  for (auto& op : report.operators) {
    slice::StageSamples samples;
    samples.op = op.id;
    size_t bytes = 0;
    for (std::string& row : op.sample) {
      bytes += row.size();
      samples.rows.push_back(std::move(row));
      if (bytes < kSampleBytes) continue;
      RUNINK_RETURN_IF_ERROR(link.send(StageMessage::kSamples, 0, encode(samples)));
      samples.rows.clear();
      bytes = 0;
    }
    op.sample.clear();
    if (!samples.rows.empty()) RUNINK_RETURN_IF_ERROR(link.send(StageMessage::kSamples, 0, encode(samples)));
  }
  return {};
}

// The plan of the stage, made again from what it was made from.
Result<plan::Part> make_part(const slice::StageStart& start, plan::ScenarioPlan* scenario) {
  const plan::Plan plan = RUNINK_TRY(dsl::compile_bundle(start.bundle, start.scenario));
  const plan::ScenarioPlan* planned = plan.scenario(start.scenario);
  if (planned == nullptr) return data_loss("the bundle has no scenario \"{}\"", start.scenario);
  *scenario = local::with_outputs(*planned, start.outputs);
  std::vector<plan::Part> parts = plan::cut_into_parts(*scenario);
  if (parts.size() != start.parts || start.part >= parts.size()) {
    return data_loss("scenario \"{}\" has {} parts, not {}", start.scenario, parts.size(), start.parts);
  }
  return std::move(parts[start.part]);
}

std::string metrics_of(const engine::Progress& progress) {
  telemetry::Exposition out;
  const telemetry::ProcessStats process = telemetry::process_stats();
  out.counter("runink_stage_records_total", "Records that its sources gave").sample(progress.records.load());
  out.counter("runink_stage_rejected_records_total", "Records that became dead letters")
      .sample(progress.rejected.load());
  out.counter("runink_stage_read_bytes_total", "Bytes that its sources have read").sample(progress.bytes_read.load());
  out.gauge("runink_stage_source_bytes", "Bytes that its sources have, as far as known; 0: unknown")
      .sample(progress.bytes_total.load());
  out.counter("process_cpu_seconds_total", "Processor time, user and system").sample(process.cpu_seconds);
  out.gauge("process_resident_memory_bytes", "Memory in use").sample(process.resident_bytes);
  return out.take();
}

// What is known of the stage while it runs, for those who look from outside.
class Watched {
 public:
  // `descriptors`: those left of the work's.
  Status begin(const slice::StageStart& start, std::vector<os::Fd> descriptors, const engine::Progress& progress) {
    const size_t wanted = static_cast<size_t>(start.metrics) + static_cast<size_t>(start.logs);
    if (descriptors.size() != wanted) return data_loss("the descriptors of a stage are not those of its work");
    if (start.logs) {
      log_fd_ = std::move(descriptors.back());
      log_ = telemetry::Log::to_descriptor(
          log_fd_.get(), {.form = telemetry::Log::Form::kJson,
                          .common = {{"scenario", start.scenario}, {"stage", std::to_string(start.part + 1)}}});
      log_->info("stage.begin", "the stage begins", {{"threads", start.threads}, {"stages", start.parts}});
    }
    if (start.metrics) metrics_.emplace(std::move(descriptors.front()), [&progress] { return metrics_of(progress); });
    return {};
  }
  void end(const Status& status, const engine::ExecutionReport& report) {
    if (!log_) return;
    if (!status.ok()) log_->error("stage.failed", status.to_string(), {{"kind", status.kind()}});
    log_->info("stage.end", "the stage has ended",
               {{"records", report.records_read},
                {"rejected", report.records_rejected},
                {"spilled_bytes", report.spilled_bytes}});
  }

 private:
  os::Fd log_fd_;
  std::unique_ptr<telemetry::Log> log_;
  std::optional<slice::MetricsEndpoint> metrics_;
};

// What the engine needs beside its plan.
engine::ExecutionOptions execution_options(const slice::StageStart& start, const StopFlag& stop) {
  engine::ExecutionOptions options;
  options.threads = start.threads;
  options.memory_budget_bytes = start.memory_budget_bytes;
  options.temp_folder = "/tmp";  // where nothing is made: the runner hands over spill files
  options.now_micros = start.now_micros;
  options.key = start.key;
  options.stop = &stop;
  options.sample_rows = start.sample_rows;
  options.reveal = start.reveal;
  return options;
}

// `end`: what is to be reported.
Status run_stage(StageLink& link, const slice::StageStart& start, std::vector<os::Fd> descriptors, const StopFlag& stop,
                 slice::StageEnd* end) {
  plan::ScenarioPlan scenario;
  const plan::Part part = RUNINK_TRY(make_part(start, &scenario));
  RemoteOpenings openings(link, stop);
  local::LocalIoOptions options;
  options.project_root = start.bundle.project_root;
  options.stop = &stop;
  options.reveal = start.reveal;
  options.chunk_bytes = start.chunk_bytes;
  options.max_record_bytes = start.max_record_bytes;
  options.openings = &openings;
  local::LocalIo local(part.scenario, std::move(options));
  StageIo io(part, local, openings, stop);
  RUNINK_RETURN_IF_ERROR(io.take_streams(start, descriptors));
  StageLetters letters(link, part.scenario, local.files());
  auto execution = RUNINK_TRY(engine::Execution::create(part.scenario, execution_options(start, stop), io, letters));
  Watched watched;
  RUNINK_RETURN_IF_ERROR(watched.begin(start, std::move(descriptors), execution->progress()));
  RUNINK_RETURN_IF_ERROR(link.send(StageMessage::kBegun, 0, {}));
  if (!start.goes_on && !link.wait_for_go()) return cancelled("interrupted").with_kind("run.interrupted");
  Status status;
  {
    Teller teller(link, letters, execution->progress());
    status = execution->run();
  }
  if (Status flushed = letters.flush(); status.ok()) status = std::move(flushed);
  end->report = execution->report();
  watched.end(status, end->report);
  end->plan_digest = slice::plan_digest(scenario);  // now, since the first record does not wait for it
  if (Status sent = send_samples(link, end->report); status.ok()) status = std::move(sent);
  return status;
}

int failed(const Status& status) {
  std::fprintf(stderr, "error: %s\n", escape_control(status.to_string()).c_str());
  return 1;
}

bool is_packet_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

int serve_stage() {
  os::ignore_broken_pipes();
  if (!is_packet_socket(slice::kStageDescriptor)) {
    std::fputs("error: runi-slice serve is started by runi, with a socket as descriptor 3\n", stderr);
    return 2;
  }
  (void)::fcntl(slice::kStageDescriptor, F_SETFD, FD_CLOEXEC);
  StopFlag stop;
  StageLink link(os::Fd(slice::kStageDescriptor, "the runner"), &stop);
  warm_up();
  Status greeted = link.send(StageMessage::kReady, 0, encode(slice::StageReady{.version = local::kVersion}));
  if (!greeted.ok()) return failed(greeted);
  auto message = link.next();
  if (!message.ok()) return failed(message.status());
  if (message->type != static_cast<uint16_t>(StageMessage::kStart))
    return failed(data_loss("a stage begins with its work"));
  auto start = slice::decode_start(message->body);
  if (!start.ok()) return failed(start.status());
  os::set_spill_opener([&link]() -> Result<os::Fd> {
    return std::move(RUNINK_TRY(link.ask({.what = slice::Ask::kOpenSpill}, 1)).descriptors[0]);
  });
  slice::StageEnd end;
  end.status = run_stage(link, *start, std::move(message->descriptors), stop, &end);
  Status told = link.send(StageMessage::kEnded, 0, encode(end));
  return told.ok() ? 0 : failed(told);
}

}  // namespace runink::isolate
