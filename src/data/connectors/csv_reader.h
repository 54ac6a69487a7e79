// CsvReader: RFC 4180 and dialects. Common records go through the hot loop, all others through one exact splitter.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/connectors/csv_border.h"
#include "data/connectors/hot.h"
#include "data/connectors/json_walker.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/row_builder.h"

namespace runink::connectors {

struct CsvCell {
  std::string_view text;  // without quotes, escapes undone
  std::string_view raw;   // its bytes in the record, between the quotes where it has them
  bool quoted = false;
};
// Splits one record (without its line break). Texts are views into it, or into `scratch`. Nothing if it is well formed.
struct CsvFault {
  Undecodable reason;
  size_t at;
};
std::optional<CsvFault> split_csv_record(std::string_view record, const CsvDialect& dialect, bool lone_cr,
                                         std::string& scratch, std::vector<CsvCell>* cells);

class CsvReader : public RecordReader {
 public:
  static Result<std::unique_ptr<CsvReader>> make(const ReaderOptions& options, const hot::Loops* loops = nullptr);

  Result<ChunkReport> parse(const ChunkPtr& chunk, const BatchCallback& callback) override;
  Result<Reread> reread(const ChunkPtr& chunk, std::span<const UndecodableRecord> bad) override;
  const columnar::SchemaPtr& output_schema() const override { return schema_; }

 private:
  // Which column each cell of a file's records belongs to.
  struct Mapping {
    std::vector<int32_t> columns;    // -1: not of the contract
    std::vector<std::string> names;  // of those, by cell; else empty
    std::vector<bool> open;          // by cell: it is passed on in kOpenColumn
    bool any_open = false;
    std::vector<uint32_t> drift;
    std::vector<int32_t> missing;  // columns that the file lacks
    bool verbatim = false;
    bool hot = false;
    bool lone_cr = false;
  };

  CsvReader(const ReaderOptions& options, columnar::SchemaPtr schema, std::vector<FieldCodec> codecs,
            const hot::Loops* loops);
  Result<const Mapping*> mapping_of(uint32_t source);
  Result<Mapping> map_header(const SourceFile& file);
  Status named_twice(const SourceFile& file, size_t cell, std::string_view name) const;
  void begin_batch(const ChunkPtr& chunk);
  Status flush(const ChunkPtr& chunk, const BatchCallback& callback, ChunkReport& report, bool more);
  void fill_missing(const Mapping& mapping, int64_t first, int64_t last);
  // One record at context_.p through the splitter.
  void general_record(const Mapping& mapping, bool check_utf8, ChunkReport& report);
  // With `found` it goes on behind cells that are not of their field's type.
  std::optional<UndecodableRecord> convert(const Mapping& mapping, std::string_view record,
                                           Reread::Record* found = nullptr);
  std::optional<Undecodable> convert_cell(const CsvCell& cell, size_t column);
  const char* hot_cell(int32_t column, const char* p);

  ReaderOptions options_;
  columnar::SchemaPtr schema_;
  std::vector<FieldCodec> codecs_;
  DriftCounter drift_;
  RowBuilder rows_;
  JsonWalker walker_;
  const hot::Loops* loops_;
  hot::Context context_;
  std::map<uint32_t, Mapping> mappings_;
  std::vector<CsvCell> cells_;
  std::string scratch_, extra_;
  Scalar scalar_;
  bool coerced_ = false, odd_quote_ = false;  // of the record at hand: it is not verbatim
};

}  // namespace runink::connectors
