// RowBuilder: the columns of the batch that a reader is making, row by row, into buffers that are used again once the
// batches made of them are gone.
//
// Rows are written in place at row(); commit_row() keeps what was written, otherwise the next attempt overwrites it, so
// a record found broken half way leaves no trace. One thread; the batches it gives out may die on any thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "data/columnar/batch.h"
#include "data/columnar/builder.h"
#include "data/connectors/field_codec.h"
#include "data/connectors/hot.h"

namespace runink::connectors {

class RowBuilder {
 public:
  RowBuilder(columnar::SchemaPtr schema, const std::vector<FieldCodec>* codecs, bool origin, bool csv);

  // Before the first row of each batch.
  void start(const ChunkPtr& chunk);
  int64_t row() const { return row_; }
  void set_row(int64_t row) { row_ = row; }
  bool full() const { return row_ == columnar::kBatchRows; }
  hot::Column* hot_columns() { return hot_.data(); }
  // Undoes nulls that a given-up attempt set in this row.
  void restart_row();

  void set_null(size_t column) { set_null(column, row_); }
  void set_null(size_t column, int64_t row);
  void set_scalar(size_t column, const Scalar& value);  // not string, json
  void set_text(size_t column, std::string_view text);
  void set_value(size_t column, const columnar::Value& value);  // default values, lists
  // Text in place: room for `size` bytes at the row's text; commit_text says how many were written.
  char* text_room(size_t column, size_t size);
  void commit_text(size_t column, size_t size);

  void commit_row(uint32_t offset, uint32_t length, uint32_t line, bool verbatim);
  // The rows so far as a batch; null rows() of nothing is for the caller to avoid. start() must follow before more
  // rows.
  columnar::Batch finish();

  void grow_text(uint32_t column, size_t size);
  struct OriginArrays {
    uint32_t *offset, *length, *line;
    uint8_t* verbatim;
  };
  OriginArrays origin_arrays();

 private:
  struct Cold {
    columnar::BufferPtr values, offsets, validity;
    std::vector<columnar::BufferPtr> values_pool, offsets_pool;
    std::unique_ptr<columnar::ColumnBuilder> general;  // lists
    size_t width = 0;
    bool text = false, needed = true;
  };
  static columnar::BufferPtr take(std::vector<columnar::BufferPtr>& pool, size_t size);

  columnar::SchemaPtr schema_;
  const std::vector<FieldCodec>* codecs_;
  std::vector<hot::Column> hot_;
  std::vector<Cold> cold_;
  std::vector<uint32_t> with_nulls_;  // columns that have a bitmap in this batch
  std::shared_ptr<columnar::RowOrigin> origin_;
  ChunkPtr chunk_;
  int64_t row_ = 0;
  bool wants_origin_ = true;
};

}  // namespace runink::connectors
