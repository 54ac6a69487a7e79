#include "data/columnar/ipc.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "data/columnar/arrow_ipc_generated.h"
#include "data/columnar/builder.h"
#include "data/columnar/kernels.h"
#include "data/columnar/test_data.h"

namespace runink::columnar {
namespace {

std::vector<Batch> decoded(std::string_view bytes, IpcReadLimits limits = {}) {
  auto batches = ipc_decode(bytes, limits);
  EXPECT_TRUE(batches.ok()) << batches.status().to_string();
  return batches.ok() ? *batches : std::vector<Batch>();
}

// A stream made by hand, of what IpcWriter does not write.
class Stream {
 public:
  using Builder = flatbuffers::FlatBufferBuilder;
  struct ForeignType {
    arrow::Type kind;
    std::function<flatbuffers::Offset<void>(Builder&)> make;
    std::vector<ForeignType> children = {};
    int64_t dictionary = -1;
    int index_bits = 32;
    bool index_signed = true;
    bool nullable = true;
    const char* name = "f";
  };

  void schema(const std::vector<ForeignType>& types) {
    Builder b;
    std::vector<flatbuffers::Offset<arrow::Field>> fields;
    for (const auto& type : types) fields.push_back(field(b, type));
    message(b, arrow::MessageHeader_Schema,
            arrow::CreateSchema(b, arrow::Endianness_LITTLE, b.CreateVector(fields)).Union(), "");
  }

  struct Part {
    int64_t rows;
    int64_t nulls = 0;
    std::vector<std::string> buffers;
  };
  void batch(int64_t rows, const std::vector<Part>& parts, int64_t dictionary = -1, bool delta = false,
             int codec = -1) {
    Builder b;
    std::vector<arrow::FieldNode> nodes;
    std::vector<arrow::Buffer> buffers;
    std::string body;
    for (const auto& part : parts) {
      nodes.emplace_back(part.rows, part.nulls);
      for (const auto& bytes : part.buffers) {
        buffers.emplace_back(static_cast<int64_t>(body.size()), static_cast<int64_t>(bytes.size()));
        body += bytes;
        body.resize((body.size() + 7) / 8 * 8);
      }
    }
    const auto n = b.CreateVectorOfStructs(nodes);
    const auto f = b.CreateVectorOfStructs(buffers);
    flatbuffers::Offset<arrow::BodyCompression> compression;
    if (codec >= 0) compression = arrow::CreateBodyCompression(b, static_cast<arrow::CompressionType>(codec));
    const auto data = arrow::CreateRecordBatch(b, rows, n, f, compression);
    if (dictionary < 0) {
      message(b, arrow::MessageHeader_RecordBatch, data.Union(), body);
    } else {
      message(b, arrow::MessageHeader_DictionaryBatch,
              arrow::CreateDictionaryBatch(b, dictionary, data, delta).Union(), body);
    }
  }

  std::string bytes() const { return bytes_; }
  bool legacy = false;

