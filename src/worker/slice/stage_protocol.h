// What is said between a stage that runs in a slice (runi-slice serve) and the process that runs the pipeline, the
// runner. Messages of worker/wire/framing.h on descriptor 3 of the slice.
//
//   runner → stage   kStart, kAnswer to what it will ask first, kAnswersSent, kGo after kBegun, kAnswer to each kAsk,
//                    kStop, kStepEnded
//   stage → runner   kReady when it waits for work, kBegun when all is open, kAsk, kLetters, kProgress, kSamples, and
//                    at last kEnded (instead of kBegun where something could not be opened)
//
// A stage opens nothing: it asks, by the number of an operator of its plan, and is handed descriptors. What a runner
// knows that it will ask (to open a source, a sink) is answered unasked while the stage makes its plan, since a
// question and its answer are two changes of processes, as much as a tenth of a first record. The runner does not trust
// the stage: an answer is given only for what the plan has, and whatever arrives is decoded with bounds and checked
// against the plan. Everything here is a plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "data/dsl/bundle.h"
#include "data/engine/execution.h"
#include "data/engine/io.h"

namespace runink::slice {

inline constexpr uint32_t kStageProtocol = 2;
inline constexpr int kStageDescriptor = 3;

enum class StageMessage : uint16_t {
  kStart = 1,        // StageStart; descriptors: of its inlet, of its outlet, for metrics, for logs
  kAnswer = 2,       // StageAnswer; the message's subject is that of the question
  kStop = 3,         // end soon: the run was interrupted
  kStepEnded = 4,    // StepEnd; the message's subject is the step's number
  kGo = 5,           // all stages have begun, where there are several
  kAnswersSent = 6,  // no more answers come unasked

  kReady = 101,     // StageReady
  kAsk = 102,       // StageAsk; the message's subject numbers the question
  kLetters = 103,   // a piece of the stream of dead letters (letter_stream.h)
  kProgress = 104,  // StageProgress
  kEnded = 105,     // StageEnd, and nothing after it
  kBegun = 106,     // every source, sink and step is open
  kSamples = 107,   // StageSamples, of the report that follows: they may be more than a message holds
};

// How rows pass between two stages.
enum class StreamKind : uint8_t {
  kNone = 0,
  kSocket = 1,  // Arrow IPC over a Unix stream socket
  kRing = 2,    // shared memory (batch_ring.h)
};
constexpr StreamKind last_of(StreamKind) { return StreamKind::kRing; }

struct StageReady {
  uint32_t protocol = kStageProtocol;
  std::string version;  // of the program; that of the runner, or the stage is not started
};

struct StageStart {
  dsl::Bundle bundle;
  std::string scenario;
  std::vector<std::string> outputs;  // of it that other scenarios read
  uint32_t part = 0, parts = 1;      // data/plan/parts.h
  StreamKind inlet = StreamKind::kNone, outlet = StreamKind::kNone;
  bool metrics = false;  // a listening socket comes along: who connects is given metrics (metrics_endpoint.h)
  bool logs = false;     // a descriptor comes along for lines of JSON (platform/telemetry/log.h)
  bool goes_on = false;  // there is no other stage that it would have to wait for: kGo does not come

  uint32_t threads = 1;
  uint64_t memory_budget_bytes = 0, sample_rows = 0, chunk_bytes = 0, max_record_bytes = 0;
  int64_t now_micros = 0;
  std::string key;  // of hash() and tokenise(); empty where the plan has neither
  bool reveal = false;
};

enum class Ask : uint8_t {
  kOpenInputs = 0,     // of a source: StageAnswer::names and size; a descriptor of the first, if it is a plain file
  kOpenInput = 1,      // the next of them that no descriptor came for; `number` counts from 0; a descriptor
  kEndInput = 2,       // it has been read to its end: did what fed it end well?
  kOpenRows = 3,       // of another scenario's output; a descriptor
  kOpenSink = 4,       // a descriptor, and what is there already
  kEndSink = 5,        // it has been written, `number` bytes, or writing failed: what does its reader say?
  kOpenOutput = 6,     // rows kept for other scenarios; a descriptor
  kOpenSpill = 7,      // a nameless file; a descriptor
  kStartStep = 8,      // descriptors: its input, its output, what it reports; `number` is the step's from now on
  kKillStep = 9,       // `number`: at once; without waiting for it
  kEndStep = 10,       // `number`: all of it has ended when this is answered
  kStepWords = 11,     // `number`; `failure` comes back with what the step last said
  kSourceFailed = 12,  // `failure` of opening it comes back with the place in the feature
};
constexpr Ask last_of(Ask) { return Ask::kSourceFailed; }

struct StageAsk {
  Ask what = Ask::kOpenInputs;
  uint32_t op = 0;
  uint64_t number = 0;
  Status failure;
};

// The number of an answer that comes unasked: above those of all questions.
constexpr uint64_t number_unasked(Ask what, uint32_t op) {
  return uint64_t{1} << 63 | uint64_t{static_cast<uint8_t>(what)} << 32 | op;
}

struct StageAnswer {
  Status status;
  uint64_t number = 0;
  std::vector<std::string> names;
  uint64_t size = 0;
  bool atomic = true;        // kOpenSink: it is published with the run's other outputs
  bool has_records = false;  // … AppendTarget of client/local
  std::string before;
  std::optional<bool> crlf;
};

struct StepEnd {
  bool exited = false;
  int32_t code = 0, signal = 0;
};

struct StageProgress {
  uint64_t records = 0, rejected = 0, bytes_read = 0, bytes_total = 0;
};

struct StageEnd {
  Status status;
  engine::ExecutionReport report;  // without samples
  std::string plan_digest;         // of the scenario as the stage compiled it; the runner's has to be the same
};

struct StageSamples {
  uint32_t op = 0;
  std::vector<std::string> rows;  // that follow those before
};

std::string encode(const StageReady& value);
std::string encode(const StageStart& value);
std::string encode(const StageAsk& value);
std::string encode(const StageAnswer& value);
std::string encode(const StepEnd& value);
std::string encode(const StageProgress& value);
std::string encode(const StageEnd& value);
std::string encode(const StageSamples& value);

// kDataLoss for what is no such value.
Result<StageReady> decode_ready(std::string_view body);
Result<StageStart> decode_start(std::string_view body);
Result<StageAsk> decode_ask(std::string_view body);
Result<StageAnswer> decode_answer(std::string_view body);
Result<StepEnd> decode_step_end(std::string_view body);
Result<StageProgress> decode_progress(std::string_view body);
Result<StageEnd> decode_end(std::string_view body);
Result<StageSamples> decode_samples(std::string_view body);

// SHA-256 of what the scenario means, in hexadecimal digits.
std::string plan_digest(const plan::ScenarioPlan& scenario);

}  // namespace runink::slice
