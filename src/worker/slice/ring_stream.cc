// Rows through shared memory.
//
// The memory begins with a head of one page: how many bytes were ever written and ever read, each on a cache line of
// its own beside the word by which the other side says that it sleeps. Behind it lie the bytes, a power of two. Each
// side keeps its own count to itself and believes the other's only as far as it can be: never more than fits. What it
// reads it copies once, to where the column will lie, and checks it there.
//
// A batch is its number of rows and then column by column: whether it has nulls, their bitmap, offsets, values,
// children. Nothing says how long anything is but the rows and the offsets, since both ends know the schema.
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>

#include "worker/slice/batch_stream.h"
#include "worker/slice/column_checks.h"

namespace runink::slice {
namespace {

using columnar::Batch;
using columnar::Buffer;
using columnar::BufferPtr;
using columnar::Column;
using columnar::DataType;
using columnar::TypeId;

constexpr size_t kHeadBytes = 4096;
constexpr size_t kMostRing = size_t{1} << 30;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr uint64_t kMagic = 0x31474E4952'4B4E52;  // "RNKRING1"
constexpr uint32_t kBatchMark = 0x48435442, kEndMark = 0x21444E45;
constexpr uint32_t kMostRows = 1u << 20;
constexpr size_t kGrowBytes = size_t{64} << 20;  // a size that the neighbour says is believed only as bytes come
constexpr size_t kShare = 4;                     // a waiting side is woken for a quarter of the ring, not for each byte
constexpr long kSleepNanos = 50'000'000;         // how soon a request to stop, or that the neighbour has gone, is seen
constexpr int kSpins = 200;

struct Head {
  uint64_t magic;
  alignas(64) std::atomic<uint64_t> written;
  std::atomic<uint32_t> reader_sleeps;
  alignas(64) std::atomic<uint64_t> read;
  std::atomic<uint32_t> writer_sleeps;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(Head) <= kHeadBytes);

Status interrupted() { return cancelled("the run was interrupted").with_kind("run.interrupted"); }

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// One side's view of the ring.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    if (head_ != nullptr) ::munmap(head_, kHeadBytes + size_);
  }

  Status map(const os::Fd& memory) {
    struct stat info = {};
    const int seals = ::fcntl(memory.get(), F_GET_SEALS);
    if (::fstat(memory.get(), &info) != 0) return from_errno(errno, "look at the memory shared with a neighbour stage");
    const auto bytes = static_cast<uint64_t>(info.st_size);
    // Only a size that cannot change can be touched without fear of SIGBUS.
    if (seals < 0 || (seals & kSeals) != kSeals || bytes <= kHeadBytes || bytes - kHeadBytes > kMostRing ||
        !std::has_single_bit(bytes - kHeadBytes)) {
      return data_loss("the memory shared with a neighbour stage is no ring of a fixed size");
    }
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory.get(), 0);
    if (at == MAP_FAILED) return from_errno(errno, "map the memory shared with a neighbour stage");
    head_ = static_cast<Head*>(at);
    size_ = bytes - kHeadBytes;
    if (head_->magic != kMagic) return data_loss("the memory shared with a neighbour stage is no ring");
    return {};
  }

  Head& head() { return *head_; }
  size_t size() const { return size_; }
  char* at(uint64_t position) { return reinterpret_cast<char*>(head_) + kHeadBytes + (position & (size_ - 1)); }

 private:
  Head* head_ = nullptr;
  size_t size_ = 0;
};