 private:
  flatbuffers::Offset<arrow::Field> field(Builder& b, const ForeignType& type) {
    std::vector<flatbuffers::Offset<arrow::Field>> children;
    for (const auto& child : type.children) children.push_back(field(b, child));
    flatbuffers::Offset<arrow::DictionaryEncoding> dictionary;
    if (type.dictionary >= 0) {
      dictionary = arrow::CreateDictionaryEncoding(b, type.dictionary, arrow::CreateInt(b, type.index_bits, type.index_signed));
    }
    const auto name = b.CreateString(type.name);
    const auto table = type.make(b);
    return arrow::CreateField(b, name, type.nullable, type.kind, table, dictionary, b.CreateVector(children));
  }
  void message(Builder& b, arrow::MessageHeader kind, flatbuffers::Offset<void> header, const std::string& body) {
    b.Finish(arrow::CreateMessage(b, arrow::MetadataVersion_V5, kind, header, static_cast<int64_t>(body.size())));
    const uint32_t size = (b.GetSize() + 7) / 8 * 8, mark = 0xFFFFFFFF;
    if (!legacy) bytes_.append(reinterpret_cast<const char*>(&mark), 4);
    bytes_.append(reinterpret_cast<const char*>(&size), 4);
    bytes_.append(reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize());
    bytes_.append(size - b.GetSize(), '\0');
    bytes_ += body;
  }
  std::string bytes_;
};

Stream::ForeignType of(arrow::Type kind, std::function<flatbuffers::Offset<void>(Stream::Builder&)> make) {
  return {kind, std::move(make)};
}
Stream::ForeignType timestamp(arrow::TimeUnit unit) {
  return of(arrow::Type_Timestamp, [unit](auto& b) { return arrow::CreateTimestamp(b, unit).Union(); });
}
Stream::ForeignType utf8() {
  return of(arrow::Type_Utf8, [](auto& b) { return arrow::CreateUtf8(b).Union(); });
}
Stream::ForeignType integer(int bits, bool is_signed = true) {
  return of(arrow::Type_Int, [=](auto& b) { return arrow::CreateInt(b, bits, is_signed).Union(); });
}

template <typename T>
std::string packed(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

// The first column of a stream of one batch, as JSON values, or the error.
std::string read_one(const Stream& stream) {
  const auto batches = ipc_decode(stream.bytes());
  if (!batches.ok()) return batches.status().to_string();
  std::string out;
  for (const auto& batch : *batches) {
    for (int64_t i = 0; i < batch.rows; ++i) {
      if (!out.empty()) out += ' ';
      out += value_to_json(batch.columns[0].type, value_at(batch.columns[0], i));
    }
  }
  return out;
}

// What does not fit, batch by batch: "row/column json why", and what stands there.
std::string misfits_of(const Stream& stream, int64_t rows_max = 1000) {
  IpcReadLimits limits;
  limits.rows_max = rows_max;
  const std::string bytes = stream.bytes();
  std::string_view rest = bytes;
  IpcReader reader(
      [&](char* into, size_t size) -> Result<size_t> {
        const size_t count = std::min(size, rest.size());
        if (count > 0) std::memcpy(into, rest.data(), count);
        rest.remove_prefix(count);
        return count;
      },
      limits);
  static constexpr const char* kWhy[] = {"utf8", "json", "fine", "range", "finite", "label"};
  std::string out;
  while (true) {
    IpcMisfits misfits;
    const auto batch = reader.next(&misfits);
    if (!batch.ok()) return out + batch.status().to_string();
    if (!batch->has_value()) return out;
    for (const auto& e : misfits.entries) {
      out += fmt::format("{}/{} {} {}{}; ", e.row, e.column, misfits.json(e), kWhy[static_cast<int>(e.why)], e.in_list ? " in list" : "");
    }
    for (int64_t i = 0; i < (*batch)->rows; ++i) {
      for (const auto& column : (*batch)->columns) out += value_to_json(column.type, value_at(column, i)) + " ";
    }
    out += "| ";
  }
}
Stream::ForeignType real() {
  return of(arrow::Type_FloatingPoint, [](auto& b) { return arrow::CreateFloatingPoint(b, arrow::Precision_DOUBLE).Union(); });
}

TEST(Ipc, tells_what_does_not_fit_instead_of_failing) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  Stream floats;
  floats.schema({real()});
  floats.batch(5, {{5, 1, {"\x17", packed<double>({1, nan, inf, nan, -inf})}}});
  EXPECT_EQ(misfits_of(floats), R"(1/0 "NaN" finite; 2/0 "Infinity" finite; 4/0 "-Infinity" finite; 1.0 0.0 0.0 null 0.0 | )");
  EXPECT_EQ(misfits_of(floats, 2), R"(1/0 "NaN" finite; 1.0 0.0 | 0/0 "Infinity" finite; 0.0 null | 0/0 "-Infinity" finite; 0.0 | )");
  Stream nanos;
  auto seconds = timestamp(arrow::TimeUnit_SECOND);
  seconds.name = "seconds";
  nanos.schema({timestamp(arrow::TimeUnit_NANOSECOND), seconds});
  nanos.batch(2, {{2, 0, {"", packed<int64_t>({1001, 1000})}}, {2, 0, {"", packed<int64_t>({INT64_MAX, 9000000000000})}}});
  EXPECT_EQ(misfits_of(nanos),
            R"(0/0 1001 fine; 0/1 9223372036854775807 range; 1/1 9000000000000 range; "1970-01-01T00:00:00Z" "1970-01-01T00:00:00Z" )"
            R"("1970-01-01T00:00:00.000001Z" "1970-01-01T00:00:00Z" | )");
  Stream years;
  auto date = of(arrow::Type_Date, [](auto& b) { return arrow::CreateDate(b, arrow::DateUnit_DAY).Union(); });
  date.name = "date";
  years.schema({timestamp(arrow::TimeUnit_MICROSECOND), date});
  years.batch(4, {{4, 0, {"", packed<int64_t>({-62135596800000000, -62135596800000001, 253402300799999999, 253402300800000000})}},
                  {4, 0, {"", packed<int32_t>({-719162, -719163, 2932896, 2932897})}}});
  EXPECT_EQ(misfits_of(years),
            R"(1/0 -62135596800000001 range; 1/1 -719163 range; 3/0 253402300800000000 range; 3/1 2932897 range; )"
            R"("0001-01-01T00:00:00Z" "0001-01-01" "1970-01-01T00:00:00Z" "1970-01-01" "9999-12-31T23:59:59.999999Z" "9999-12-31" )"
            R"("1970-01-01T00:00:00Z" "1970-01-01" | )");
  Stream midnight;
  midnight.schema({of(arrow::Type_Time, [](auto& b) { return arrow::CreateTime(b, arrow::TimeUnit_SECOND, 32).Union(); })});
  midnight.batch(1, {{1, 0, {"", packed<int32_t>({86400})}}});
  EXPECT_EQ(misfits_of(midnight), R"(0/0 86400 range; "00:00:00" | )");
  Stream texts;
  texts.schema({utf8()});
  texts.batch(3, {{3, 1, {"\x05", packed<int32_t>({0, 1, 2, 4}), "a\xFF\xC3" "b"}}});
  EXPECT_EQ(misfits_of(texts), R"(2/0 {"base64":"w2I="} utf8; "a" null "" | )");
}

TEST(Ipc, tells_what_does_not_fit_in_structs_lists_and_dictionaries) {
  const double nan = std::nan("");
  Stream nested;
  auto outer = of(arrow::Type_Struct_, [](auto& b) { return arrow::CreateStruct_(b).Union(); });
  auto list = of(arrow::Type_List, [](auto& b) { return arrow::CreateList(b).Union(); });
  list.children = {real()};
  list.name = "list";
  outer.name = "outer";
  outer.children = {integer(8), list};
  auto last = real();
  last.name = "last";
  nested.schema({outer, last});
  // A null struct, a null list, elements before and behind those that are used: none of them counts.
  nested.batch(4, {{4, 1, {"\x0D"}},
                   {4, 0, {"", "abcd"}},
                   {4, 1, {"\x0B", packed<int32_t>({1, 3, 4, 5, 7})}},
                   {8, 0, {"", packed<double>({nan, 1, nan, nan, nan, 2, nan, nan})}},
                   {4, 0, {"", packed<double>({1, nan, 3, 4})}}});
  EXPECT_EQ(misfits_of(nested),
            R"(0/1 "NaN" finite in list; 1/2 "NaN" finite; 3/1 "NaN" finite in list; 97 [1.0,0.0] 1.0 null null 0.0 99 null 3.0 100 [2.0,0.0] 4.0 | )");
  Stream chosen;
  auto type = utf8();
  type.dictionary = 5;
  type.name = "chosen";
  chosen.schema({utf8(), type});
  chosen.batch(2, {{2, 0, {"", packed<int32_t>({0, 1, 2}), "a\xFF"}}}, 5);
  chosen.batch(1, {{1, 0, {"", packed<int32_t>({0, 1}), "\xFE"}}}, 5, true);
  chosen.batch(4, {{4, 0, {"", packed<int32_t>({0, 1, 2, 3, 4}), "ab\xFC" "d"}}, {4, 1, {"\x0B", packed<int32_t>({1, 0, 1, 2})}}});
  EXPECT_EQ(misfits_of(chosen), R"(0/1 {"base64":"/w=="} utf8; 2/0 {"base64":"/A=="} utf8; 3/1 {"base64":"/g=="} utf8; "a" "" "b" "a" "" null "d" "" | )");
  chosen.batch(1, {{1, 0, {"", packed<int32_t>({0, 1}), "z"}}}, 5);
  chosen.batch(1, {{1, 0, {"", packed<int32_t>({0, 1}), "a"}}, {1, 0, {"", packed<int32_t>({0})}}});
  EXPECT_TRUE(misfits_of(chosen).ends_with(R"(| "a" "z" | )"));
}

TEST(Ipc, reads_back_what_it_writes) {
  for (const bool zstd : {false, true}) {
    for (const double nulls : {0.0, 0.2, 1.0}) {
      const Batch a = sample_batch(51, 100, nulls), b = sample_batch(52, 1, nulls);
      const auto bytes = ipc_encode(a.schema, {a, b}, {zstd});
      ASSERT_TRUE(bytes.ok());
      const auto batches = decoded(*bytes);
      ASSERT_EQ(batches.size(), 2u);
      EXPECT_EQ(difference(batches[0], a), "");
      EXPECT_EQ(difference(batches[1], b), "");
    }
  }
}

TEST(Ipc, keeps_formats_and_zones_of_fields) {
  const Batch batch = make_batch({{"when", TypeId::kTimestamp, false, "%Y/%m/%d", "Europe/Berlin"}}, {{1}});
  const auto batches = decoded(*ipc_encode(batch.schema, {batch}));
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(*batches[0].schema, *batch.schema);
}

TEST(Ipc, a_stream_without_batches_has_a_schema) {
  const auto schema = std::make_shared<Schema>(sample_fields());
  const auto bytes = ipc_encode(schema, {});
  ASSERT_TRUE(bytes.ok());
  std::string_view rest = *bytes;
  IpcReader reader([&](char* into, size_t size) -> Result<size_t> {
    // One byte at a time: no message may be expected whole.
    const size_t count = std::min<size_t>(std::min<size_t>(size, 1), rest.size());
    std::memcpy(into, rest.data(), count);
    rest.remove_prefix(count);
    return count;
  });
  const auto read = reader.schema();
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(**read, *schema);
  const auto batch = reader.next();
  ASSERT_TRUE(batch.ok());
  EXPECT_FALSE(batch->has_value());
}

TEST(Ipc, cuts_large_batches) {
  const Batch batch = sample_batch(53, 5000);
  IpcReadLimits limits;
  limits.rows_max = 999;
  const auto batches = decoded(*ipc_encode(batch.schema, {batch}), limits);
  ASSERT_EQ(batches.size(), 6u);
  EXPECT_EQ(batches[5].rows, 5);
  const auto whole = concat(std::span<const Batch>(batches));
  EXPECT_EQ(difference(*whole, batch), "");
}

TEST(Ipc, units_of_other_writers) {
  Stream seconds;
  seconds.schema({timestamp(arrow::TimeUnit_SECOND)});
  seconds.batch(2, {{2, 0, {"", packed<int64_t>({979150800, -1})}}});
  EXPECT_EQ(read_one(seconds), R"("2001-01-10T18:20:00Z" "1969-12-31T23:59:59Z")");
  Stream nanos;
  nanos.schema({timestamp(arrow::TimeUnit_NANOSECOND)});
  nanos.batch(2, {{2, 0, {"", packed<int64_t>({979150800000001000, -1000})}}});
  EXPECT_EQ(read_one(nanos), R"("2001-01-10T18:20:00.000001Z" "1969-12-31T23:59:59.999999Z")");
  Stream fine;
  fine.schema({timestamp(arrow::TimeUnit_NANOSECOND)});
  fine.batch(1, {{1, 0, {"", packed<int64_t>({1})}}});
  EXPECT_NE(read_one(fine).find("finer than a microsecond"), std::string::npos);
  Stream far;
  far.schema({timestamp(arrow::TimeUnit_SECOND)});
  far.batch(1, {{1, 0, {"", packed<int64_t>({INT64_MAX})}}});
  EXPECT_NE(read_one(far).find("outside timestamp"), std::string::npos);
  Stream masked;  // what null rows hold does not matter
  masked.schema({timestamp(arrow::TimeUnit_SECOND)});
  masked.batch(2, {{2, 1, {"\x02", packed<int64_t>({INT64_MAX, 0})}}});
  EXPECT_EQ(read_one(masked), R"(null "1970-01-01T00:00:00Z")");
  Stream date64;
  date64.schema({of(arrow::Type_Date, [](auto& b) { return arrow::CreateDate(b, arrow::DateUnit_MILLISECOND).Union(); })});
  date64.batch(2, {{2, 0, {"", packed<int64_t>({86400000, -86400000})}}});
  EXPECT_EQ(read_one(date64), R"("1970-01-02" "1969-12-31")");
  Stream time32;
  time32.schema({of(arrow::Type_Time, [](auto& b) { return arrow::CreateTime(b, arrow::TimeUnit_SECOND, 32).Union(); })});
  time32.batch(1, {{1, 0, {"", packed<int32_t>({66000})}}});
  EXPECT_EQ(read_one(time32), R"("18:20:00")");
  Stream midnight;
  midnight.schema({of(arrow::Type_Time, [](auto& b) { return arrow::CreateTime(b, arrow::TimeUnit_SECOND, 32).Union(); })});
  midnight.batch(1, {{1, 0, {"", packed<int32_t>({86400})}}});
  EXPECT_NE(read_one(midnight).find("no time of day"), std::string::npos);
}

TEST(Ipc, large_fixed_and_nested_types_of_other_writers) {
  Stream large;
  large.schema({of(arrow::Type_LargeUtf8, [](auto& b) { return arrow::CreateLargeUtf8(b).Union(); })});
  large.batch(2, {{2, 0, {"", packed<int64_t>({1, 3, 6}), "?abcde"}}});  // offsets need not begin at 0
  EXPECT_EQ(read_one(large), R"("ab" "cde")");
  Stream fixed;
  fixed.schema({of(arrow::Type_FixedSizeBinary, [](auto& b) { return arrow::CreateFixedSizeBinary(b, 3).Union(); })});
  fixed.batch(2, {{2, 0, {"", "foobar"}}});
  EXPECT_EQ(read_one(fixed), R"("Zm9v" "YmFy")");
  Stream pairs;
  auto list = of(arrow::Type_FixedSizeList, [](auto& b) { return arrow::CreateFixedSizeList(b, 2).Union(); });
  list.children = {integer(32)};
  pairs.schema({list});
  pairs.batch(2, {{2, 1, {"\x01"}}, {4, 0, {"", packed<int32_t>({1, 2, 3, 4})}}});
  EXPECT_EQ(read_one(pairs), "[1,2] null");
  Stream sliced;
  auto big_list = of(arrow::Type_LargeList, [](auto& b) { return arrow::CreateLargeList(b).Union(); });
  big_list.children = {integer(8, false)};
  sliced.schema({big_list});
  sliced.batch(2, {{2, 0, {"", packed<int64_t>({1, 1, 3})}}, {5, 0, {"", packed<uint8_t>({9, 255, 0, 8, 8})}}});
  EXPECT_EQ(read_one(sliced), "[] [255,0]");
}

TEST(Ipc, structs_at_the_top_become_dotted_columns) {
  Stream stream;
  auto outer = of(arrow::Type_Struct_, [](auto& b) { return arrow::CreateStruct_(b).Union(); });
  auto inner = integer(32);
  inner.name = "zip";
  inner.nullable = false;
  outer.name = "billing";
  outer.children = {inner};
  stream.schema({outer});
  stream.batch(3, {{3, 1, {"\x05"}}, {3, 0, {"", packed<int32_t>({7, 8, 9})}}});
  const auto batches = decoded(stream.bytes());
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].schema->to_string(), "billing.zip: int32?");
  EXPECT_EQ(read_one(stream), "7 null 9");
}

