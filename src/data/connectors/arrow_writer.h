// ArrowWriter: an Arrow IPC stream. See record_writer.h and data/columnar/ipc.h.
#pragma once

#include "data/columnar/ipc.h"
#include "data/connectors/record_writer.h"

namespace runink::connectors {

class ArrowWriter : public RecordWriter {
 public:
  explicit ArrowWriter(columnar::SchemaPtr schema);
  Status begin(columnar::Buffer& out) override;
  Status append(const columnar::Batch& batch, columnar::Buffer& out) override;
  Status end(columnar::Buffer& out) override;

 private:
  Status prepare(columnar::Buffer* out);

  columnar::SchemaPtr schema_;
  columnar::Buffer* out_ = nullptr;  // where the codec's bytes go; null: nowhere
  bool prepared_ = false;
  columnar::IpcWriter ipc_;
};

}  // namespace runink::connectors
