// Arrow IPC over a socket between two stages.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "data/columnar/ipc.h"
#include "worker/slice/batch_stream.h"

namespace runink::slice {
namespace {

constexpr int kWaitMillis = 100;      // how soon a request to stop is seen
constexpr size_t kGather = 64 << 10;  // small pieces are gathered, large ones written where they lie
constexpr char kEndMark[8] = {'\xFF', '\xFF', '\xFF', '\xFF', 0, 0, 0, 0};  // of an Arrow stream
constexpr size_t kMostMessage = size_t{1} << 30;

Status interrupted() { return cancelled("the run was interrupted").with_kind("run.interrupted"); }
Status receiver_gone() { return aborted("the next stage ended before it had taken all rows").with_kind("run.stopped"); }
Status sender_gone() { return aborted("the stage before ended before it had sent all rows").with_kind("run.stopped"); }

Status wait(int fd, short events, const StopFlag* stop) {
  for (;;) {
    if (stop != nullptr && stop->requested()) return interrupted();
    pollfd waiting = {fd, events, 0};
    const int ready = ::poll(&waiting, 1, kWaitMillis);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return from_errno(errno, "wait for a neighbour stage");
  }
}

class SocketSender final : public BatchSender {
 public:
  SocketSender(os::Fd socket, columnar::SchemaPtr schema, const StopFlag* stop)
      : socket_(std::move(socket)),
        stop_(stop),
        schema_(std::move(schema)),
        writer_(schema_, [this](std::string_view piece) { return take(piece); }) {
    (void)os::set_nonblocking(socket_, true);
  }

  Status send(const columnar::Batch& batch) override {
    RUNINK_RETURN_IF_ERROR(writer_.write_batch(batch));
    return flush();
  }
  Status finish() override {
    RUNINK_RETURN_IF_ERROR(writer_.finish());
    RUNINK_RETURN_IF_ERROR(flush());
    (void)::shutdown(socket_.get(), SHUT_WR);
    return {};
  }

 private:
  Status take(std::string_view piece) {
    if (gathered_.size() + piece.size() <= kGather) {
      gathered_ += piece;
      return {};
    }
    RUNINK_RETURN_IF_ERROR(flush());
    return write(piece);
  }
  Status flush() {
    Status status = write(gathered_);
    gathered_.clear();
    return status;
  }
  Status write(std::string_view bytes) {
    while (!bytes.empty()) {
      // A pipe, or a socket: the program ignores SIGPIPE.
      const ssize_t n = ::write(socket_.get(), bytes.data(), bytes.size());
      if (n >= 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
      } else if (errno == EAGAIN) {
        RUNINK_RETURN_IF_ERROR(wait(socket_.get(), POLLOUT, stop_));
      } else if (errno == EPIPE || errno == ECONNRESET) {
        return receiver_gone();
      } else if (errno != EINTR) {
        return from_errno(errno, "send rows to the next stage");
      }
    }
    return {};
  }

  os::Fd socket_;
  const StopFlag* stop_;
  columnar::SchemaPtr schema_;
  std::string gathered_;
  columnar::IpcWriter writer_;
};

class SocketReceiver final : public BatchReceiver {
 public:
  SocketReceiver(os::Fd socket, columnar::SchemaPtr schema, const StopFlag* stop)
      : socket_(std::move(socket)),
        stop_(stop),
        schema_(std::move(schema)),
        reader_([this](char* into, size_t size) { return read(into, size); }, {.message_bytes_max = kMostMessage}) {
    (void)os::set_nonblocking(socket_, true);
  }

  Result<std::optional<columnar::Batch>> receive() override {
    auto batch = reader_.next();
    if (!failed_.ok()) return failed_;  // the socket's own error says more than that of the format
    if (!batch.ok()) return std::move(batch).status().with_context("read the rows of the stage before");
    if (!batch->has_value()) {
      // Its schema came, too, where there was no row.
      RUNINK_RETURN_IF_ERROR(ended_well() ? Status() : sender_gone());
      return std::optional<columnar::Batch>();
    }
    if (!checked_) RUNINK_RETURN_IF_ERROR(check(*(*batch)->schema));
    (*batch)->schema = schema_;
    for (size_t c = 0; c < schema_->size(); ++c) {
      if (!schema_->field(c).nullable && (*batch)->columns[c].null_count() > 0)
        return data_loss("column {} of the stage before has nulls, and must have none", schema_->field(c).name);
    }
    return batch;
  }

 private:
  Result<size_t> read(char* into, size_t size) {
    for (;;) {
      const ssize_t n = ::read(socket_.get(), into, size);
      if (n > 0) remember({into, static_cast<size_t>(n)});
      if (n >= 0) return static_cast<size_t>(n);
      if (errno == EINTR) continue;
      failed_ = errno == EAGAIN       ? wait(socket_.get(), POLLIN, stop_)
                : errno == ECONNRESET ? sender_gone()
                                      : from_errno(errno, "read the rows of the stage before");
      if (!failed_.ok()) return failed_;
    }
  }
  // The last bytes that were read: a stream may end between two messages, but ours has an end mark.
  void remember(std::string_view bytes) {
    last_.append(bytes.substr(bytes.size() - std::min(bytes.size(), sizeof kEndMark)));
    if (last_.size() > sizeof kEndMark) last_.erase(0, last_.size() - sizeof kEndMark);
  }
  bool ended_well() const { return last_ == std::string_view(kEndMark, sizeof kEndMark); }

  Status check(const columnar::Schema& sent) {
    bool same = sent.size() == schema_->size();
    for (size_t c = 0; c < sent.size() && same; ++c) {
      const auto &a = sent.field(c), &b = schema_->field(c);
      same = a.name == b.name && a.type.to_string() == b.type.to_string();
    }
    if (!same)
      return data_loss("the stage before sends {}, and should send {}", sent.to_string(), schema_->to_string());
    checked_ = true;
    return {};
  }

  os::Fd socket_;
  const StopFlag* stop_;
  columnar::SchemaPtr schema_;
  Status failed_;
  std::string last_;
  bool checked_ = false;
  columnar::IpcReader reader_;
};

}  // namespace

std::unique_ptr<BatchSender> make_socket_sender(os::Fd socket, columnar::SchemaPtr schema, const StopFlag* stop) {
  return std::make_unique<SocketSender>(std::move(socket), std::move(schema), stop);
}
std::unique_ptr<BatchReceiver> make_socket_receiver(os::Fd socket, columnar::SchemaPtr schema, const StopFlag* stop) {
  return std::make_unique<SocketReceiver>(std::move(socket), std::move(schema), stop);
}

Result<StreamPair> make_stream_pair() {
  os::SocketPair pair = RUNINK_TRY(os::make_socket_pair("rows between two stages"));
  // A hint; the kernel grants at most net.core.wmem_max.
  (void)::setsockopt(pair.first.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBytes, sizeof kSocketBytes);
  return StreamPair{std::move(pair.first), std::move(pair.second)};
}

}  // namespace runink::slice