TEST(Ipc, dictionaries_of_other_writers) {
  Stream stream;
  auto type = utf8();
  type.dictionary = 5;
  type.index_bits = 8;
  type.index_signed = false;
  stream.schema({type});
  stream.batch(2, {{2, 0, {"", packed<int32_t>({0, 1, 3}), "abb"}}}, 5);
  stream.batch(3, {{3, 1, {"\x05", packed<uint8_t>({1, 99, 0})}}});
  stream.batch(1, {{1, 0, {"", packed<int32_t>({0, 1}), "c"}}}, 5, true);  // adds to it
  stream.batch(1, {{1, 0, {"", packed<uint8_t>({2})}}});
  stream.batch(1, {{1, 0, {"", packed<int32_t>({0, 1}), "z"}}}, 5);  // replaces it
  stream.batch(1, {{1, 0, {"", packed<uint8_t>({0})}}});
  EXPECT_EQ(read_one(stream), R"("bb" null "a" "c" "z")");
  stream.batch(1, {{1, 0, {"", packed<uint8_t>({1})}}});
  EXPECT_NE(read_one(stream).find("points beyond its dictionary"), std::string::npos);

  Stream negative;
  type.index_signed = true;
  negative.schema({type});
  negative.batch(1, {{1, 0, {"", packed<int32_t>({0, 1}), "c"}}}, 5);
  negative.batch(1, {{1, 0, {"", packed<int8_t>({-1})}}});
  EXPECT_NE(read_one(negative).find("points beyond its dictionary"), std::string::npos);

  Stream early;
  early.schema({type});
  early.batch(1, {{1, 0, {"", packed<int8_t>({0})}}});
  EXPECT_NE(read_one(early).find("its dictionary has not come"), std::string::npos);
}

