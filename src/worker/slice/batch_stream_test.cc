#include "worker/slice/batch_stream.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <thread>

#include "data/columnar/builder.h"
#include "data/columnar/ipc.h"
#include "data/columnar/test_data.h"
#include "data/columnar/value.h"
#include "platform/os/file.h"

namespace runink::slice {
namespace {

using columnar::Batch;
using columnar::Column;
using columnar::DataType;
using columnar::Schema;
using columnar::SchemaPtr;
using columnar::TypeId;
using columnar::Value;
using testing::HasSubstr;

enum class Kind { kSocket, kRing };

struct Ends {
  std::unique_ptr<BatchSender> sender;
  std::unique_ptr<BatchReceiver> receiver;
};

Ends connect(Kind kind, SchemaPtr schema, const StopFlag* stop = nullptr, size_t ring_bytes = 4096) {
  Ends out;
  if (kind == Kind::kSocket) {
    auto pair = make_stream_pair();
    EXPECT_TRUE(pair.ok());
    out.sender = make_socket_sender(std::move(pair->sender), schema, stop);
    out.receiver = make_socket_receiver(std::move(pair->receiver), schema, stop);
  } else {
    auto ring = make_ring(ring_bytes);
    EXPECT_TRUE(ring.ok());
    auto sender = make_ring_sender(ring->memory, std::move(ring->sender_life), schema, stop);
    auto receiver = make_ring_receiver(ring->memory, std::move(ring->receiver_life), schema, stop);
    EXPECT_TRUE(sender.ok() && receiver.ok());
    out.sender = std::move(*sender);
    out.receiver = std::move(*receiver);
  }
  return out;
}

SchemaPtr every_type() {
  return std::make_shared<Schema>(std::vector<columnar::Field>{
      {"flag", TypeId::kBool},
      {"small", TypeId::kInt8},
      {"number", TypeId::kInt64},
      {"half", TypeId::kFloat64},
      {"money", DataType::decimal(12, 2)},
      {"text", TypeId::kString},
      {"bytes", TypeId::kBytes},
      {"json", TypeId::kJson},
      {"at", TypeId::kTimestamp},
      {"time", TypeId::kTime},
      {"id", TypeId::kUuid},
      {"kind", DataType::enumeration({"good", "bad"})},
      {"tags", DataType::list(TypeId::kString)},
      {"nothing", TypeId::kNull},
  });
}

Batch some_rows(const SchemaPtr& schema, int64_t rows, uint32_t seed) {
  std::mt19937 random(seed);
  const auto null = [&] { return random() % 5 == 0; };
  std::vector<std::vector<Value>> columns(schema->size());
  for (int64_t row = 0; row < rows; ++row) {
    const auto n = static_cast<int64_t>(random() % 1000);
    const std::string word(random() % 40, static_cast<char>('a' + random() % 26));
    const std::vector<Value> all = {Value(n % 2 == 0),
                                    Value(n % 100),
                                    Value(n * 1'000'000'007),
                                    Value(static_cast<double>(n) / 3),
                                    Value(columnar::int128{n}),
                                    Value("ü" + word),
                                    Value(std::string("\xFF\0", 2) + word),
                                    Value("{\"n\":" + std::to_string(n) + "}"),
                                    Value(n * 1'000'000),
                                    Value(n),
                                    Value(std::string(16, static_cast<char>(n))),
                                    Value(n % 2),
                                    Value(std::vector<Value>{Value(word), Value()}),
                                    Value()};
    for (size_t c = 0; c < all.size(); ++c) columns[c].push_back(null() ? Value() : all[c]);
  }
  Batch batch;
  batch.schema = schema;
  batch.rows = rows;
  for (size_t c = 0; c < schema->size(); ++c)
    batch.columns.push_back(columnar::make_column(schema->field(c).type, columns[c]));
  return batch;
}

void expect_same(const Batch& a, const Batch& b) {
  ASSERT_EQ(a.rows, b.rows);
  for (size_t c = 0; c < a.columns.size(); ++c) {
    for (int64_t row = 0; row < a.rows; ++row) {
      ASSERT_EQ(columnar::value_at(a.columns[c], row), columnar::value_at(b.columns[c], row))
          << a.schema->field(c).name << " row " << row;
    }
  }
}

class BatchStream : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, BatchStream, testing::Values(Kind::kSocket, Kind::kRing),
                         [](const auto& info) { return info.param == Kind::kSocket ? "Socket" : "Ring"; });

// Many times what is in flight at once.
TEST_P(BatchStream, RowsOfEveryTypeArriveInOrder) {
  const SchemaPtr schema = every_type();
  Ends ends = connect(GetParam(), schema);
  constexpr uint32_t kBatches = 60;
  const auto rows_of = [](uint32_t i) { return static_cast<int64_t>(1 + i * 37 % 700); };
  Status sent;
  std::thread sending([&] {
    for (uint32_t i = 0; i < kBatches && sent.ok(); ++i) sent = ends.sender->send(some_rows(schema, rows_of(i), i));
    if (sent.ok()) sent = ends.sender->finish();
  });
  for (uint32_t i = 0; i < kBatches; ++i) {
    auto batch = ends.receiver->receive();
    ASSERT_TRUE(batch.ok()) << batch.status().to_string();
    ASSERT_TRUE(batch->has_value());
    expect_same(**batch, some_rows(schema, rows_of(i), i));
    EXPECT_EQ((*batch)->schema, schema);
  }
  auto end = ends.receiver->receive();
  sending.join();
  EXPECT_TRUE(sent.ok()) << sent.to_string();
  ASSERT_TRUE(end.ok()) << end.status().to_string();
  EXPECT_FALSE(end->has_value());
}

TEST_P(BatchStream, WithoutRowsItEndsWell) {
  Ends ends = connect(GetParam(), every_type());
  ASSERT_TRUE(ends.sender->finish().ok());
  auto end = ends.receiver->receive();
  ASSERT_TRUE(end.ok()) << end.status().to_string();
  EXPECT_FALSE(end->has_value());
}

TEST_P(BatchStream, ASenderThatGoesAwayIsNoEnd) {
  const SchemaPtr schema = every_type();
  Ends ends = connect(GetParam(), schema, nullptr, 1 << 20);
  ASSERT_TRUE(ends.sender->send(some_rows(schema, 3, 1)).ok());
  ends.sender.reset();
  auto first = ends.receiver->receive();
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  auto end = ends.receiver->receive();
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.status().kind(), "run.stopped");
}

TEST_P(BatchStream, AReceiverThatGoesAwayEndsTheSender) {
  std::signal(SIGPIPE, SIG_IGN);  // as the program does
  const SchemaPtr schema = every_type();
  Ends ends = connect(GetParam(), schema);
  std::thread going([&] { ends.receiver.reset(); });
  Status status;
  while (status.ok()) status = ends.sender->send(some_rows(schema, 500, 1));
  going.join();
  EXPECT_EQ(status.kind(), "run.stopped") << status.to_string();
}

// Back pressure: what nobody takes is not taken from the sender, and a request to stop ends its wait.
TEST_P(BatchStream, ASenderWaitsAndCanBeStopped) {
  const SchemaPtr schema = every_type();
  StopFlag stop;
  Ends ends = connect(GetParam(), schema, &stop);
  std::atomic<size_t> sent{0};
  Status status;
  std::thread sending([&] {
    while (status.ok()) {
      status = ends.sender->send(some_rows(schema, 500, 1));
      ++sent;
    }
  });
  size_t before = SIZE_MAX;
  while (sent != before) {  // until it does not move
    before = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  stop.request();
  sending.join();
  EXPECT_EQ(status.kind(), "run.interrupted") << status.to_string();
  EXPECT_LT(sent, 500u);
}

TEST_P(BatchStream, AReceiverCanBeStopped) {
  StopFlag stop;
  Ends ends = connect(GetParam(), every_type(), &stop);
  std::thread stopping([&] { stop.request(); });
  auto batch = ends.receiver->receive();
  stopping.join();
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.status().kind(), "run.interrupted");
}

// ---- neighbours that are not to be trusted

// Bytes as they stand in a stream, with one of them changed: an error or other values, never a crash, and values that
// keep what their types promise.
std::string stream_of(Kind kind, const SchemaPtr& schema, const Batch& batch) {
  std::string out;
  if (kind == Kind::kSocket) return *columnar::ipc_encode(schema, {batch});
  auto ring = make_ring(1 << 16);
  auto sender = make_ring_sender(ring->memory, std::move(ring->sender_life), schema, nullptr);
  EXPECT_TRUE((*sender)->send(batch).ok() && (*sender)->finish().ok());
  uint64_t written = 0;
  EXPECT_EQ(::pread(ring->memory.get(), &written, sizeof written, 64), ssize_t{sizeof written});
  out.resize(written);
  EXPECT_EQ(::pread(ring->memory.get(), out.data(), written, 4096), static_cast<ssize_t>(written));
  return out;
}

Status read_stream(Kind kind, const SchemaPtr& schema, const std::string& bytes) {
  std::unique_ptr<BatchReceiver> receiver;
  if (kind == Kind::kSocket) {
    auto pair = make_stream_pair();
    EXPECT_TRUE(os::write_all(pair->sender, bytes).ok());
    pair->sender.reset();
    receiver = make_socket_receiver(std::move(pair->receiver), schema, nullptr);
  } else {
    auto ring = make_ring(1 << 16);
    const uint64_t written = bytes.size();
    EXPECT_EQ(::pwrite(ring->memory.get(), bytes.data(), bytes.size(), 4096), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(::pwrite(ring->memory.get(), &written, sizeof written, 64), ssize_t{sizeof written});
    ring->sender_life.reset();
    receiver = std::move(*make_ring_receiver(ring->memory, std::move(ring->receiver_life), schema, nullptr));
  }
  for (;;) {
    auto batch = receiver->receive();
    if (!batch.ok()) return batch.status();
    if (!batch->has_value()) return {};
    // Whatever came must be safe to look at.
    for (const Column& column : (*batch)->columns) {
      for (int64_t row = 0; row < (*batch)->rows; ++row) (void)columnar::value_at(column, row);
    }
  }
}

TEST_P(BatchStream, ChangedBytesAreNoCrash) {
  const SchemaPtr schema = every_type();
  const std::string bytes = stream_of(GetParam(), schema, some_rows(schema, 20, 3));
  ASSERT_TRUE(read_stream(GetParam(), schema, bytes).ok());
  std::mt19937 random(11);
  size_t refused = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string changed = bytes;
    for (size_t i = 0; i < 1 + random() % 3; ++i) changed[random() % changed.size()] = static_cast<char>(random());
    refused += !read_stream(GetParam(), schema, changed).ok();
  }
  EXPECT_GT(refused, 200u);
}

TEST_P(BatchStream, CutBytesAreAnError) {
  const SchemaPtr schema = every_type();
  const std::string bytes = stream_of(GetParam(), schema, some_rows(schema, 20, 3));
  for (size_t size = 0; size < bytes.size(); size += 1 + size / 16) {
    EXPECT_FALSE(read_stream(GetParam(), schema, bytes.substr(0, size)).ok()) << size;
  }
}

TEST(RingStream, CountsThatCannotBeAreNotBelieved) {
  const SchemaPtr schema = every_type();
  auto ring = make_ring(4096);
  const uint64_t far = 1 << 20;
  ASSERT_EQ(::pwrite(ring->memory.get(), &far, sizeof far, 64), ssize_t{sizeof far});
  auto receiver = make_ring_receiver(ring->memory, std::move(ring->receiver_life), schema, nullptr);
  auto batch = (*receiver)->receive();
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.status().code(), Code::kDataLoss);

