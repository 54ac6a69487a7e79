// The Runink side of arrow.mjs.
//
//   arrow_dump sample FILE SEED ROWS [zstd]   writes an Arrow IPC stream of two batches with every type, and prints what
//                                             is in it
//   arrow_dump read FILE                      prints what is in an Arrow IPC stream or file
//
// First line: an object of field names and types. Then one line per row: an array with, per field, null or the value's
// plain text as a string; lists are arrays and structs arrays of their members.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/text.h"
#include "data/columnar/builder.h"
#include "data/columnar/ipc.h"
#include "data/columnar/test_data.h"
#include "data/columnar/text.h"

namespace {

using namespace runink;            // NOLINT: a small program
using namespace runink::columnar;  // NOLINT

void append_tagged(const Column& column, int64_t row, std::string& out) {
  if (column.is_null(row)) {
    out += "null";
    return;
  }
  if (column.type.id() == TypeId::kList || column.type.id() == TypeId::kStruct) {
    const bool list = column.type.id() == TypeId::kList;
    const int64_t count = list ? column.offset_data()[row + 1] - column.offset_data()[row]
                               : static_cast<int64_t>(column.children.size());
    out += '[';
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0) out += ',';
      if (list) append_tagged(column.children[0], column.offset_data()[row] + i, out);
      else append_tagged(column.children[static_cast<size_t>(i)], row, out);
    }
    out += ']';
    return;
  }
  std::string text;
  FieldText(column.type).append_plain(column, row, text);
  append_json_quoted(out, text);
}

void print_schema(const Schema& schema) {
  std::string out = "{";
  for (const auto& field : schema.fields()) {
    if (out.size() > 1) out += ',';
    out += json_quote(field.name) + ":" + json_quote(field.type.to_string());
  }
  std::printf("%s}\n", out.c_str());
}

void print_rows(const Batch& batch) {
  for (int64_t row = 0; row < batch.rows; ++row) {
    std::string out = "[";
    for (const auto& column : batch.columns) {
      if (out.size() > 1) out += ',';
      append_tagged(column, row, out);
    }
    std::printf("%s]\n", out.c_str());
  }
}

int fails(const Status& status) {
  std::fprintf(stderr, "arrow_dump: %s\n", status.to_string().c_str());
  return 1;
}

int write_sample(const char* path, uint64_t seed, int64_t rows, bool zstd) {
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr) return fails(from_errno(errno, path));
  const Batch a = sample_batch(seed, rows), b = sample_batch(seed + 1, rows / 2, 0.5);
  IpcWriter writer(
      a.schema,
      [&](std::string_view bytes) {
        return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() ? Status() : from_errno(errno, "write");
      },
      {zstd});
  for (const auto& batch : {a, b}) {
    const Status status = writer.write_batch(batch);
    if (!status.ok()) return fails(status);
  }
  const Status status = writer.finish();
  if (!status.ok()) return fails(status);
  std::fclose(file);
  print_schema(*a.schema);
  print_rows(a);
  print_rows(b);
  return 0;
}

int read(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return fails(from_errno(errno, path));
  IpcReader reader([&](char* into, size_t size) -> Result<size_t> { return std::fread(into, 1, size, file); });
  const auto schema = reader.schema();
  if (!schema.ok()) return fails(schema.status());
  print_schema(**schema);
  while (true) {
    const auto batch = reader.next();
    if (!batch.ok()) return fails(batch.status());
    if (!*batch) break;
    print_rows(**batch);
  }
  std::fclose(file);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "sample" && argc >= 5) {
    return write_sample(argv[2], std::strtoull(argv[3], nullptr, 10), std::atoll(argv[4]), argc > 5);
  }
  if (verb == "read" && argc == 3) return read(argv[2]);
  std::fprintf(stderr, "usage: arrow_dump sample FILE SEED ROWS [zstd] | arrow_dump read FILE\n");
  return 2;
}