TEST(Ipc, compressed_buffers_of_other_writers) {
  const std::string value = packed<int64_t>({-7});
  Stream plain;  // a size of -1: this buffer is not compressed
  plain.schema({integer(64)});
  plain.batch(1, {{1, 0, {"", packed<int64_t>({-1}) + value}}}, -1, false, arrow::CompressionType_ZSTD);
  EXPECT_EQ(read_one(plain), "-7");
  Stream wrong;
  wrong.schema({integer(64)});
  wrong.batch(1, {{1, 0, {"", packed<int64_t>({8}) + "no zstd frame"}}}, -1, false, arrow::CompressionType_ZSTD);
  EXPECT_NE(read_one(wrong).find("does not decompress"), std::string::npos);
  Stream huge;
  huge.schema({integer(64)});
  huge.batch(1, {{1, 0, {"", packed<int64_t>({INT64_MAX}) + "x"}}}, -1, false, arrow::CompressionType_ZSTD);
  EXPECT_NE(read_one(huge).find("too large"), std::string::npos);
  // An lz4 frame with one block that is stored as it is.
  const std::string frame("\x04\x22\x4D\x18\x60\x40\x82\x08\0\0\x80", 11);
  for (const bool cut : {false, true}) {
    Stream lz4;
    lz4.schema({integer(64)});
    lz4.batch(1, {{1, 0, {"", packed<int64_t>({8}) + frame + (cut ? value.substr(4) : value + std::string(4, '\0'))}}}, -1, false,
              arrow::CompressionType_LZ4_FRAME);
    const std::string read = read_one(lz4);
    if (read.find("has no lz4") != std::string::npos) GTEST_SKIP() << "this build has no lz4";
    if (cut) EXPECT_NE(read.find("does not decompress"), std::string::npos) << read;
    else EXPECT_EQ(read, "-7");
  }
}

