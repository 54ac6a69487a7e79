// NdjsonReader: one JSON object per line.
//
// It learns the shape of records (the bytes between values) from those it has seen, a few shapes at a time, and reads
// further records of a known shape in the hot loop; any other record goes through JsonWalker.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/connectors/hot.h"
#include "data/connectors/json_walker.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/row_builder.h"

namespace runink::connectors {

class NdjsonReader : public RecordReader {
 public:
  // `loops` chooses an instruction set (tests); null is the machine's best.
  static Result<std::unique_ptr<NdjsonReader>> make(const ReaderOptions& options, const hot::Loops* loops = nullptr);

  Result<ChunkReport> parse(const ChunkPtr& chunk, const BatchCallback& callback) override;
  Result<Reread> reread(const ChunkPtr& chunk, std::span<const UndecodableRecord> bad) override;
  const columnar::SchemaPtr& output_schema() const override { return schema_; }

 private:
  // A shape of records.
  struct Plan {
    std::vector<hot::Step> steps;
    std::vector<int32_t> missing;  // columns that such records lack
    std::vector<uint32_t> drift;   // names they have that the contract lacks
    bool verbatim = false;
  };
  static constexpr size_t kPlans = 4;

  NdjsonReader(const ReaderOptions& options, columnar::SchemaPtr schema, std::vector<FieldCodec> codecs,
               const hot::Loops* loops);
  bool run_plans();  // true if any record was taken
  void apply(const Plan& plan, int64_t first_row);
  void general_record(const char* line_end, const char* next, ChunkReport& report);
  void learn(const char* record, const char* next, uint32_t break_length);
  Status flush(const ChunkPtr& chunk, const BatchCallback& callback, ChunkReport& report, bool more);
  void begin_batch(const ChunkPtr& chunk);

  ReaderOptions options_;
  columnar::SchemaPtr schema_;
  std::vector<FieldCodec> codecs_;
  DriftCounter drift_;
  RowBuilder rows_;
  JsonWalker walker_;
  const hot::Loops* loops_;
  hot::Context context_;
  hot::Stop stop_ = hot::Stop::kMiss;
  std::vector<std::unique_ptr<Plan>> plans_;
  size_t current_ = 0, next_replaced_ = 0;
  uint32_t learned_in_vain_ = 0;  // plans learned since one was of use
};

}  // namespace runink::connectors