  auto other = make_ring(4096);
  ASSERT_EQ(::pwrite(other->memory.get(), &far, sizeof far, 128), ssize_t{sizeof far});
  auto sender = make_ring_sender(other->memory, std::move(other->sender_life), schema, nullptr);
  Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = (*sender)->send(some_rows(schema, 500, 1));
  EXPECT_EQ(status.code(), Code::kDataLoss) << status.to_string();
}

TEST(RingStream, MemoryWhoseSizeCouldChangeIsRefused) {
  const SchemaPtr schema = every_type();
  const os::Fd open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING), "open");
  ASSERT_EQ(::ftruncate(open.get(), 8192), 0);
  auto refused = make_ring_receiver(open, os::Fd(), schema, nullptr);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().to_string(), HasSubstr("no ring of a fixed size"));
  const os::Fd odd(::memfd_create("odd", MFD_CLOEXEC | MFD_ALLOW_SEALING), "odd");
  ASSERT_EQ(::ftruncate(odd.get(), 4096 + 5000), 0);
  ASSERT_EQ(::fcntl(odd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_FALSE(make_ring_receiver(odd, os::Fd(), schema, nullptr).ok());
}

TEST(SocketStream, OtherColumnsAreRefused) {
  auto pair = make_stream_pair();
  const auto other = std::make_shared<Schema>(std::vector<columnar::Field>{{"x", TypeId::kInt32}});
  Batch batch;
  batch.schema = other;
  batch.rows = 1;
  batch.columns.push_back(columnar::make_column(TypeId::kInt32, {Value(int64_t{1})}));
  ASSERT_TRUE(os::write_all(pair->sender, *columnar::ipc_encode(other, {batch})).ok());
  auto receiver = make_socket_receiver(std::move(pair->receiver), every_type(), nullptr);
  auto got = receiver->receive();
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(got.status().to_string(), HasSubstr("should send"));
}

}  // namespace
}  // namespace runink::slice