TEST(Ipc, older_framing) {
  Stream stream;
  stream.legacy = true;
  stream.schema({integer(16)});
  stream.batch(1, {{1, 0, {"", packed<int16_t>({-5})}}});
  EXPECT_EQ(read_one(stream), "-5");
}

TEST(Ipc, refuses_types_it_cannot_hold_by_name) {
  const auto error = [](const Stream::ForeignType& type) {
    Stream stream;
    stream.schema({type});
    return read_one(stream);
  };
  EXPECT_NE(error(of(arrow::Type_FloatingPoint, [](auto& b) {
              return arrow::CreateFloatingPoint(b, arrow::Precision_HALF).Union();
            })).find("the field \"f\" is float16"), std::string::npos);
  EXPECT_NE(error(of(arrow::Type_Decimal, [](auto& b) { return arrow::CreateDecimal(b, 50, 2, 256).Union(); }))
                .find("a decimal of 256 bits"), std::string::npos);
  EXPECT_NE(error(of(arrow::Type_Decimal, [](auto& b) { return arrow::CreateDecimal(b, 5, -2, 128).Union(); }))
                .find("decimal(5,-2)"), std::string::npos);
  EXPECT_NE(error(of(arrow::Type_Union, [](auto& b) { return arrow::CreateUnion(b).Union(); })).find("a union"), std::string::npos);
  EXPECT_NE(error(of(arrow::Type_Utf8View, [](auto& b) { return arrow::CreateUtf8View(b).Union(); })).find("a view"), std::string::npos);
  EXPECT_NE(error(of(arrow::Type_Interval, [](auto& b) { return arrow::CreateInterval(b).Union(); })).find("an interval"), std::string::npos);
  EXPECT_NE(error(integer(24)).find("24 bits"), std::string::npos);
  Stream::ForeignType deep = integer(8);
  for (int i = 0; i < 40; ++i) {
    auto list = of(arrow::Type_List, [](auto& b) { return arrow::CreateList(b).Union(); });
    list.children = {deep};
    deep = list;
  }
  EXPECT_NE(error(deep).find("nested deeper than 16"), std::string::npos);
}

