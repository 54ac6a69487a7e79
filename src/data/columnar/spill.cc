#include "data/columnar/spill.h"

#include <unistd.h>

#include <cerrno>
#include <limits>

#include "base/check.h"
#include "data/columnar/kernels.h"
#include "data/columnar/row_key.h"

namespace runink::columnar {

namespace {

constexpr char kFileMagic[8] = {'R', 'N', 'K', 'S', 'P', 'I', 'L', '1'};
constexpr uint32_t kBatchMagic = 0x48435442;  // "BTCH"
constexpr size_t kWriteBytes = size_t{256} << 10;

struct FileHead {
  char magic[8];
  uint64_t schema_hash;
};
struct BatchHead {
  uint32_t magic;
  uint32_t rows;
  uint64_t payload_bytes;
  uint64_t checksum;  // XXH3 of the payload, mixed with rows
};

uint64_t checksum_of(std::string_view payload, uint32_t rows) {
  return hash_bytes(payload) ^ rows * 0x9E3779B97F4A7C15ULL;
}
uint64_t schema_hash(const Schema& schema) { return hash_bytes(schema.to_string()); }

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
void put_bytes(std::string& out, const void* bytes, size_t size) {
  put<uint64_t>(out, size);
  if (size > 0) out.append(static_cast<const char*>(bytes), size);
}
template <typename T>
void put_vector(std::string& out, const std::vector<T>& values) {
  put_bytes(out, values.data(), values.size() * sizeof(T));
}

void put_column(const Column& column, std::string& out) {
  const auto rows = static_cast<size_t>(column.length);
  put<uint64_t>(out, rows);
  if (column.type.id() == TypeId::kNull) return;
  put_bytes(out, column.validity ? column.validity->data() : nullptr,
            column.validity ? bitmap_bytes(column.length) : 0);
  if (column.offsets) put_bytes(out, column.offsets->data(), (rows + 1) * sizeof(int32_t));
  if (column.type.is_text()) {
    put_bytes(out, column.values->data(), static_cast<size_t>(column.offset_data()[rows]));
  } else if (const int width = column.type.width(); width > 0) {
    put_bytes(out, column.values->data(), rows * static_cast<size_t>(width));
  }
  for (const auto& child : column.children) put_column(child, out);
}

// Reads what the functions above wrote. After the first piece that does not fit, everything fails.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T get() {
    T value{};
    if (rest_.size() < sizeof(T)) {
      fail();
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  std::string_view get_bytes() {
    const auto size = get<uint64_t>();
    if (size > rest_.size()) {
      fail();
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  BufferPtr get_buffer(size_t expected) {
    const std::string_view bytes = get_bytes();
    if (bytes.size() != expected) {
      fail();
      return make_buffer(0);
    }
    BufferPtr buffer = make_buffer(bytes.size());
    if (!bytes.empty()) std::memcpy(buffer->data(), bytes.data(), bytes.size());
    return buffer;
  }
  template <typename T>
  std::vector<T> get_vector(size_t expected) {
    const std::string_view bytes = get_bytes();
    if (bytes.size() != expected * sizeof(T)) {
      fail();
      return {};
    }
    std::vector<T> values(expected);
    if (expected > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  Column get_column(const DataType& type) {
    Column out;
    out.type = type;
    const auto rows = get<uint64_t>();
    if (rows > std::numeric_limits<int32_t>::max()) fail();
    if (!good_ || type.id() == TypeId::kNull) {
      out.length = good_ ? static_cast<int64_t>(rows) : 0;
      return out;
    }
    out.length = static_cast<int64_t>(rows);
    const std::string_view validity = get_bytes();
    if (!validity.empty()) {
      if (validity.size() != bitmap_bytes(out.length)) fail();
      out.validity = make_buffer(validity.size());
      std::memcpy(out.validity->data(), validity.data(), validity.size());
    }
    int32_t end = 0;
    if (type.is_text() || type.id() == TypeId::kList) {
      out.offsets = get_buffer((rows + 1) * sizeof(int32_t));
      if (good_) end = out.offset_data()[rows];
    }
    if (type.is_text()) {
      out.values = get_buffer(static_cast<size_t>(end));
    } else if (type.id() == TypeId::kList) {
      out.children.push_back(get_column(type.element()));
      if (out.children[0].length != end) fail();
    } else if (type.id() == TypeId::kStruct) {
      for (const auto& field : type.fields()) {
        out.children.push_back(get_column(field.type));
        if (out.children.back().length != out.length) fail();
      }
    } else {
      out.values = get_buffer(rows * static_cast<size_t>(type.width()));
    }
    return out;
  }

  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

 private:
  void fail() {
    good_ = false;
    rest_ = {};
  }
  std::string_view rest_;
  bool good_ = true;
};

Status damaged() { return data_loss("a spill file is damaged: a batch does not have its checksum or its form"); }

Result<Batch> decode_payload(std::string_view payload, const BatchHead& head, const SchemaPtr& schema) {
  if (head.magic != kBatchMagic || checksum_of(payload, head.rows) != head.checksum) return damaged();
  Cursor in(payload);
  Batch batch;
  batch.schema = schema;
  batch.rows = head.rows;
  for (const auto& field : schema->fields()) {
    batch.columns.push_back(in.get_column(field.type));
    if (batch.columns.back().length != batch.rows) return damaged();
  }
  if (in.get<uint8_t>() != 0) {
    auto origin = std::make_shared<RowOrigin>();
    origin->kept = in.get_bytes();
    origin->offset = in.get_vector<uint32_t>(head.rows);
    origin->length = in.get_vector<uint32_t>(head.rows);
    origin->source_of = in.get_vector<uint32_t>(head.rows);
    origin->position_of = in.get_vector<uint64_t>(head.rows);
    origin->line_of = in.get_vector<uint64_t>(head.rows);
    if (in.get<uint8_t>() != 0) origin->verbatim = in.get_vector<uint8_t>(head.rows);
    batch.origin = std::move(origin);
  }
  if (!in.good() || !in.at_end()) return damaged();
  return batch;
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return from_errno(errno, "write a spill file");
    }
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return {};
}

// How much of `size` there was.
Result<size_t> read_at(int fd, uint64_t position, char* into, size_t size) {
  size_t have = 0;
  while (have < size) {
    const ssize_t got = ::pread(fd, into + have, size - have, static_cast<off_t>(position + have));
    if (got < 0) {
      if (errno == EINTR) continue;
      return from_errno(errno, "read a spill file");
    }
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return have;
}

}  // namespace

void spill_encode(const Batch& batch, std::string& out, bool lines_known) {
  RUNINK_CHECK(batch.rows <= std::numeric_limits<int32_t>::max());
  const size_t head_at = out.size();
  out.resize(head_at + sizeof(BatchHead));
  for (const auto& column : batch.columns) put_column(column, out);
  const RowOriginPtr origin = materialise_origin(batch.origin, lines_known);
  put<uint8_t>(out, origin != nullptr);
  if (origin) {
    put_bytes(out, origin->kept.data(), origin->kept.size());
    put_vector(out, origin->offset);
    put_vector(out, origin->length);
    put_vector(out, origin->source_of);
    put_vector(out, origin->position_of);
    put_vector(out, origin->line_of);
    put<uint8_t>(out, !origin->verbatim.empty());
    if (!origin->verbatim.empty()) put_vector(out, origin->verbatim);
  }
  const std::string_view payload = std::string_view(out).substr(head_at + sizeof(BatchHead));
  const auto rows = static_cast<uint32_t>(batch.rows);
  const BatchHead head{kBatchMagic, rows, payload.size(), checksum_of(payload, rows)};
  std::memcpy(out.data() + head_at, &head, sizeof head);
}

Result<Batch> spill_decode(std::string_view bytes, const SchemaPtr& schema, size_t* consumed) {
  BatchHead head;
  if (bytes.size() < sizeof head) return damaged();
  std::memcpy(&head, bytes.data(), sizeof head);
  bytes.remove_prefix(sizeof head);
  if (head.payload_bytes > bytes.size()) return damaged();
  if (consumed != nullptr) *consumed = sizeof head + head.payload_bytes;
  return decode_payload(bytes.substr(0, head.payload_bytes), head, schema);
}

struct SpillWriter::Impl {
  int fd;
  SchemaPtr schema;
  std::string buffer;
  uint64_t bytes = 0, rows = 0;

  void begin() {
    if (bytes + buffer.size() > 0) return;
    FileHead head{{}, schema_hash(*schema)};
    std::memcpy(head.magic, kFileMagic, sizeof head.magic);
    buffer.append(reinterpret_cast<const char*>(&head), sizeof head);
  }
  Status drain() {
    RUNINK_RETURN_IF_ERROR(write_all(fd, buffer));
    bytes += buffer.size();
    buffer.clear();
    return {};
  }
};

SpillWriter::SpillWriter(int fd, SchemaPtr schema) : impl_(std::make_unique<Impl>()) {
  impl_->fd = fd;
  impl_->schema = std::move(schema);
}
SpillWriter::~SpillWriter() = default;
SpillWriter::SpillWriter(SpillWriter&&) noexcept = default;
SpillWriter& SpillWriter::operator=(SpillWriter&&) noexcept = default;

Status SpillWriter::write(const Batch& batch, bool lines_known) {
  RUNINK_CHECK(batch.columns.size() == impl_->schema->size());
  impl_->begin();
  spill_encode(batch, impl_->buffer, lines_known);
  impl_->rows += static_cast<uint64_t>(batch.rows);
  return impl_->buffer.size() >= kWriteBytes ? impl_->drain() : Status();
}
Status SpillWriter::flush() {
  impl_->begin();
  RUNINK_RETURN_IF_ERROR(impl_->drain());
  std::string().swap(impl_->buffer);  // many writers may be open, most of them idle
  return {};
}
uint64_t SpillWriter::bytes_written() const { return impl_->bytes + impl_->buffer.size(); }
uint64_t SpillWriter::rows_written() const { return impl_->rows; }

struct SpillReader::Impl {
  int fd;
  SchemaPtr schema;
  uint64_t position, end;
  bool begun = false;
  std::string payload;

  // Reads `size` bytes at the position and moves on; fewer only at the end.
  Result<size_t> read(char* into, size_t size) {
    size = static_cast<size_t>(std::min<uint64_t>(size, end - position));
    const size_t got = RUNINK_TRY(read_at(fd, position, into, size));
    position += got;
    return got;
  }

  Result<std::optional<Batch>> next() {
    if (!begun) {
      FileHead head;
      if (RUNINK_TRY(read(reinterpret_cast<char*>(&head), sizeof head)) != sizeof head ||
          std::memcmp(head.magic, kFileMagic, sizeof head.magic) != 0 || head.schema_hash != schema_hash(*schema)) {
        return data_loss("a spill file is damaged: it does not begin with the mark of its schema");
      }
      begun = true;
    }
    BatchHead head;
    const size_t got = RUNINK_TRY(read(reinterpret_cast<char*>(&head), sizeof head));
    if (got == 0) return std::optional<Batch>();
    if (got != sizeof head || head.magic != kBatchMagic || head.payload_bytes > end - position) return damaged();
    // The size is trusted only as far as bytes come.
    payload.clear();
    while (payload.size() < head.payload_bytes) {
      const size_t at = payload.size();
      payload.resize(std::min<uint64_t>(head.payload_bytes, at + (size_t{64} << 20)));
      if (RUNINK_TRY(read(payload.data() + at, payload.size() - at)) != payload.size() - at) return damaged();
    }
    return std::optional<Batch>(RUNINK_TRY(decode_payload(payload, head, schema)));
  }
};

SpillReader::SpillReader(int fd, SchemaPtr schema, uint64_t position, uint64_t end) : impl_(std::make_unique<Impl>()) {
  impl_->fd = fd;
  impl_->schema = std::move(schema);
  impl_->position = position;
  impl_->end = std::max(position, end);
}
SpillReader::~SpillReader() = default;
SpillReader::SpillReader(SpillReader&&) noexcept = default;
SpillReader& SpillReader::operator=(SpillReader&&) noexcept = default;

Result<std::optional<Batch>> SpillReader::next() { return impl_->next(); }

}  // namespace runink::columnar
