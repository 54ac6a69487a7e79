#include "data/connectors/arrow_writer.h"

namespace runink::connectors {

using columnar::Buffer;

ArrowWriter::ArrowWriter(columnar::SchemaPtr schema)
    : schema_(std::move(schema)), ipc_(schema_, [this](std::string_view bytes) {
        if (out_ != nullptr) out_->append(bytes.data(), bytes.size());
        return Status();
      }) {}

// Every worker's writer makes the schema and the dictionaries (which are the enum labels of the schema, so the same for
// all); only the one whose begin() is called puts them out.
Status ArrowWriter::prepare(Buffer* out) {
  if (prepared_) return Status();
  prepared_ = true;
  out_ = out;
  Status status = ipc_.write_schema();
  out_ = nullptr;
  return status;
}

Status ArrowWriter::begin(Buffer& out) { return prepare(&out); }

Status ArrowWriter::append(const columnar::Batch& batch, Buffer& out) {
  RUNINK_RETURN_IF_ERROR(prepare(nullptr));
  out_ = &out;
  Status status = ipc_.write_batch(batch);
  out_ = nullptr;
  return status;
}

Status ArrowWriter::end(Buffer& out) {
  RUNINK_RETURN_IF_ERROR(prepare(nullptr));
  out_ = &out;
  Status status = ipc_.finish();
  out_ = nullptr;
  return status;
}

}  // namespace runink::connectors