TEST(Ipc, refuses_buffers_that_lie) {
  const auto error = [](const Stream::ForeignType& type, int64_t rows, std::vector<Stream::Part> parts) {
    Stream stream;
    stream.schema({type});
    stream.batch(rows, parts);
    return read_one(stream);
  };
  EXPECT_NE(error(integer(64), 3, {{3, 0, {"", packed<int64_t>({1, 2})}}}).find("16 bytes where 24 are needed"), std::string::npos);
  EXPECT_NE(error(integer(64), 2, {{3, 0, {"", packed<int64_t>({1, 2, 3})}}}).find("3 rows where the batch has 2"), std::string::npos);
  EXPECT_NE(error(integer(64), -1, {{-1, 0, {"", ""}}}).find("a length of -1"), std::string::npos);
  EXPECT_NE(error(integer(64), 9, {{9, 1, {"\x01", std::string(72, 0)}}}).find("bitmap is too short"), std::string::npos);
  EXPECT_NE(error(integer(64), 1, {}).find("too few field nodes"), std::string::npos);
  EXPECT_NE(error(integer(64), 1, {{1, 0, {""}}}).find("too few buffers"), std::string::npos);
  EXPECT_NE(error(utf8(), 2, {{2, 0, {"", packed<int32_t>({0, 3, 2}), "abc"}}}).find("offsets fall"), std::string::npos);
  EXPECT_NE(error(utf8(), 1, {{1, 0, {"", packed<int32_t>({-1, 2}), "abc"}}}).find("offsets fall"), std::string::npos);
  EXPECT_NE(error(utf8(), 1, {{1, 0, {"", packed<int32_t>({0, 9}), "abc"}}}).find("3 bytes where 9 are needed"), std::string::npos);
  EXPECT_NE(error(utf8(), 2, {{2, 0, {"", packed<int32_t>({0, 1, 2}), "\xC3\xA9"}}}).find("row 0 of an Arrow record batch is not UTF-8"), std::string::npos);
  EXPECT_EQ(error(utf8(), 2, {{2, 1, {"\x02", packed<int32_t>({0, 1, 2}), "\xC3" "a"}}}), "null \"a\"");
  auto required = integer(8);
  required.nullable = false;
  EXPECT_NE(error(required, 2, {{2, 1, {"\x02", "ab"}}}).find("declared without nulls"), std::string::npos);
  auto list = of(arrow::Type_List, [](auto& b) { return arrow::CreateList(b).Union(); });
  list.children = {integer(8)};
  EXPECT_NE(error(list, 1, {{1, 0, {"", packed<int32_t>({0, 5})}}, {2, 0, {"", "ab"}}}).find("beyond its elements"), std::string::npos);
}

