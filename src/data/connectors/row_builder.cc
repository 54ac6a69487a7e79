#include "data/connectors/row_builder.h"

#include <atomic>
#include <cstring>

namespace runink::connectors {

using columnar::Buffer;
using columnar::BufferPtr;
using columnar::kBatchRows;
using columnar::TypeId;

namespace {
constexpr size_t kPoolBuffers = 8;
constexpr size_t kKeepBytes = size_t{4} << 20;  // larger buffers (one huge record) are not kept
constexpr size_t kFirstTextBytes = size_t{32} << 10;
}  // namespace

RowBuilder::RowBuilder(columnar::SchemaPtr schema, const std::vector<FieldCodec>* codecs, bool origin, bool csv)
    : schema_(std::move(schema)), codecs_(codecs), wants_origin_(origin) {
  hot_.resize(codecs->size());
  cold_.resize(codecs->size());
  for (size_t i = 0; i < codecs->size(); ++i) {
    const FieldCodec& codec = (*codecs)[i];
    hot_[i].op = codec.op;
    hot_[i].low = codec.low;
    hot_[i].high = codec.high;
    hot_[i].layout = csv ? &codec.csv_layout : &codec.json_layout;
    hot_[i].nullable_here = !codec.options.default_value.has_value();
    cold_[i].width = static_cast<size_t>(codec.field.type.width());
    cold_[i].text = codec.field.type.is_text();
    cold_[i].needed = codec.options.needed;
    if (codec.id == TypeId::kList || codec.id == TypeId::kStruct) {
      cold_[i].general = std::make_unique<columnar::ColumnBuilder>(codec.field.type);
    }
    if (codec.id == TypeId::kList || codec.id == TypeId::kStruct || codec.id == TypeId::kNull)
      hot_[i].nullable_here = false;
  }
}

BufferPtr RowBuilder::take(std::vector<BufferPtr>& pool, size_t size) {
  for (BufferPtr& buffer : pool) {
    if (buffer.use_count() != 1) continue;
    // The last other holder let go of it, perhaps on another thread: see all it did before.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (buffer->capacity() > kKeepBytes) {
      buffer = columnar::make_buffer(size);
    } else {
      buffer->resize(0);
      buffer->resize(size);
    }
    return buffer;
  }
  BufferPtr fresh = columnar::make_buffer(size);
  if (pool.size() < kPoolBuffers) pool.push_back(fresh);
  return fresh;
}

void RowBuilder::start(const ChunkPtr& chunk) {
  chunk_ = chunk;
  row_ = 0;
  with_nulls_.clear();
  for (size_t i = 0; i < hot_.size(); ++i) {
    Cold& cold = cold_[i];
    hot::Column& column = hot_[i];
    column.validity = nullptr;
    column.wrong_guesses = column.wrong_guesses / 2;  // another try now and then
    cold.validity.reset();
    if (cold.general) continue;
    if (cold.text) {
      cold.offsets = take(cold.offsets_pool, (kBatchRows + 1) * sizeof(int32_t));
      cold.values = take(cold.values_pool, kFirstTextBytes);
      cold.values->resize(cold.values->capacity());
      column.text_capacity = cold.values->capacity();
      column.offsets = cold.offsets->as<int32_t>();
      column.offsets[0] = 0;
    } else {
      cold.values = take(cold.values_pool, kBatchRows * cold.width);
    }
    column.values = cold.values->data();
  }
  if (wants_origin_) {
    origin_ = std::make_shared<columnar::RowOrigin>();
    origin_->chunk = chunk;
    origin_->offset.resize(kBatchRows);
    origin_->length.resize(kBatchRows);
    origin_->line.resize(kBatchRows);
    origin_->verbatim.resize(kBatchRows);
  }
}

RowBuilder::OriginArrays RowBuilder::origin_arrays() {
  if (!origin_) return {nullptr, nullptr, nullptr, nullptr};
  return {origin_->offset.data(), origin_->length.data(), origin_->line.data(), origin_->verbatim.data()};
}

