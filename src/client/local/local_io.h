// The engine's view of this machine: sources and sinks through data/connectors, custom steps as processes, dead letters
// in the ledger.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/stop.h"
#include "client/local/append_target.h"
#include "client/local/step_process.h"
#include "data/connectors/file_sink.h"
#include "data/connectors/source.h"
#include "data/engine/io.h"
#include "data/ledger/dead_letters.h"
#include "data/ledger/publish_record.h"
#include "data/plan/plan.h"

namespace runink::local {

// What became of one sink.
struct SinkState {
  plan::OperatorId op = 0;
  std::string name, target, format;  // target: absolute path, "-" or the command line
  uint64_t bytes = 0;
  uint64_t letters = 0;  // of a sink for rejected records: how many its rules let in
  bool rejected = false, atomic = true;
};

// Where the bytes of a sink go, and what has to be known of what is there already.
struct OpenedSink {
  std::unique_ptr<connectors::OutputFile> output;
  AppendTarget present;                 // of a file that is added to
  std::vector<std::string> open_names;  // columns of a CSV file beside those of the schema
};

// Opens for a LocalIo that may open nothing itself, since it runs in a slice: every descriptor is handed to it by the
// process that may (apps/isolate). Threads: as IoFactory.
class Openings {
 public:
  virtual ~Openings() = default;
  // The rows that another scenario has kept, as columnar::SpillReader reads them.
  virtual Result<os::Fd> open_rows(const plan::Operator& op) = 0;
  virtual Result<std::shared_ptr<connectors::HandedInputs>> open_inputs(const plan::Operator& op) = 0;
  // As LocalIo::source_failed, where the feature can be read.
  virtual Status source_failed(const plan::Operator& op, Status status) = 0;
  virtual Result<OpenedSink> open_sink(const plan::Operator& op) = 0;
  virtual Result<StartedStep> start_step(const plan::Operator& op) = 0;
};

struct LocalIoOptions {
  std::string project_root;
  const StopFlag* stop = nullptr;
  ledger::OutputSet* outputs = nullptr;             // where file sinks are opened; published by the caller
  std::map<std::string, std::string> scenario_rows;  // "scenario\noutput" → spill file
  std::map<plan::OperatorId, std::string> source_paths;  // golden cases: read this file instead
  std::map<plan::OperatorId, std::string> sink_paths;    // golden cases: write this file instead
  std::map<plan::OperatorId, std::string> step_answers;  // golden cases: recorded output instead of the process
  std::string runi_slice;                            // the program that runs C++ steps; empty: beside this one
  std::string temp_folder;
  // Where what programs say that are given pii fields, or give them, is kept (mode 0600); empty: nowhere.
  std::string words_folder;
  bool reveal = false;                               // sinks are given pii fields unmasked
  size_t chunk_bytes = 0;                           // tests: size of morsels; 0: the usual one
  uint64_t max_record_bytes = 0;                    // a longer record of a text input is an error; 0: the usual limit
  Openings* openings = nullptr;                     // null: what it needs is opened here
};

class LocalIo final : public engine::IoFactory {
 public:
  LocalIo(const plan::ScenarioPlan& scenario, LocalIoOptions options);
  ~LocalIo() override;

  Result<std::unique_ptr<engine::BatchSource>> open_source(const plan::Operator& op, const std::vector<bool>& needed) override;
  Result<std::unique_ptr<engine::BatchSink>> open_sink(const plan::Operator& op, const columnar::SchemaPtr& input) override;
  Result<std::unique_ptr<engine::StepProcess>> start_step(const plan::Operator& op, const columnar::SchemaPtr& input) override;

  void stop() override { stop_.request(); }

