#include "data/connectors/reader_columns.h"

namespace runink::connectors {

Result<ReaderColumns> reader_columns(const ReaderOptions& options) {
  ReaderColumns out;
  std::vector<columnar::Field> fields = options.schema->fields();
  for (size_t i = 0; i < fields.size(); ++i) {
    out.codecs.push_back(
        RUNINK_TRY(FieldCodec::make(fields[i], i < options.fields.size() ? options.fields[i] : FieldOptions())));
  }
  out.schema = options.schema;
  if (options.open) {
    columnar::Field extra;
    extra.name = std::string(kOpenColumn);
    extra.type = columnar::TypeId::kJson;
    out.codecs.push_back(RUNINK_TRY(FieldCodec::make(extra, FieldOptions())));
    fields.push_back(extra);
    out.schema = std::make_shared<const columnar::Schema>(std::move(fields));
  }
  return out;
}

}  // namespace runink::connectors
