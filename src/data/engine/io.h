// What the engine asks of the world: sources that hand out numbered morsels, sinks that take formatted bytes in order,
// and a place for dead letters. Connectors and the local runner supply them; tests use in-memory ones.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/plan/plan.h"

namespace runink::engine {

// A unit of parallel work: bytes still to be parsed, or batches already made.
struct Morsel {
  std::shared_ptr<const columnar::InputChunk> chunk;
  std::vector<columnar::Batch> batches;
};

// A record that could not be decoded.
struct UndecodableRow {
  uint32_t offset = 0, length = 0, line = 0;  // in the chunk; line counted from 0
  std::string rule, field, message;
  std::string text;  // the record, where the source has no bytes of it (Arrow)
  // What else is wrong with it, and where its other fields stand: a row of one of ReadReport::rest, in which the columns
  // `unread` have no value; row -1: nowhere.
  struct Error { std::string rule, field, message; };
  std::vector<Error> more;
  size_t rest = 0;
  int64_t row = -1;
  std::vector<int32_t> unread;
};

// What reading one morsel found besides batches. read = rows entered + undecodable.
struct ReadReport {
  uint64_t records = 0;
  std::vector<UndecodableRow> undecodable;
  std::vector<columnar::Batch> rest;  // of undecodable records: what could be read of them, with the source's schema
  std::vector<std::pair<std::string, uint64_t>> drift;  // fields the contract does not name
};

// One per worker.
class MorselReader {
 public:
  virtual ~MorselReader() = default;
  virtual Result<ReadReport> read(const Morsel& morsel, const std::function<Status(columnar::Batch&&)>& emit) = 0;
};

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // The next morsel; nullopt at the end. Called by one thread at a time.
  virtual Result<std::optional<Morsel>> next() = 0;
  virtual Result<std::unique_ptr<MorselReader>> make_reader() = 0;
  virtual uint64_t bytes_read() const { return 0; }   // any thread
  virtual uint64_t bytes_total() const { return 0; }  // 0: unknown
};

// One per worker: rows to bytes.
class SinkFormatter {
 public:
  virtual ~SinkFormatter() = default;
  virtual Status append(const columnar::Batch& batch, columnar::Buffer& out) = 0;
  // All batches of a morsel are in `out`: the last chance to change the bytes (compression).
  virtual Status end_of_morsel(columnar::Buffer& out) { return {}; }
};

// One output. write() and finish() are called in order, by one thread at a time.
class BatchSink {
 public:
  virtual ~BatchSink() = default;
  virtual Result<std::unique_ptr<SinkFormatter>> make_formatter() = 0;
  virtual Status write(std::string_view bytes) = 0;
  virtual Status finish() = 0;
  virtual uint64_t bytes_written() const = 0;
};

// Typed rows in order, kept for another scenario or handed to the next stage. One thread at a time.
class RowsSink {
 public:
  virtual ~RowsSink() = default;
  virtual Status write(const columnar::Batch& batch) = 0;
  virtual Status finish() = 0;
};

// A rejected record on its way to the dead letters. Views hold for the call only.
struct RejectedRecord {
  std::string_view step;      // operator name
  uint32_t source = 0;        // file number; kNoSource when the row was computed
  int64_t offset = -1;        // of the first byte in the source; -1: none
  uint64_t line = 0;          // from 1; 0: none
  std::string_view bytes;     // the original record; of a computed row its JSON text
  // `words`: what a custom step said; values of pii fields may stand in it, so it is for the letter alone.
  struct Rule { std::string rule, field, message, words; };
  const std::vector<Rule>* rules = nullptr;
};
inline constexpr uint32_t kNoSource = UINT32_MAX;

// Called in input order, by one thread at a time.
class DeadLetterSink {
 public:
  virtual ~DeadLetterSink() = default;
  virtual Status write(const RejectedRecord& record) = 0;
};

// A record that a custom step refused or dropped, by the number of the record sent (from 0).
struct StepRefusal {
  uint64_t record = 0;
  bool dropped = false;
  std::string reason;
};

// Takes what a custom step says about records that it does not answer. Called by a thread of the process, or that of
// receive(), in the order said. An error ends the step, and receive() then fails with it.
class StepReports {
 public:
  virtual ~StepReports() = default;
  virtual Status refused(std::vector<StepRefusal> refusals) = 0;
  // Every record before this one has been answered, refused or dropped.
  virtual Status settled(uint64_t before) = 0;
  // The step has ended well and has said all.
  virtual Status ended() = 0;
};

// A custom step's process, as the engine sees it: see step_process.h of client/local for the real one.
class StepProcess {
 public:
  virtual ~StepProcess() = default;
  // Where its reports go. Once, before the first send(); `reports` must outlive the process.
  virtual void listen(StepReports& reports) = 0;
  // Rows for the step, in order. Blocks while the step does not read.
  virtual Status send(const columnar::Batch& batch) = 0;
  virtual Status close_input() = 0;
  // What it answers, in order; nullopt at its end, once it has ended well and all reports have been given. Called by
  // another thread than send(). While nobody waits in it, a step that does not move is not to blame.
  virtual Result<std::optional<columnar::Batch>> receive() = 0;
  // What it answered or said cannot be: ends it, and adds what it said last. By the thread of receive().
  virtual Status blame(Status status) = 0;
  virtual void kill() = 0;  // any thread
};

// Makes the parts an execution needs. Called before it starts, by one thread.
class IoFactory {
 public:
  virtual ~IoFactory() = default;
  // `needed`: per column of the operator's schema, whether anything downstream reads it.
  virtual Result<std::unique_ptr<BatchSource>> open_source(const plan::Operator& op, const std::vector<bool>& needed) = 0;
  virtual Result<std::unique_ptr<BatchSink>> open_sink(const plan::Operator& op, const columnar::SchemaPtr& input) = 0;
  virtual Result<std::unique_ptr<StepProcess>> start_step(const plan::Operator& op, const columnar::SchemaPtr& input) = 0;
  // Where the rows of an Output operator go. Null: the engine keeps them as a spill file of its temp folder.
  virtual Result<std::unique_ptr<RowsSink>> open_output(const plan::Operator& op) { return std::unique_ptr<RowsSink>(); }
  // The execution has failed: whatever waits in the parts made (for input, for a reader) is to give up soon, with kind
  // "run.interrupted". Any thread.
  virtual void stop() {}
};

}  // namespace runink::engine