  // The parts of the above that touch the machine, for whoever opens on behalf of a slice.
  Result<os::Fd> open_rows(const plan::Operator& op) const;
  Result<connectors::Locator> locator_of(const plan::Operator& op, const plan::Source& source) const;
  // As an error of opening the source is told: at its step, with what is there instead of a file that is missing.
  Status source_failed(const plan::Operator& op, Status status) const;
  // `input`: of the rows that go in; only its names count. The sink is in sinks() from now on.
  Result<OpenedSink> open_target(const plan::Operator& op, const columnar::SchemaPtr& input);
  // Whether that makes or changes nothing but a file.
  bool is_plain_target(const plan::Operator& op) const;
  void count_sink_bytes(plan::OperatorId op, uint64_t bytes);
  StepOptions step_options(const plan::Operator& op);
  // The operator's records, read from where `source` says.
  Result<std::unique_ptr<engine::BatchSource>> open_records(const plan::Operator& op, const plan::Source& source,
                                                            const std::vector<bool>& needed);

  const std::shared_ptr<connectors::SourceFiles>& files() const { return files_; }
  std::vector<SinkState> sinks() const { return {sinks_.begin(), sinks_.end()}; }

 private:
  connectors::WriterOptions writer_options(const plan::Sink& sink, const connectors::Locator& locator, const columnar::SchemaPtr& input) const;
  plan::Sink replaced_sink(const plan::Operator& op) const;
  connectors::ProgramWords words_of(const plan::Operator& op, bool are_private) const;
  // The columns that the CSV files of open contracts have beyond those, which `op` writes after its own.
  Result<std::vector<std::string>> open_names(const plan::Operator& op) const;
  // What `source` is read from here: a golden case and a replay read other files.
  plan::Source replaced_source(plan::OperatorId id, plan::Source source) const;
  const plan::ScenarioPlan& scenario_;
  LocalIoOptions options_;
  StopFlag stop_{options_.stop};  // what everything opened here looks at
  std::shared_ptr<connectors::SourceFiles> files_;
  std::deque<SinkState> sinks_;  // sinks count in them
};

// Source and sink operators as locators.
Result<connectors::Locator> source_locator(const plan::Source& source, const std::string& project_root);
Result<connectors::Locator> sink_locator(const plan::Sink& sink, const std::string& project_root);
connectors::CsvDialect csv_dialect(const plan::Dialect& dialect, const connectors::Locator& locator);

// What all letters of a scenario say of where they come from and what must be masked in them: the contract, and names of
// fields with pii that it does not name. The run's own members are left empty.
ledger::DeadLetterOrigin letter_origin(const plan::ScenarioPlan& scenario);

// Writes every letter to the ledger's store and to the sinks for rejected records whose rules name it.
class DeadLetterChannel final : public engine::DeadLetterSink {
 public:
  struct Options {
    ledger::DeadLetterOrigin origin;
    const ledger::DeadLetterStore* store = nullptr;  // null: not kept (golden cases)
    ledger::OutputSet* outputs = nullptr;
    std::string project_root;
    std::map<plan::OperatorId, std::string> sink_paths;
    std::shared_ptr<connectors::SourceFiles> files;
    std::function<void(const ledger::DeadLetterView&, std::string_view step)> tee;  // golden cases; may be empty
  };
  static Result<std::unique_ptr<DeadLetterChannel>> open(const plan::ScenarioPlan& scenario, Options options);
  Status write(const engine::RejectedRecord& record) override;
  Status finish();

  uint64_t letters() const { return letters_; }
  const std::string& store_path() const { return store_path_; }  // empty while there are no letters
  std::vector<SinkState> sinks() const;
  struct Reason { std::string field, message; uint64_t records = 0; };
  const std::map<std::string, Reason>& reasons() const { return reasons_; }  // by rule

 private:
  struct RejectedSink;
  DeadLetterChannel();
  std::string source_name(uint32_t source) const;
  Options options_;
  std::optional<ledger::DeadLetterWriter> writer_;
  std::unique_ptr<ledger::DeadLetterEncoder> encoder_;
  std::vector<std::unique_ptr<RejectedSink>> sinks_;
  std::map<std::string, Reason> reasons_;
  std::string line_, store_path_, name_;
  uint64_t letters_ = 0;

 public:
  ~DeadLetterChannel() override;
};

}  // namespace runink::local