TEST(Ipc, two_fields_of_one_name_are_refused) {
  Stream stream;
  stream.schema({integer(8), integer(8)});
  EXPECT_NE(read_one(stream).find("two fields named \"f\""), std::string::npos);
}

TEST(Ipc, labels_of_an_enum_are_found_by_name_not_by_place) {
  const auto cabin = DataType::enumeration({"a", "b"});
  const Batch batch = make_batch({{"c", cabin}}, {{Value("b")}, {Value()}, {Value("a")}});
  std::string bytes = *ipc_encode(batch.schema, {batch});
  // Turn the dictionary round; the labels of the type (in the metadata) stay.
  const size_t at = bytes.rfind("ab");
  ASSERT_NE(at, std::string::npos);
  std::swap(bytes[at], bytes[at + 1]);
  const auto batches = decoded(bytes);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].schema->field(0).type, cabin);
  EXPECT_EQ(value_at(batches[0].columns[0], 0), Value(0));
  EXPECT_TRUE(batches[0].columns[0].is_null(1));
  EXPECT_EQ(value_at(batches[0].columns[0], 2), Value(1));
  bytes[at] = 'x';
  std::string_view rest = bytes;
  IpcReader reader([&](char* into, size_t size) -> Result<size_t> {
    const size_t count = std::min(size, rest.size());
    if (count > 0) std::memcpy(into, rest.data(), count);
    rest.remove_prefix(count);
    return count;
  });
  IpcMisfits misfits;
  ASSERT_TRUE(reader.next(&misfits).ok());
  ASSERT_EQ(misfits.entries.size(), 1u);
  EXPECT_EQ(misfits.json(misfits.entries[0]), "\"x\"");
  EXPECT_EQ(misfits.entries[0].why, IpcMisfits::Why::kNoLabel);
  EXPECT_NE(ipc_decode(bytes).status().to_string().find("none of its labels"), std::string::npos);
}

TEST(Ipc, every_truncation_is_an_error_or_a_shorter_stream) {
  const Batch a = sample_batch(54, 20), b = sample_batch(55, 20);
  const std::string bytes = *ipc_encode(a.schema, {a, b});
  size_t complete = 0;
  for (size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 37) {
    const auto batches = ipc_decode(std::string_view(bytes).substr(0, size));
    complete += batches.ok();
    if (!batches.ok()) {
      EXPECT_TRUE(batches.status().code() == Code::kDataLoss || batches.status().code() == Code::kInvalidArgument);
    }
  }
  EXPECT_LE(complete, 3u);  // cuts exactly between two messages
}

