#include "data/columnar/spill.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "data/columnar/kernels.h"
#include "data/columnar/test_data.h"

namespace runink::columnar {
namespace {

// A file without a name: it goes with its descriptor.
class TempFile {
 public:
  TempFile() : file_(std::tmpfile()) {}
  ~TempFile() { std::fclose(file_); }
  int fd() const { return fileno(file_); }

 private:
  std::FILE* file_;
};

Batch with_origin(Batch batch) {
  auto origin = std::make_shared<RowOrigin>();
  for (int64_t i = 0; i < batch.rows; ++i) {
    const std::string record = "record " + std::to_string(i);
    origin->offset.push_back(static_cast<uint32_t>(origin->kept.size()));
    origin->length.push_back(static_cast<uint32_t>(record.size()));
    origin->kept += record;
    origin->source_of.push_back(2);
    origin->position_of.push_back(uint64_t{1} << 40 | static_cast<uint64_t>(i));
    origin->line_of.push_back(static_cast<uint64_t>(i) + 7);
    origin->verbatim.push_back(static_cast<uint8_t>(i % 2));
  }
  batch.origin = origin;
  return batch;
}

TEST(Spill, gives_back_what_was_written) {
  TempFile file;
  const Batch a = with_origin(sample_batch(61, 200)), b = sample_batch(62, 0), c = sample_batch(63, 1, 1.0);
  SpillWriter writer(file.fd(), a.schema);
  for (const auto& batch : {a, b, c}) ASSERT_TRUE(writer.write(batch).ok());
  ASSERT_TRUE(writer.flush().ok());
  EXPECT_EQ(writer.rows_written(), 201u);
  EXPECT_EQ(writer.bytes_written(), static_cast<uint64_t>(lseek(file.fd(), 0, SEEK_END)));

  SpillReader reader(file.fd(), a.schema);
  for (const auto& expected : {a, b, c}) {
    const auto batch = reader.next();
    ASSERT_TRUE(batch.ok()) << batch.status().to_string();
    ASSERT_TRUE(batch->has_value());
    EXPECT_EQ(difference(**batch, expected), "");
    EXPECT_EQ((*batch)->origin != nullptr, expected.origin != nullptr);
  }
  EXPECT_FALSE(reader.next()->has_value());

  SpillReader again(file.fd(), a.schema);
  const RowOriginPtr origin = (*again.next())->origin;
  EXPECT_EQ(origin->bytes(199), "record 199");
  EXPECT_EQ(origin->source(5), 2u);
  EXPECT_EQ(origin->position(3), (uint64_t{1} << 40) + 3);
  EXPECT_EQ(origin->line_number(3), 10u);
  EXPECT_EQ(origin->verbatim[3], 1);
}

TEST(Spill, several_runs_in_one_file) {
  TempFile file;
  const Batch a = sample_batch(64, 10), b = sample_batch(65, 20);
  SpillWriter first(file.fd(), a.schema);
  ASSERT_TRUE(first.write(a).ok());
  ASSERT_TRUE(first.flush().ok());
  SpillWriter second(file.fd(), b.schema);
  ASSERT_TRUE(second.write(b).ok());
  ASSERT_TRUE(second.flush().ok());
  SpillReader reader_a(file.fd(), a.schema, 0, first.bytes_written());
  SpillReader reader_b(file.fd(), b.schema, first.bytes_written());
  EXPECT_EQ(difference(**reader_a.next(), a), "");
  EXPECT_FALSE(reader_a.next()->has_value());
  EXPECT_EQ(difference(**reader_b.next(), b), "");
  EXPECT_FALSE(reader_b.next()->has_value());
}

TEST(Spill, an_empty_run_is_empty_and_no_run_is_damage) {
  TempFile file;
  const auto schema = std::make_shared<Schema>(sample_fields());
  SpillWriter writer(file.fd(), schema);
  EXPECT_EQ(SpillReader(file.fd(), schema).next().status().code(), Code::kDataLoss);
  ASSERT_TRUE(writer.flush().ok());
  EXPECT_FALSE(SpillReader(file.fd(), schema).next()->has_value());
}

TEST(Spill, any_flipped_byte_and_any_truncation_is_noticed) {
  const Batch batch = with_origin(sample_batch(66, 20));
  std::string bytes;
  spill_encode(batch, bytes);
  size_t consumed = 0;
  const auto good = spill_decode(bytes, batch.schema, &consumed);
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(consumed, bytes.size());
  EXPECT_EQ(difference(*good, batch), "");
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_EQ(spill_decode(damaged, batch.schema).status().code(), Code::kDataLoss) << at;
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(spill_decode(std::string_view(bytes).substr(0, size), batch.schema).ok()) << size;
  }
}

TEST(Spill, another_schema_is_refused) {
  TempFile file;
  const Batch batch = sample_batch(67, 3);
  SpillWriter writer(file.fd(), batch.schema);
  ASSERT_TRUE(writer.write(batch).ok());
  ASSERT_TRUE(writer.flush().ok());
  const auto other = std::make_shared<Schema>(std::vector<Field>{{"x", TypeId::kInt8}});
  EXPECT_EQ(SpillReader(file.fd(), other).next().status().code(), Code::kDataLoss);
}

TEST(Spill, a_descriptor_that_cannot_be_written_is_told) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[1]);
  const Batch batch = sample_batch(68, 3);
  SpillWriter writer(ends[0], batch.schema);
  ASSERT_TRUE(writer.write(batch).ok());
  EXPECT_FALSE(writer.flush().ok());
  close(ends[0]);
}

}  // namespace
}  // namespace runink::columnar
