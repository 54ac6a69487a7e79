#include "client/local/replay_known.h"

#include <algorithm>
#include <mutex>

#include "client/local/local_io.h"
#include "data/columnar/kernels.h"
#include "platform/os/file.h"

namespace runink::local {

namespace {

using columnar::Batch;

Status refuse(const plan::ScenarioPlan& scenario, const std::string& feature, const std::string& why) {
  const auto comparing = std::find_if(scenario.operators.begin(), scenario.operators.end(), [](const auto& op) {
    return std::holds_alternative<plan::Unique>(op.parameters) ||
           std::holds_alternative<plan::Deduplicate>(op.parameters);
  });
  return failed_precondition(
             "{}: \"{}\" compares letters with the records written before, and those cannot be known: {}",
             comparing->location.to_string(), comparing->name, why)
      .with_hint("run it again: runi run " + feature);
}

// The newest run of the scenario that published, and the rows that replays since then have added.
struct LastRun {
  std::optional<ledger::RunRecord> run;
  std::map<std::string, uint64_t> sink_rows;
};
Result<LastRun> last_run(const ledger::Ledger& ledger, const std::string& feature, const std::string& scenario) {
  LastRun out;
  ledger::RunFilter filter;
  filter.feature = feature;
  filter.scenario = scenario;
  for (auto& run : RUNINK_TRY(ledger.list_runs(filter))) {  // newest first
    if (run.state != ledger::RunState::kSucceeded) continue;
    for (const auto& sink : run.sinks) {
      if (sink.kind == "valid") out.sink_rows[sink.name] += sink.rows;
    }
    if (run.labels.contains("replay")) continue;
    out.run = std::move(run);
    break;
  }
  return out;
}

// Two sources of one after the other.
class BeforeLetters final : public engine::BatchSource {
 public:
  BeforeLetters(std::unique_ptr<engine::BatchSource> before, std::unique_ptr<engine::BatchSource> letters,
                uint32_t number, const KnownRecords& known, std::string root,
                std::shared_ptr<connectors::SourceFiles> files)
      : before_(std::move(before)),
        letters_(std::move(letters)),
        number_(number),
        known_(known),
        root_(std::move(root)),
        files_(std::move(files)) {}

  Result<std::optional<engine::Morsel>> next() override {
    if (!before_ended_) {
      auto morsel = RUNINK_TRY(before_->next());
      if (morsel) return morsel;
      before_ended_ = true;
    }
    return letters_->next();
  }
  Result<std::unique_ptr<engine::MorselReader>> make_reader() override {
    auto reader = std::make_unique<Reader>(*this);
    reader->before = RUNINK_TRY(before_->make_reader());
    reader->letters = RUNINK_TRY(letters_->make_reader());
    return std::unique_ptr<engine::MorselReader>(std::move(reader));
  }
  uint64_t bytes_read() const override { return before_->bytes_read() + letters_->bytes_read(); }
  uint64_t bytes_total() const override { return before_->bytes_total() + letters_->bytes_total(); }

 private:
  struct Reader final : engine::MorselReader {
    explicit Reader(const BeforeLetters& s) : source(s) {}
    Result<engine::ReadReport> read(const engine::Morsel& morsel, const std::function<Status(Batch&&)>& emit) override {
      if (morsel.chunk->source == source.number_) return letters->read(morsel, emit);
      const auto open =
          source.known_.left_out.find(letter_name(source.files_->file(morsel.chunk->source).name, source.root_));
      if (open == source.known_.left_out.end()) return before->read(morsel, emit);
      uint64_t entered = 0;
      auto report = RUNINK_TRY(before->read(morsel, [&](Batch&& batch) -> Status {
        std::vector<int32_t> rows;
        for (int64_t r = 0; r < batch.rows; ++r) {
          if (!open->second.contains(static_cast<int64_t>(batch.origin->position(r))))
            rows.push_back(static_cast<int32_t>(r));
        }
        entered += rows.size();
        if (rows.empty()) return {};
        return static_cast<int64_t>(rows.size()) == batch.rows ? emit(std::move(batch))
                                                               : emit(columnar::gather(batch, rows));
      }));
      std::erase_if(report.undecodable, [&](const auto& bad) {
        return open->second.contains(static_cast<int64_t>(morsel.chunk->position + bad.offset));
      });
      report.records = entered + report.undecodable.size();
      return report;
    }
    const BeforeLetters& source;
    std::unique_ptr<engine::MorselReader> before, letters;
  };

  std::unique_ptr<engine::BatchSource> before_, letters_;
  uint32_t number_;
  const KnownRecords& known_;
  std::string root_;
  std::shared_ptr<connectors::SourceFiles> files_;
  bool before_ended_ = false;
};

class OnlyLetters final : public engine::BatchSink {
 public:
  OnlyLetters(std::unique_ptr<engine::BatchSink> sink, uint32_t number, Arrivals& arrivals)
      : sink_(std::move(sink)), number_(number), arrivals_(arrivals) {}
  Result<std::unique_ptr<engine::SinkFormatter>> make_formatter() override {
    auto formatter = std::make_unique<Formatter>(number_, arrivals_);
    formatter->inner = RUNINK_TRY(sink_->make_formatter());
    return std::unique_ptr<engine::SinkFormatter>(std::move(formatter));
  }
  Status write(std::string_view bytes) override { return sink_->write(bytes); }
  Status finish() override { return sink_->finish(); }
  uint64_t bytes_written() const override { return sink_->bytes_written(); }