TEST(Ipc, flipped_bytes_never_crash) {
  const Batch a = sample_batch(56, 30);
  const std::string bytes = *ipc_encode(a.schema, {a});
  std::mt19937_64 random(56);
  IpcReadLimits limits;
  limits.message_bytes_max = 1 << 22;
  for (int i = 0; i < 500; ++i) {
    std::string damaged = bytes;
    for (int k = 0; k < 1 + i % 4; ++k) damaged[random() % damaged.size()] = static_cast<char>(random());
    const auto batches = ipc_decode(damaged, limits);
    if (!batches.ok()) continue;
    for (const auto& batch : *batches) {
      for (size_t c = 0; c < batch.columns.size(); ++c) {
        for (int64_t r = 0; r < batch.rows; ++r) value_to_json(batch.columns[c].type, value_at(batch.columns[c], r));
      }
    }
  }
}

TEST(Ipc, other_input_is_named_as_such) {
  for (std::string_view bytes : {"{\"a\": 1}\n{\"a\": 2}\n", "PAR1xxxxxxxx", "ARROW0aaaaaa", "a,b\n1,2\n"}) {
    const auto batches = ipc_decode(bytes);
    EXPECT_FALSE(batches.ok());
    EXPECT_NE(batches.status().to_string().find("rrow"), std::string::npos) << batches.status().to_string();
  }
  EXPECT_NE(ipc_decode("").status().to_string().find("empty"), std::string::npos);
}

TEST(Ipc, the_file_form_is_read_and_checked_for_its_end) {
  const Batch batch = sample_batch(57, 10);
  const std::string stream = *ipc_encode(batch.schema, {batch});
  // The footer's content is not used, only that it is there.
  const std::string file = std::string("ARROW1\0\0", 8) + stream + std::string(40, 'f') + std::string("\x28\0\0\0", 4) + "ARROW1";
  const auto batches = decoded(file);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(difference(batches[0], batch), "");
  EXPECT_NE(ipc_decode(file.substr(0, file.size() - 3)).status().to_string().find("cut off"), std::string::npos);
}

TEST(Ipc, claims_of_size_take_no_memory) {
  std::string bytes("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x3F", 8);
  EXPECT_FALSE(ipc_decode(bytes).ok());
  Stream stream;
  auto zeros = of(arrow::Type_FixedSizeBinary, [](auto& b) { return arrow::CreateFixedSizeBinary(b, INT32_MAX).Union(); });
  stream.schema({zeros});
  stream.batch(1, {{1, 0, {"", "x"}}});
  EXPECT_NE(read_one(stream).find("Arrow"), std::string::npos);
  Stream nulls;
  nulls.schema({of(arrow::Type_Null, [](auto& b) { return arrow::CreateNull(b).Union(); })});
  nulls.batch(INT32_MAX, {{INT32_MAX, INT32_MAX, {}}});
  EXPECT_NE(read_one(nulls).find("nulls"), std::string::npos);
}

TEST(Ipc, a_failing_sink_or_source_is_told_with_its_reason) {
  const Batch batch = sample_batch(58, 5);
  IpcWriter writer(batch.schema, [](std::string_view) { return resource_exhausted("no space left"); });
  EXPECT_EQ(writer.write_batch(batch).message(), "no space left");
  IpcReader reader([](char*, size_t) -> Result<size_t> { return aborted("the pipe broke"); });
  EXPECT_EQ(reader.next().status().message(), "the pipe broke");
  EXPECT_EQ(reader.next().status().message(), "the pipe broke");
}

// What stands below a null is unspecified in memory: it may be a value that was masked away.
TEST(Ipc, nothing_is_written_below_nulls) {
  const DataType list = DataType::list(TypeId::kString);
  std::vector<Field> fields = {{"t", TypeId::kString}, {"n", TypeId::kInt64}, {"l", list}};
  Batch batch = make_batch(fields, {{"open", 1, std::vector<Value>{"open"}}, {"hidden", 0x64656b6361726321, std::vector<Value>{"hidden"}}, {"too", 3, Value()}});
  for (Column& column : batch.columns) {
    column.validity = make_buffer(1);
    column.validity->data()[0] = 0xf5;  // the second row is null; bits beyond the rows are no matter
  }
  const std::string bytes = ipc_encode(batch.schema, {batch}).value();
  EXPECT_NE(bytes.find("open"), std::string::npos);
  EXPECT_EQ(bytes.find("hidden"), std::string::npos);
  EXPECT_EQ(bytes.find("!crac"), std::string::npos);
  for (Column& column : batch.columns) column.validity->data()[0] = 0x05;
  batch.columns[1].mutable_data<int64_t>()[1] = 7;
  EXPECT_EQ(ipc_encode(batch.schema, {batch}).value(), bytes);
}

}  // namespace
}  // namespace runink::columnar
