#include "stream_rows.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "data/columnar/builder.h"
#include "data/columnar/value.h"
#include "stopwatch.h"
#include "worker/slice/batch_stream.h"

namespace runink::bench {
namespace {

using columnar::Batch;
using columnar::SchemaPtr;
using columnar::TypeId;
using columnar::Value;

constexpr double kGoalRate = 5e9;    // bytes a second
constexpr double kGoalOfCopy = 0.5;  // … or this share of the copy rate, if that is lower
constexpr size_t kCopyBytes = 256u << 20;
constexpr double kGiga = 1e9;

// Rows as pipelines have them: numbers, times, a short text, some nulls.
Batch make_batch() {
  const auto schema = std::make_shared<columnar::Schema>(std::vector<columnar::Field>{{"id", TypeId::kInt64, false},
                                                                                      {"at", TypeId::kTimestamp, false},
                                                                                      {"price", TypeId::kFloat64},
                                                                                      {"count", TypeId::kInt32},
                                                                                      {"name", TypeId::kString}});
  std::vector<std::vector<Value>> columns(schema->size());
  for (int64_t row = 0; row < columnar::kBatchRows; ++row) {
    columns[0].emplace_back(row);
    columns[1].emplace_back(row * 1'000'000);
    columns[2].push_back(row % 10 == 0 ? Value() : Value(static_cast<double>(row) / 7));
    columns[3].emplace_back(row % 1000);
    columns[4].emplace_back(fmt::format("name of row {}", row));
  }
  Batch batch;
  batch.schema = schema;
  batch.rows = columnar::kBatchRows;
  for (size_t c = 0; c < schema->size(); ++c) {
    batch.columns.push_back(columnar::make_column(schema->field(c).type, columns[c]));
  }
  return batch;
}

uint64_t bytes_of(const Batch& batch) {
  uint64_t bytes = 0;
  for (const auto& column : batch.columns) bytes += column.byte_size();
  return bytes;
}

// Bytes a second that one thread copies from memory to memory, neither in a cache.
double copy_rate() {
  std::vector<char> from(kCopyBytes, 'x'), to(kCopyBytes, 'y');
  const int64_t begin = now_nanos();
  std::memcpy(to.data(), from.data(), kCopyBytes);
  const int64_t nanos = now_nanos() - begin;
  return to[kCopyBytes / 2] == 'x' ? static_cast<double>(kCopyBytes) * 1e9 / static_cast<double>(nanos) : 0;
}

struct Ends {
  slice::StreamPair sockets;
  slice::Ring ring;
};

// The other process: takes everything, and looks that the last batch is whole.
[[noreturn]] void receive(bool ring, Ends ends, const Batch& expected, uint64_t batches) {
  std::unique_ptr<slice::BatchReceiver> receiver;
  if (ring) {
    ends.ring.sender_life.reset();
    auto made =
        slice::make_ring_receiver(ends.ring.memory, std::move(ends.ring.receiver_life), expected.schema, nullptr);
    if (!made.ok()) ::_exit(1);
    receiver = std::move(*made);
  } else {
    ends.sockets.sender.reset();
    receiver = slice::make_socket_receiver(std::move(ends.sockets.receiver), expected.schema, nullptr);
  }
  uint64_t got = 0;
  for (;;) {
    auto batch = receiver->receive();
    if (!batch.ok()) ::_exit(2);
    if (!batch->has_value()) break;
    ++got;
    const auto last = (*batch)->rows - 1;
    if (columnar::value_at((*batch)->columns[4], last) != columnar::value_at(expected.columns[4], last)) ::_exit(3);
  }
  ::_exit(got == batches ? 0 : 4);
}

// Bytes a second, from the first batch sent until the other process has taken the last.
Result<double> stream_rate(bool ring, const Batch& batch, uint64_t batches) {
  Ends ends;
  if (ring) {
    ends.ring = RUNINK_TRY(slice::make_ring());
  } else {
    ends.sockets = RUNINK_TRY(slice::make_stream_pair());
  }
  const pid_t child = ::fork();
  if (child < 0) return from_errno(errno, "make a process");
  if (child == 0) receive(ring, std::move(ends), batch, batches);
  std::unique_ptr<slice::BatchSender> sender;
  if (ring) {
    ends.ring.receiver_life.reset();
    sender =
        RUNINK_TRY(slice::make_ring_sender(ends.ring.memory, std::move(ends.ring.sender_life), batch.schema, nullptr));
  } else {
    ends.sockets.receiver.reset();
    sender = slice::make_socket_sender(std::move(ends.sockets.sender), batch.schema, nullptr);
  }
  const int64_t begin = now_nanos();
  Status sent;
  for (uint64_t i = 0; i < batches && sent.ok(); ++i) sent = sender->send(batch);
  if (sent.ok()) sent = sender->finish();
  int status = 0;
  (void)::waitpid(child, &status, 0);
  const int64_t nanos = now_nanos() - begin;
  RUNINK_RETURN_IF_ERROR(std::move(sent));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return internal_error("the receiver ended with {}", status);
  return static_cast<double>(batches * bytes_of(batch)) * 1e9 / static_cast<double>(nanos);
}

}  // namespace

Status stream_rows(const Setting& setting) {
  if (!setting.wanted("slices.stream")) return {};
  const Batch batch = make_batch();
  const uint64_t batches = (uint64_t{1} << 30) * static_cast<uint64_t>(setting.options().seconds) / bytes_of(batch);
  std::vector<double> rings, sockets, copies;
  for (int round = 0; round < 5; ++round) {
    copies.push_back(copy_rate());
    rings.push_back(RUNINK_TRY(stream_rate(true, batch, batches)));
    copies.push_back(copy_rate());
    sockets.push_back(RUNINK_TRY(stream_rate(false, batch, batches)));
  }
  const double copy = median(copies);
  const double goal = std::min(kGoalRate, kGoalOfCopy * copy);
  const auto print = [&](const char* kind, const std::vector<double>& rates) {
    const double rate = median(rates);
    setting.print({.bench = "slices.stream",
                   .unit = "GB/s",
                   .value = rate / kGiga,
                   .goal = goal / kGiga,
                   .words = {{"kind", kind}},
                   .numbers = {{"copy GB/s", copy / kGiga}, {"of copy", rate / copy}}});
  };
  print("shared memory", rings);
  print("socket, Arrow IPC", sockets);
  return {};
}

}  // namespace runink::bench
