// Arrow IPC streams, written.
#include <zstd.h>

#include "base/check.h"
#include "base/text.h"
#include "data/columnar/arrow_ipc_generated.h"
#include "data/columnar/builder.h"
#include "data/columnar/ipc.h"
#include "data/columnar/kernels.h"

namespace runink::columnar {

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

constexpr size_t kAlignment = 64;  // of buffers in a body, as the format recommends
constexpr char kZeros[kAlignment] = {};

size_t padded(size_t size, size_t alignment) { return (size + alignment - 1) / alignment * alignment; }

// The dictionaries of a schema: one per enum, numbered in the order of the fields, depth first.
void collect_enums(const DataType& type, std::vector<DataType>* enums) {
  if (type.id() == TypeId::kEnum) enums->push_back(type);
  if (type.id() == TypeId::kList) collect_enums(type.element(), enums);
  if (type.id() == TypeId::kStruct) {
    for (const auto& field : type.fields()) collect_enums(field.type, enums);
  }
}

std::string labels_json(const DataType& type) {
  std::string out = "[";
  for (const auto& label : type.labels()) {
    if (out.size() > 1) out += ',';
    append_json_quoted(out, label);
  }
  return out + "]";
}

// The column with nothing left below its nulls: what stands there is unspecified in memory, and may be a value that was
// masked away. Others read the bytes, and the same rows give the same bytes.
Column without_hidden(const Column& column) {
  if (column.null_count() == 0) return column;
  Column out = column;
  if (column.length % 8 != 0) {
    out.validity = make_buffer(bitmap_bytes(column.length));
    std::memcpy(out.validity->data(), column.validity->data(), out.validity->size());
    out.validity->data()[out.validity->size() - 1] &= static_cast<uint8_t>((1u << (column.length % 8)) - 1);
  }
  if (const auto width = static_cast<size_t>(column.type.width()); width > 0) {
    out.values = make_buffer(static_cast<size_t>(column.length) * width);
    std::memcpy(out.values->data(), column.values->data(), out.values->size());
    for (int64_t row = 0; row < column.length; ++row) {
      if (column.is_null(row)) std::memset(out.values->data() + static_cast<size_t>(row) * width, 0, width);
    }
    return out;
  }
  if (column.offsets != nullptr) {
    const int32_t* offsets = column.offset_data();
    bool hidden = false;
    for (int64_t row = 0; row < column.length && !hidden; ++row) hidden = offsets[row + 1] > offsets[row] && column.is_null(row);
    if (!hidden) return out;
  }
  ColumnBuilder builder(column.type, column.length);
  for (int64_t row = 0; row < column.length; ++row) {
    if (column.is_null(row)) builder.append_null();
    else builder.append_from(column, row);
  }
  return builder.finish();
}

class SchemaEncoder {
 public:
  explicit SchemaEncoder(FlatBufferBuilder* builder) : b_(*builder) {}

  Offset<arrow::Schema> encode(const Schema& schema) {
    std::vector<Offset<arrow::Field>> fields;
    for (const auto& field : schema.fields()) fields.push_back(encode_field(field));
    return arrow::CreateSchema(b_, arrow::Endianness_LITTLE, b_.CreateVector(fields));
  }

 private:
  struct ArrowType {
    arrow::Type kind;
    Offset<void> table;
  };

  ArrowType integer(int bits, bool is_signed) {
    return {arrow::Type_Int, arrow::CreateInt(b_, bits, is_signed).Union()};
  }

  ArrowType encode_type(const DataType& type) {
    switch (type.id()) {
      case TypeId::kNull: return {arrow::Type_Null, arrow::CreateNull(b_).Union()};
      case TypeId::kBool: return {arrow::Type_Bool, arrow::CreateBool(b_).Union()};
      case TypeId::kInt8: case TypeId::kInt16: case TypeId::kInt32: case TypeId::kInt64:
        return integer(type.width() * 8, true);
      case TypeId::kUInt8: case TypeId::kUInt16: case TypeId::kUInt32: case TypeId::kUInt64:
        return integer(type.width() * 8, false);
      case TypeId::kFloat32:
        return {arrow::Type_FloatingPoint, arrow::CreateFloatingPoint(b_, arrow::Precision_SINGLE).Union()};
      case TypeId::kFloat64:
        return {arrow::Type_FloatingPoint, arrow::CreateFloatingPoint(b_, arrow::Precision_DOUBLE).Union()};
      case TypeId::kDecimal:
        return {arrow::Type_Decimal, arrow::CreateDecimal(b_, type.precision(), type.scale(), 128).Union()};
      case TypeId::kString:
      case TypeId::kJson:
      case TypeId::kEnum: return {arrow::Type_Utf8, arrow::CreateUtf8(b_).Union()};
      case TypeId::kBytes: return {arrow::Type_Binary, arrow::CreateBinary(b_).Union()};
      case TypeId::kDate: return {arrow::Type_Date, arrow::CreateDate(b_, arrow::DateUnit_DAY).Union()};
      case TypeId::kTime: return {arrow::Type_Time, arrow::CreateTime(b_, arrow::TimeUnit_MICROSECOND, 64).Union()};
      case TypeId::kTimestamp: {
        const auto utc = b_.CreateString("UTC");
        return {arrow::Type_Timestamp, arrow::CreateTimestamp(b_, arrow::TimeUnit_MICROSECOND, utc).Union()};
      }
      case TypeId::kDuration:
        return {arrow::Type_Duration, arrow::CreateDuration(b_, arrow::TimeUnit_MICROSECOND).Union()};
      case TypeId::kUuid: return {arrow::Type_FixedSizeBinary, arrow::CreateFixedSizeBinary(b_, 16).Union()};
      case TypeId::kList: return {arrow::Type_List, arrow::CreateList(b_).Union()};
      case TypeId::kStruct: return {arrow::Type_Struct_, arrow::CreateStruct_(b_).Union()};
    }
    return {arrow::Type_Null, arrow::CreateNull(b_).Union()};
  }