// Waits until `ready()`; the neighbour wakes `sleeps`. `gone`: what it means when the neighbour is no more.
template <typename Ready>
Status wait_for(std::atomic<uint32_t>& sleeps, const os::Fd& life, const StopFlag* stop, Ready ready,
                Status (*gone)()) {
  for (int i = 0; i < kSpins; ++i) {
    if (ready()) return {};
    pause_briefly();
  }
  for (;;) {
    sleeps.store(1, std::memory_order_seq_cst);
    if (ready()) break;
    const timespec most = {0, kSleepNanos};
    (void)::syscall(SYS_futex, &sleeps, FUTEX_WAIT, 1u, &most, nullptr, 0);
    if (ready()) break;
    if (stop != nullptr && stop->requested()) return interrupted();
    pollfd watching = {life.get(), POLLIN, 0};
    const bool over = ::poll(&watching, 1, 0) > 0;  // nothing is ever said there
    if (ready()) break;                             // its last words came before
    if (over) return gone();
  }
  sleeps.store(0, std::memory_order_relaxed);
  return {};
}

void wake(std::atomic<uint32_t>& sleeps) {
  if (sleeps.load(std::memory_order_seq_cst) == 0) return;
  if (sleeps.exchange(0, std::memory_order_seq_cst) != 0)
    (void)::syscall(SYS_futex, &sleeps, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

class RingSender final : public BatchSender {
 public:
  RingSender(os::Fd life, columnar::SchemaPtr schema, const StopFlag* stop)
      : life_(std::move(life)), schema_(std::move(schema)), stop_(stop) {}
  Status map(const os::Fd& memory) { return ring_.map(memory); }

  Status send(const Batch& batch) override {
    RUNINK_CHECK(batch.rows <= kMostRows);  // the engine's batches have 2048
    if (batch.rows == 0) return {};
    const uint32_t head[2] = {kBatchMark, static_cast<uint32_t>(batch.rows)};
    RUNINK_RETURN_IF_ERROR(put(head, sizeof head));
    for (const Column& column : batch.columns) RUNINK_RETURN_IF_ERROR(put_column(column));
    publish();
    return {};
  }
  Status finish() override {
    const uint32_t head[2] = {kEndMark, 0};
    RUNINK_RETURN_IF_ERROR(put(head, sizeof head));
    publish();
    return {};
  }

 private:
  Status put_column(const Column& column) {
    const auto rows = static_cast<size_t>(column.length);
    if (column.type.id() == TypeId::kNull) return {};
    const uint8_t nulls = column.validity != nullptr;
    RUNINK_RETURN_IF_ERROR(put(&nulls, 1));
    if (nulls != 0) RUNINK_RETURN_IF_ERROR(put(column.validity->data(), columnar::bitmap_bytes(column.length)));
    const bool has_offsets = column.type.is_text() || column.type.id() == TypeId::kList;
    if (has_offsets) RUNINK_RETURN_IF_ERROR(put(column.offsets->data(), (rows + 1) * sizeof(int32_t)));
    if (column.type.is_text()) {
      RUNINK_RETURN_IF_ERROR(put(column.values->data(), static_cast<size_t>(column.offset_data()[rows])));
    } else if (const int width = column.type.width(); width > 0) {
      RUNINK_RETURN_IF_ERROR(put(column.values->data(), rows * static_cast<size_t>(width)));
    }
    for (const Column& child : column.children) RUNINK_RETURN_IF_ERROR(put_column(child));
    return {};
  }

  Status put(const void* from, size_t bytes) {
    const char* next = static_cast<const char*>(from);
    while (bytes > 0) {
      if (room_ == 0) RUNINK_RETURN_IF_ERROR(wait_for_room());
      const size_t to_border = ring_.size() - (written_ & (ring_.size() - 1));
      const size_t piece = std::min({bytes, room_, to_border});
      std::memcpy(ring_.at(written_), next, piece);
      next += piece;
      bytes -= piece;
      written_ += piece;
      room_ -= piece;
      if (written_ - published_ >= ring_.size() / kShare) publish();
    }
    return {};
  }
  void publish() {
    if (published_ == written_) return;
    published_ = written_;
    ring_.head().written.store(written_, std::memory_order_seq_cst);
    wake(ring_.head().reader_sleeps);
  }
  Status wait_for_room() {
    publish();
    Head& head = ring_.head();
    uint64_t read = 0;
    const auto ready = [&] {
      read = head.read.load(std::memory_order_seq_cst);
      return written_ - read < ring_.size();
    };
    // A count that cannot be wakes us, too.
    const auto ready_or_wrong = [&] { return ready() || written_ - read > ring_.size(); };
    RUNINK_RETURN_IF_ERROR(wait_for(head.writer_sleeps, life_, stop_, ready_or_wrong, [] {
      return aborted("the next stage ended before it had taken all rows").with_kind("run.stopped");
    }));
    if (written_ - read > ring_.size()) return data_loss("the next stage says that it has read what was never sent");
    room_ = ring_.size() - (written_ - read);
    return {};
  }

  os::Fd life_;
  columnar::SchemaPtr schema_;
  const StopFlag* stop_;
  Memory ring_;
  uint64_t written_ = 0, published_ = 0;
  size_t room_ = 0;
};

class RingReceiver final : public BatchReceiver {
 public:
  RingReceiver(os::Fd life, columnar::SchemaPtr schema, const StopFlag* stop)
      : life_(std::move(life)), schema_(std::move(schema)), stop_(stop) {}
  Status map(const os::Fd& memory) { return ring_.map(memory); }

  Result<std::optional<Batch>> receive() override {
    uint32_t head[2] = {};
    RUNINK_RETURN_IF_ERROR(get(head, sizeof head));
    if (head[0] == kEndMark) return std::optional<Batch>();
    if (head[0] != kBatchMark || head[1] == 0 || head[1] > kMostRows) return broken();
    Batch batch;
    batch.schema = schema_;
    batch.rows = head[1];
    for (const auto& field : schema_->fields()) {
      Column column = RUNINK_TRY(get_column(field.type, batch.rows, field.nullable, field.name));
      batch.columns.push_back(std::move(column));
    }
    give_back();
    return std::optional<Batch>(std::move(batch));
  }

 private:
  static Status broken() { return data_loss("the stage before sends what are no rows"); }

  Result<Column> get_column(const DataType& type, int64_t length, bool nullable, const std::string& name) {
    Column out;
    out.type = type;
    out.length = length;
    if (type.id() == TypeId::kNull) return out;
    const auto rows = static_cast<size_t>(length);
    uint8_t nulls = 0;
    RUNINK_RETURN_IF_ERROR(get(&nulls, 1));
    if (nulls > 1) return broken();
    if (nulls == 1) out.validity = RUNINK_TRY(get_buffer(columnar::bitmap_bytes(length)));
    if (type.is_text()) {
      out.offsets = RUNINK_TRY(get_buffer((rows + 1) * sizeof(int32_t)));
      RUNINK_RETURN_IF_ERROR(check_offsets(out.offset_data(), rows + 1, INT32_MAX, name));
      out.values = RUNINK_TRY(get_buffer(static_cast<size_t>(out.offset_data()[rows])));
    } else if (type.id() == TypeId::kList) {
      out.offsets = RUNINK_TRY(get_buffer((rows + 1) * sizeof(int32_t)));
      RUNINK_RETURN_IF_ERROR(check_offsets(out.offset_data(), rows + 1, INT32_MAX, name));
      out.children.push_back(RUNINK_TRY(get_column(type.element(), out.offset_data()[rows], true, name + "[]")));
    } else if (type.id() == TypeId::kStruct) {
      for (const auto& field : type.fields()) {
        out.children.push_back(RUNINK_TRY(get_column(field.type, length, true, name + "." + field.name)));
      }
    } else {
      out.values = RUNINK_TRY(get_buffer(rows * static_cast<size_t>(type.width())));
    }
    RUNINK_RETURN_IF_ERROR(check_values(&out, nullable, name));
    return out;
  }

  Result<BufferPtr> get_buffer(size_t bytes) {
    BufferPtr buffer = columnar::make_buffer(std::min(bytes, kGrowBytes));
    for (size_t have = 0;;) {
      RUNINK_RETURN_IF_ERROR(get(buffer->data() + have, buffer->size() - have));
      have = buffer->size();
      if (have == bytes) return buffer;
      buffer->resize(std::min(bytes, have + kGrowBytes));
    }
  }

  Status get(void* into, size_t bytes) {
    char* next = static_cast<char*>(into);
    while (bytes > 0) {
      if (there_ == 0) RUNINK_RETURN_IF_ERROR(wait_for_bytes());
      const size_t to_border = ring_.size() - (read_ & (ring_.size() - 1));
      const size_t piece = std::min({bytes, there_, to_border});
      std::memcpy(next, ring_.at(read_), piece);
      next += piece;
      bytes -= piece;
      read_ += piece;
      there_ -= piece;
      if (read_ - given_back_ >= ring_.size() / kShare) give_back();
    }
    return {};
  }
  void give_back() {
    if (given_back_ == read_) return;
    given_back_ = read_;
    ring_.head().read.store(read_, std::memory_order_seq_cst);
    wake(ring_.head().writer_sleeps);
  }
  Status wait_for_bytes() {
    give_back();
    Head& head = ring_.head();
    uint64_t written = 0;
    const auto ready = [&] {
      written = head.written.load(std::memory_order_seq_cst);
      return written != read_;
    };
    RUNINK_RETURN_IF_ERROR(wait_for(head.reader_sleeps, life_, stop_, ready, [] {
      return aborted("the stage before ended before it had sent all rows").with_kind("run.stopped");
    }));
    if (written - read_ > ring_.size()) return broken();
    there_ = static_cast<size_t>(written - read_);
    return {};
  }

  os::Fd life_;
  columnar::SchemaPtr schema_;
  const StopFlag* stop_;
  Memory ring_;
  uint64_t read_ = 0, given_back_ = 0;
  size_t there_ = 0;
};

}  // namespace

Result<Ring> make_ring(size_t bytes) {
  RUNINK_CHECK(std::has_single_bit(bytes) && bytes >= 4096 && bytes <= kMostRing);
  Ring ring;
  ring.memory =
      os::Fd(::memfd_create("rows between two stages", MFD_CLOEXEC | MFD_ALLOW_SEALING), "rows between two stages");
  if (!ring.memory.valid()) return from_errno(errno, "make memory for rows between two stages");
  if (::ftruncate(ring.memory.get(), static_cast<off_t>(kHeadBytes + bytes)) != 0 ||
      ::pwrite(ring.memory.get(), &kMagic, sizeof kMagic, 0) != sizeof kMagic ||
      ::fcntl(ring.memory.get(), F_ADD_SEALS, kSeals | F_SEAL_SEAL) != 0) {
    return from_errno(errno, "make memory for rows between two stages");
  }
  os::SocketPair life = RUNINK_TRY(os::make_socket_pair("the life of a neighbour stage"));
  ring.sender_life = std::move(life.first);
  ring.receiver_life = std::move(life.second);
  return ring;
}

Result<std::unique_ptr<BatchSender>> make_ring_sender(const os::Fd& memory, os::Fd life, columnar::SchemaPtr schema,
                                                      const StopFlag* stop) {
  auto sender = std::make_unique<RingSender>(std::move(life), std::move(schema), stop);
  RUNINK_RETURN_IF_ERROR(sender->map(memory));
  return std::unique_ptr<BatchSender>(std::move(sender));
}

Result<std::unique_ptr<BatchReceiver>> make_ring_receiver(const os::Fd& memory, os::Fd life, columnar::SchemaPtr schema,
                                                          const StopFlag* stop) {
  auto receiver = std::make_unique<RingReceiver>(std::move(life), std::move(schema), stop);
  RUNINK_RETURN_IF_ERROR(receiver->map(memory));
  return std::unique_ptr<BatchReceiver>(std::move(receiver));
}

}  // namespace runink::slice