 private:
  struct Formatter final : engine::SinkFormatter {
    Formatter(uint32_t n, Arrivals& a) : number(n), arrivals(a) {}
    Status append(const Batch& batch, columnar::Buffer& out) override {
      if (batch.rows == 0) return {};
      if (!batch.origin) {
        arrivals.origin_lost = true;
        return {};
      }
      std::vector<int32_t> rows;
      for (int64_t r = 0; r < batch.rows; ++r) {
        if (batch.origin->source(r) == number) rows.push_back(static_cast<int32_t>(r));
      }
      arrivals.letters += rows.size();
      arrivals.others += static_cast<uint64_t>(batch.rows) - rows.size();
      if (rows.empty()) return {};
      return static_cast<int64_t>(rows.size()) == batch.rows ? inner->append(batch, out)
                                                             : inner->append(columnar::gather(batch, rows), out);
    }
    Status end_of_morsel(columnar::Buffer& out) override { return inner->end_of_morsel(out); }
    std::unique_ptr<engine::SinkFormatter> inner;
    uint32_t number;
    Arrivals& arrivals;
  };
  std::unique_ptr<engine::BatchSink> sink_;
  uint32_t number_;
  Arrivals& arrivals_;
};

}  // namespace

std::string letter_name(std::string file, const std::string& root) {
  if (file.starts_with(root + "/")) file.erase(0, root.size() + 1);
  return file;
}

bool compares_records(const plan::ScenarioPlan& scenario) {
  return std::any_of(scenario.operators.begin(), scenario.operators.end(), [](const auto& op) {
    return std::holds_alternative<plan::Unique>(op.parameters) ||
           std::holds_alternative<plan::Deduplicate>(op.parameters);
  });
}

Result<KnownRecords> find_known_records(const Project& project, const ledger::Ledger& ledger, const plan::Plan& plan,
                                        const plan::ScenarioPlan& scenario, plan::OperatorId source) {
  const auto no = [&](const std::string& why) { return refuse(scenario, plan.feature_path, why); };
  for (const auto& op : scenario.operators) {
    if (std::holds_alternative<plan::Program>(op.parameters))
      return no("behind \"" + op.name + "\" nobody knows which record is which");
  }
  const auto* read = std::get_if<plan::Source>(&scenario.operators[source].parameters);
  if (read == nullptr || !read->exec.empty() || read->locator == "-") return no("what the scenario read is not kept");
  if (read->format == "arrow") return no("records of an Arrow file cannot be told apart");
  const auto last = RUNINK_TRY(last_run(ledger, plan.feature_path, scenario.name));
  if (!last.run) return no("no run of it is in the ledger any more");
  const auto parent =
      last.run->parent_id.empty() ? Result<ledger::RunRecord>(*last.run) : ledger.load_run(last.run->parent_id);
  if (!parent.ok()) return no("its run is not in the ledger any more");
  const auto files = RUNINK_TRY(connectors::expand(RUNINK_TRY(source_locator(*read, project.root()))));
  for (const auto& file : files) {
    const auto info = os::file_info(file);
    const bool same =
        info.ok() && std::any_of(parent->inputs.begin(), parent->inputs.end(), [&](const auto& before) {
          return before.path == file && before.size == info->size && before.modified_nanos == info->modified_nanos;
        });
    if (!same) return no(letter_name(file, project.root()) + " has changed since run " + last.run->id);
  }

  KnownRecords known;
  known.sink_rows = last.sink_rows;
  const ledger::DeadLetterStore store(ledger.root());
  const auto replayed = RUNINK_TRY(store.replayed());
  ledger::DeadLetterFilter filter;
  filter.run_id = last.run->id;
  RUNINK_RETURN_IF_ERROR(store.for_each(filter, [&](const ledger::DeadLetter& letter) {
    known.letters.insert(letter.id);
    const auto fate = replayed.find(letter.id);
    if (fate == replayed.end() || fate->second.result != "accepted")
      known.left_out[letter.source].insert(letter.offset);
    return true;
  }));
  return known;
}

std::unique_ptr<engine::BatchSource> read_before_letters(std::unique_ptr<engine::BatchSource> before,
                                                         std::unique_ptr<engine::BatchSource> letters,
                                                         uint32_t letters_number, const KnownRecords& known,
                                                         const std::string& project_root,
                                                         std::shared_ptr<connectors::SourceFiles> files) {
  return std::make_unique<BeforeLetters>(std::move(before), std::move(letters), letters_number, known, project_root,
                                         std::move(files));
}

std::unique_ptr<engine::BatchSink> only_letters(std::unique_ptr<engine::BatchSink> sink, uint32_t letters_number,
                                                Arrivals& arrivals) {
  return std::make_unique<OnlyLetters>(std::move(sink), letters_number, arrivals);
}

}  // namespace runink::local