void RowBuilder::restart_row() {
  for (const uint32_t column : with_nulls_) columnar::set_bit(hot_[column].validity, row_);
  for (Cold& cold : cold_) {
    if (cold.general && cold.general->length() > row_) cold.general->drop_last();
  }
}

void RowBuilder::set_null(size_t index, int64_t row) {
  hot::Column& column = hot_[index];
  Cold& cold = cold_[index];
  if (cold.general) {
    cold.general->append_null();
    return;
  }
  if (column.validity == nullptr) {
    cold.validity = columnar::make_buffer(columnar::bitmap_bytes(kBatchRows));
    std::memset(cold.validity->data(), 0xFF, cold.validity->size());
    column.validity = cold.validity->data();
    with_nulls_.push_back(static_cast<uint32_t>(index));
  }
  columnar::clear_bit(column.validity, row);
  if (cold.text) {
    column.offsets[row + 1] = column.offsets[row];
  } else {
    std::memset(column.values + static_cast<size_t>(row) * cold.width, 0, cold.width);
  }
}

void RowBuilder::set_scalar(size_t index, const Scalar& value) {
  uint8_t* at = hot_[index].values + static_cast<size_t>(row_) * cold_[index].width;
  const auto put = [at](auto v) { std::memcpy(at, &v, sizeof v); };
  switch ((*codecs_)[index].id) {
    case TypeId::kBool:
      put(static_cast<uint8_t>(value.boolean));
      break;
    case TypeId::kInt8:
      put(static_cast<int8_t>(value.integer));
      break;
    case TypeId::kInt16:
      put(static_cast<int16_t>(value.integer));
      break;
    case TypeId::kInt32:
    case TypeId::kDate:
    case TypeId::kEnum:
      put(static_cast<int32_t>(value.integer));
      break;
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
      put(value.integer);
      break;
    case TypeId::kUInt8:
      put(static_cast<uint8_t>(value.integer));
      break;
    case TypeId::kUInt16:
      put(static_cast<uint16_t>(value.integer));
      break;
    case TypeId::kUInt32:
      put(static_cast<uint32_t>(value.integer));
      break;
    case TypeId::kUInt64:
      put(value.unsigned_integer);
      break;
    case TypeId::kFloat32:
      put(value.real32);
      break;
    case TypeId::kFloat64:
      put(value.real);
      break;
    case TypeId::kDecimal:
      put(value.decimal);
      break;
    case TypeId::kUuid:
      std::memcpy(at, value.uuid, 16);
      break;
    case TypeId::kBytes:
      set_text(index, value.bytes);
      break;
    default:
      RUNINK_CHECK(false);
  }
}

void RowBuilder::grow_text(uint32_t index, size_t size) {
  Cold& cold = cold_[index];
  // What follows a huge text shall not make a second copy of it: room that is never written takes no memory.
  cold.values->reserve(size > kKeepBytes ? size + size / 2 : size);
  cold.values->resize(cold.values->capacity());
  hot_[index].values = cold.values->data();
  hot_[index].text_capacity = cold.values->capacity();
}

char* RowBuilder::text_room(size_t index, size_t size) {
  hot::Column& column = hot_[index];
  const size_t at = cold_[index].needed ? static_cast<size_t>(column.offsets[row_]) : 0;
  if (at + size > column.text_capacity) grow_text(static_cast<uint32_t>(index), at + size);
  return reinterpret_cast<char*>(column.values) + at;
}

void RowBuilder::commit_text(size_t index, size_t size) {
  if (cold_[index].needed) hot_[index].offsets[row_ + 1] = hot_[index].offsets[row_] + static_cast<int32_t>(size);
}

