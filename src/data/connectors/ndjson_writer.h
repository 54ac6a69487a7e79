// NdjsonWriter: one JSON object per line. See record_writer.h.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "data/connectors/record_reader.h"
#include "data/connectors/record_writer.h"
#include "data/connectors/text_writer.h"

namespace runink::connectors {

class NdjsonWriter : public RecordWriter {
 public:
  static Result<std::unique_ptr<NdjsonWriter>> make(const WriterOptions& options);

  Status begin(columnar::Buffer&) override { return Status(); }
  Status append(const columnar::Batch& batch, columnar::Buffer& out) override;
  Status end(columnar::Buffer&) override { return Status(); }

  // Rows [first, last) of a batch, for single records.
  Status append_rows(const columnar::Batch& batch, int64_t first, int64_t last, columnar::Buffer& out);

  // Refuses a schema with two names that one object cannot hold, such as `u` and `u.id`: written all the same, the second
  // would be lost.
  static Status check_names(const columnar::Schema& schema);

 private:
  // Text, then the value of a field; the last one of a program has no field.
  struct Piece {
    std::string literal;  // followed by 64 bytes that may be read
    size_t length = 0;
    int32_t field = -1;
    columnar::TypeId type = columnar::TypeId::kNull;
  };
  using Program = std::vector<Piece>;
  struct Node {
    std::string name;
    int32_t field = -1;
    std::vector<Node> children;
  };
  Node tree(const columnar::Schema& schema, size_t first, size_t last) const;  // without the open column
  static void emit(const Node& node, std::string& literal, Program& program);
  static Piece piece(const std::string& literal, int32_t field);

  void write_value(const WriteField& field, int64_t row, OutCursor& out);
  void run(const Program& program, int64_t row, OutCursor& out);
  void write_open(std::string_view members, bool comma, OutCursor& out);

  std::vector<WriteField> fields_;
  Program whole_, suffix_;  // all fields with the opening brace; those after the verbatim prefix, each with its comma
  size_t verbatim_prefix_ = 0;
  int32_t open_field_ = -1;
  std::set<std::string, std::less<>> own_members_;  // a field of these names is written, so an open one is not
  std::string scratch_;
};

}  // namespace runink::connectors
