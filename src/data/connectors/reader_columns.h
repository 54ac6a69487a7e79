// The columns that a reader of text fills: those of its schema, and in an open flow one more for what nothing names.
#pragma once

#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/connectors/field_codec.h"
#include "data/connectors/record_reader.h"

namespace runink::connectors {

struct ReaderColumns {
  columnar::SchemaPtr schema;
  std::vector<FieldCodec> codecs;  // one for each field of it
};

// Errors as FieldCodec::make.
Result<ReaderColumns> reader_columns(const ReaderOptions& options);

}  // namespace runink::connectors