void RowBuilder::set_text(size_t index, std::string_view text) {
  char* room = text_room(index, text.size());
  if (!text.empty()) std::memcpy(room, text.data(), text.size());
  commit_text(index, text.size());
}

void RowBuilder::set_value(size_t index, const columnar::Value& value) {
  if (cold_[index].general) {
    cold_[index].general->append_value(value);
    return;
  }
  if (value.is_null()) return set_null(index);
  const TypeId id = (*codecs_)[index].id;
  if (id == TypeId::kString || id == TypeId::kJson || id == TypeId::kBytes) {
    return set_text(index, std::get<std::string>(value.data));
  }
  Scalar scalar;
  if (const auto* boolean = std::get_if<bool>(&value.data)) scalar.boolean = *boolean;
  if (const auto* integer = std::get_if<int64_t>(&value.data)) {
    scalar.integer = *integer;
    scalar.unsigned_integer = static_cast<uint64_t>(*integer);
    scalar.real = static_cast<double>(*integer);
    scalar.real32 = static_cast<float>(*integer);
  }
  if (const auto* integer = std::get_if<uint64_t>(&value.data)) {
    scalar.unsigned_integer = *integer;
    scalar.integer = static_cast<int64_t>(*integer);
  }
  if (const auto* real = std::get_if<double>(&value.data)) {
    scalar.real = *real;
    scalar.real32 = static_cast<float>(*real);
  }
  if (const auto* decimal = std::get_if<columnar::int128>(&value.data)) scalar.decimal = *decimal;
  if (const auto* text = std::get_if<std::string>(&value.data); text != nullptr && text->size() == 16) {
    std::memcpy(scalar.uuid, text->data(), 16);
  }
  set_scalar(index, scalar);
}

void RowBuilder::commit_row(uint32_t offset, uint32_t length, uint32_t line, bool verbatim) {
  if (origin_) {
    const auto r = static_cast<size_t>(row_);
    origin_->offset[r] = offset;
    origin_->length[r] = length;
    origin_->line[r] = line;
    origin_->verbatim[r] = verbatim;
  }
  ++row_;
}

columnar::Batch RowBuilder::finish() {
  columnar::Batch batch;
  batch.schema = schema_;
  batch.rows = row_;
  batch.columns.reserve(hot_.size());
  for (size_t i = 0; i < hot_.size(); ++i) {
    const columnar::DataType& type = (*codecs_)[i].field.type;
    Cold& cold = cold_[i];
    if (cold.general) {
      columnar::Column built = cold.general->finish();
      batch.columns.push_back(cold.needed ? std::move(built) : columnar::make_null_column(type, row_));
      continue;
    }
    if (!cold.needed || type.id() == TypeId::kNull) {
      batch.columns.push_back(columnar::make_null_column(type, row_));
      continue;
    }
    columnar::Column column;
    column.type = type;
    column.length = row_;
    if (cold.text) {
      cold.values->resize(static_cast<size_t>(hot_[i].offsets[row_]));
      cold.offsets->resize(static_cast<size_t>(row_ + 1) * sizeof(int32_t));
      column.offsets = std::move(cold.offsets);
      // A huge buffer is the batch's alone, and goes with it.
      if (cold.values->capacity() > kKeepBytes) std::erase(cold.values_pool, cold.values);
    } else {
      cold.values->resize(static_cast<size_t>(row_) * cold.width);
    }
    column.values = std::move(cold.values);
    if (cold.validity) {
      cold.validity->resize(columnar::bitmap_bytes(row_));
      column.validity = std::move(cold.validity);
    }
    batch.columns.push_back(std::move(column));
  }
  if (origin_) {
    const auto rows = static_cast<size_t>(row_);
    origin_->offset.resize(rows);
    origin_->length.resize(rows);
    origin_->line.resize(rows);
    origin_->verbatim.resize(rows);
    batch.origin = std::move(origin_);
  }
  chunk_.reset();
  return batch;
}

}  // namespace runink::connectors