  Offset<arrow::Field> encode_field(const Field& field) {
    // FlatBuffers want inner objects finished before the outer one begins.
    std::vector<Offset<arrow::KeyValue>> metadata;
    const auto note = [&](std::string_view key, std::string_view value) {
      metadata.push_back(arrow::CreateKeyValue(b_, b_.CreateString(key), b_.CreateString(value)));
    };
    Offset<arrow::DictionaryEncoding> dictionary;
    if (field.type.id() == TypeId::kEnum) {
      note("runink.enum", labels_json(field.type));
      dictionary = arrow::CreateDictionaryEncoding(b_, next_dictionary_++, arrow::CreateInt(b_, 32, true));
    }
    if (field.type.id() == TypeId::kJson || field.type.id() == TypeId::kUuid) {
      note("ARROW:extension:name", field.type.id() == TypeId::kJson ? "arrow.json" : "arrow.uuid");
      note("ARROW:extension:metadata", "");
    }
    if (!field.format.empty()) note("runink.format", field.format);
    if (!field.zone.empty()) note("runink.zone", field.zone);

    std::vector<Offset<arrow::Field>> children;
    if (field.type.id() == TypeId::kList) children.push_back(encode_field({"item", field.type.element(), true, {}, {}}));
    if (field.type.id() == TypeId::kStruct) {
      for (const auto& member : field.type.fields()) children.push_back(encode_field(member));
    }
    const auto name = b_.CreateString(field.name);
    const ArrowType type = encode_type(field.type);
    const auto child_vector = b_.CreateVector(children);
    const auto metadata_vector = metadata.empty() ? 0 : b_.CreateVector(metadata);
    return arrow::CreateField(b_, name, field.nullable, type.kind, type.table, dictionary, child_vector,
                              metadata_vector);
  }

  FlatBufferBuilder& b_;
  int64_t next_dictionary_ = 0;
};

}  // namespace

struct IpcWriter::Impl {
  SchemaPtr schema;
  IpcSink sink;
  IpcWriteOptions options;
  bool schema_written = false;
  std::vector<arrow::FieldNode> nodes;
  std::vector<arrow::Buffer> buffers;
  std::vector<std::string_view> parts;  // of the body, each before its padding
  std::vector<BufferPtr> scratch;       // keeps what parts points to and columns do not own
  size_t body_size = 0;

  Status add_buffer(std::string_view bytes) {
    if (options.zstd && !bytes.empty()) {
      BufferPtr packed = make_buffer(8 + ZSTD_compressBound(bytes.size()));
      const size_t size =
          ZSTD_compress(packed->data() + 8, packed->size() - 8, bytes.data(), bytes.size(), 1);
      if (ZSTD_isError(size)) return internal_error("compress a buffer: {}", ZSTD_getErrorName(size));
      const auto length = static_cast<int64_t>(bytes.size());
      std::memcpy(packed->data(), &length, 8);
      packed->resize(8 + size);
      bytes = packed->view();
      scratch.push_back(std::move(packed));
    }
    buffers.emplace_back(static_cast<int64_t>(body_size), static_cast<int64_t>(bytes.size()));
    parts.push_back(bytes);
    body_size += padded(bytes.size(), kAlignment);
    return {};
  }

  Status add_column(const Column& given) {
    if (given.type.id() == TypeId::kNull) {
      nodes.emplace_back(given.length, given.null_count());
      return {};
    }
    const Column column = without_hidden(given);
    scratch.insert(scratch.end(), {column.values, column.offsets, column.validity});
    const auto length = static_cast<size_t>(column.length);
    nodes.emplace_back(column.length, column.null_count());
    RUNINK_RETURN_IF_ERROR(
        add_buffer(column.validity ? column.validity->view().substr(0, bitmap_bytes(column.length)) : std::string_view()));
    if (column.offsets) {
      RUNINK_RETURN_IF_ERROR(add_buffer(column.offsets->view().substr(0, (length + 1) * sizeof(int32_t))));
    }
    if (column.type.is_text()) {
      return add_buffer(column.values->view().substr(0, static_cast<size_t>(column.offset_data()[length])));
    }
    if (column.type.id() == TypeId::kBool) {
      BufferPtr bits = make_buffer(bitmap_bytes(column.length));
      bytes_to_bits(column.data<uint8_t>(), column.length, bits->data());
      scratch.push_back(bits);
      return add_buffer(bits->view());
    }
    if (const int width = column.type.width(); width > 0) {
      return add_buffer(column.values->view().substr(0, length * static_cast<size_t>(width)));
    }
    for (const auto& child : column.children) RUNINK_RETURN_IF_ERROR(add_column(child));
    return {};
  }

