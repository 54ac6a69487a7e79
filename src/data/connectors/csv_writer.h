// CsvWriter: RFC 4180 or a dialect. See record_writer.h.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/connectors/record_writer.h"
#include "data/connectors/text_writer.h"

namespace runink::connectors {

class CsvWriter : public RecordWriter {
 public:
  static Result<std::unique_ptr<CsvWriter>> make(const WriterOptions& options);

  Status begin(columnar::Buffer& out) override;
  Status append(const columnar::Batch& batch, columnar::Buffer& out) override;
  Status end(columnar::Buffer&) override { return Status(); }

 private:
  bool needs_quotes(std::string_view text, bool first_cell) const;
  Status write_text(std::string_view text, size_t cell, OutCursor& out);  // with quotes where needed
  Status write_value(size_t cell, int64_t row, OutCursor& out);
  Status write_open(int64_t row, OutCursor& out);
  void line_break(OutCursor& out) {
    if (csv_.crlf) out.put('\r');
    out.put('\n');
  }

  std::vector<WriteField> fields_;
  int32_t open_field_ = -1;
  std::vector<std::string> open_names_;               // columns after the others
  std::map<std::string, int, std::less<>> open_cell_;  // their places; -1: a field of the schema has that name
  std::vector<std::string_view> open_values_;         // of a row, as JSON
  CsvDialect csv_;
  size_t verbatim_prefix_ = 0;
  bool special_[256] = {};
  bool plain_digits_ = false;
  std::string scratch_;
};

}  // namespace runink::connectors
