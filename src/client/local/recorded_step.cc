// A custom step's stand-in: answers from a file.
#include <algorithm>
#include <atomic>

#include "client/local/step_process.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/source.h"

namespace runink::local {

namespace {

class RecordedStep final : public engine::StepProcess {
 public:
  RecordedStep(std::unique_ptr<connectors::ChunkSource> chunks, std::unique_ptr<connectors::RecordReader> reader,
               std::string path)
      : chunks_(std::move(chunks)), reader_(std::move(reader)), path_(std::move(path)) {}
  void listen(engine::StepReports& reports) override { reports_ = &reports; }
  // What is sent beyond the recorded answers counts as dropped, so that the step balances.
  Status send(const columnar::Batch& batch) override {
    sent_ += static_cast<uint64_t>(batch.rows);
    return {};
  }
  Status close_input() override {
    kill();
    return {};
  }
  Result<std::optional<columnar::Batch>> receive() override {
    closed_.wait(false);  // how many answers are missing is known only once all has been sent
    while (ready_.empty()) {
      auto chunk = RUNINK_TRY(chunks_->next());
      if (!chunk) {
        if (answered_ > sent_) {
          return failed_precondition("{} holds {} answers for {} records", path_, answered_, sent_.load());
        }
        RUNINK_RETURN_IF_ERROR(drop_the_rest());
        return std::optional<columnar::Batch>();
      }
      auto report = RUNINK_TRY(reader_->parse(chunk, [&](columnar::Batch&& b) {
        ready_.insert(ready_.begin(), std::move(b));
        return Status();
      }));
      if (!report.undecodable.empty())
        return invalid_argument("{} holds a line that is no record of the step's output", path_);
    }
    auto batch = std::move(ready_.back());
    ready_.pop_back();
    answered_ += static_cast<uint64_t>(batch.rows);
    return std::optional<columnar::Batch>(std::move(batch));
  }
  Status blame(Status status) override { return status; }
  void kill() override {
    closed_ = true;
    closed_.notify_all();
  }

 private:
  Status drop_the_rest() {
    for (uint64_t record = answered_; record < sent_;) {
      std::vector<engine::StepRefusal> some;
      for (; record < sent_ && some.size() < 1000; ++record)
        some.push_back({record, true, "not in the recorded output"});
      RUNINK_RETURN_IF_ERROR(reports_->refused(std::move(some)));
    }
    return reports_->ended();
  }
  std::unique_ptr<connectors::ChunkSource> chunks_;
  std::unique_ptr<connectors::RecordReader> reader_;
  std::string path_;
  std::atomic<uint64_t> sent_{0};
  std::atomic<bool> closed_{false};
  uint64_t answered_ = 0;
  std::vector<columnar::Batch> ready_;
  engine::StepReports* reports_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<engine::StepProcess>> replay_step(const plan::Operator& op, const std::string& path) {
  auto files = std::make_shared<connectors::SourceFiles>();
  connectors::LocatorOptions lo;
  lo.format = "ndjson";
  auto locator = RUNINK_TRY(connectors::parse_source_locator("file://" + path, lo));
  auto chunks = RUNINK_TRY(connectors::open_chunk_source(locator, {}, files));
  connectors::ReaderOptions reader;
  reader.schema = op.schema;
  reader.origin = false;
  reader.files = files;
  auto records = RUNINK_TRY(connectors::make_record_reader(reader));
  return std::unique_ptr<engine::StepProcess>(
      std::make_unique<RecordedStep>(std::move(chunks), std::move(records), path));
}

}  // namespace runink::local