  Offset<arrow::RecordBatch> end_batch(FlatBufferBuilder* b, int64_t rows) {
    const auto node_vector = b->CreateVectorOfStructs(nodes);
    const auto buffer_vector = b->CreateVectorOfStructs(buffers);
    Offset<arrow::BodyCompression> compression;
    if (options.zstd) compression = arrow::CreateBodyCompression(*b, arrow::CompressionType_ZSTD);
    return arrow::CreateRecordBatch(*b, rows, node_vector, buffer_vector, compression);
  }

  template <typename T>
  Status write_message(FlatBufferBuilder* b, arrow::MessageHeader kind, Offset<T> header) {
    b->Finish(arrow::CreateMessage(*b, arrow::MetadataVersion_V5, kind, header.Union(),
                                   static_cast<int64_t>(body_size)));
    const size_t size = padded(b->GetSize(), 8);
    std::string message(8, '\xFF');
    const auto length = static_cast<int32_t>(size);
    std::memcpy(message.data() + 4, &length, 4);
    message.append(reinterpret_cast<const char*>(b->GetBufferPointer()), b->GetSize());
    message.resize(8 + size, '\0');
    RUNINK_RETURN_IF_ERROR(sink(message));
    for (std::string_view part : parts) {
      if (part.empty()) continue;
      RUNINK_RETURN_IF_ERROR(sink(part));
      const size_t gap = padded(part.size(), kAlignment) - part.size();
      if (gap > 0) RUNINK_RETURN_IF_ERROR(sink({kZeros, gap}));
    }
    nodes.clear();
    buffers.clear();
    parts.clear();
    scratch.clear();
    body_size = 0;
    return {};
  }

  Status write_schema() {
    if (schema_written) return {};
    schema_written = true;
    FlatBufferBuilder b;
    RUNINK_RETURN_IF_ERROR(write_message(&b, arrow::MessageHeader_Schema, SchemaEncoder(&b).encode(*schema)));
    std::vector<DataType> enums;
    for (const auto& field : schema->fields()) collect_enums(field.type, &enums);
    for (size_t id = 0; id < enums.size(); ++id) {
      ColumnBuilder labels(TypeId::kString);
      for (const auto& label : enums[id].labels()) labels.append_text(label);
      const Column column = labels.finish();
      RUNINK_RETURN_IF_ERROR(add_column(column));
      FlatBufferBuilder d;
      const auto data = end_batch(&d, column.length);
      RUNINK_RETURN_IF_ERROR(
          write_message(&d, arrow::MessageHeader_DictionaryBatch,
                        arrow::CreateDictionaryBatch(d, static_cast<int64_t>(id), data)));
    }
    return {};
  }
};

IpcWriter::IpcWriter(SchemaPtr schema, IpcSink sink, IpcWriteOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->schema = std::move(schema);
  impl_->sink = std::move(sink);
  impl_->options = options;
}
IpcWriter::~IpcWriter() = default;
IpcWriter::IpcWriter(IpcWriter&&) noexcept = default;
IpcWriter& IpcWriter::operator=(IpcWriter&&) noexcept = default;

Status IpcWriter::write_schema() { return impl_->write_schema(); }

Status IpcWriter::write_batch(const Batch& batch) {
  RUNINK_CHECK(batch.columns.size() == impl_->schema->size());
  RUNINK_RETURN_IF_ERROR(impl_->write_schema());
  for (const auto& column : batch.columns) RUNINK_RETURN_IF_ERROR(impl_->add_column(column));
  FlatBufferBuilder b;
  const auto header = impl_->end_batch(&b, batch.rows);
  return impl_->write_message(&b, arrow::MessageHeader_RecordBatch, header);
}

Status IpcWriter::finish() {
  RUNINK_RETURN_IF_ERROR(impl_->write_schema());
  return impl_->sink(std::string_view("\xFF\xFF\xFF\xFF\0\0\0\0", 8));
}

Result<std::string> ipc_encode(const SchemaPtr& schema, const std::vector<Batch>& batches, IpcWriteOptions options) {
  std::string out;
  IpcWriter writer(
      schema,
      [&](std::string_view bytes) {
        out += bytes;
        return Status();
      },
      options);
  for (const auto& batch : batches) RUNINK_RETURN_IF_ERROR(writer.write_batch(batch));
  RUNINK_RETURN_IF_ERROR(writer.finish());
  return out;
}

}  // namespace runink::columnar
