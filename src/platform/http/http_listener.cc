#include "platform/http/http_listener.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "platform/http/request_head.h"

namespace runink::http {
namespace {

constexpr size_t kReadBytes = 4096;

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

}  // namespace

// Reads a head, answers, and begins again. What has come beyond one head stays in in_.
class HttpListener::Connection final : private net::EventLoop::IoHandler {
 public:
  Connection(HttpListener& owner, os::Fd socket) : owner_(owner), socket_(std::move(socket)) {}
  ~Connection() {
    owner_.loop_.cancel(timer_);
    owner_.loop_.unwatch(socket_.get());
    *alive_ = false;
  }
  Status begin() {
    RUNINK_RETURN_IF_ERROR(owner_.loop_.watch(socket_.get(), net::EventLoop::kReadable, this));
    expect(owner_.options_.head_nanos);
    return {};
  }
  // Between two requests: it loses nothing by being closed.
  bool idle() const { return state_ == State::kReading && !begun_ && asked_ != 0; }
  // Since when it has been in its state. Bytes that come or go one by one do not make it younger.
  int64_t since() const { return since_; }

 private:
  enum class State : uint8_t { kReading, kAnswering, kLeaving };

  void expect(int64_t nanos) {
    since_ = owner_.loop_.now();
    owner_.loop_.cancel(timer_);
    timer_ = owner_.loop_.call_after(nanos, [this] {
      timer_ = 0;
      late();
    });
  }
  void late() {
    ++owner_.counters_.timed_out;
    if (state_ == State::kReading && begun_) return refuse(408);
    owner_.drop(this);
  }

  void on_io(unsigned events) override {
    if ((events & net::EventLoop::kBroken) != 0) return owner_.drop(this);  // nobody is there to be answered
    if (state_ == State::kAnswering) return send();
    if (state_ == State::kLeaving) return discard();
    receive();
  }

  void receive() {
    char bytes[kReadBytes];
    const ssize_t got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return owner_.drop(this);
    in_.append(bytes, static_cast<size_t>(got));
    take();
  }

  void take() {
    if (in_.empty()) return;
    if (!begun_) {
      begun_ = true;
      head_ = std::make_unique<RequestHead>(owner_.options_.max_head_bytes);
      if (asked_ != 0) expect(owner_.options_.head_nanos);
    }
    in_.erase(0, head_->feed(in_));
    if (head_->refusal() != 0) return refuse(head_->refusal());
    if (head_->done()) {
      keep_ = head_->keep_alive() && !worn_out();
      return answer(owner_.handler_(head_->path()), head_->head_only());
    }
    // What the parser leaves is the beginning of what has not ended.
    if (in_.size() > owner_.options_.max_head_bytes) return refuse(431);
    owner_.loop_.set_interest(socket_.get(), net::EventLoop::kReadable);
  }

  // This request is to be the last.
  bool worn_out() const {
    const Options& limits = owner_.options_;
    return asked_ + 1 >= limits.max_requests || owner_.loop_.now() - accepted_ >= limits.life_nanos;
  }

  // Nothing behind a request that was refused is believed.
  void refuse(int status) {
    if (status != 405) ++owner_.counters_.bad_requests;
    keep_ = false;
    Response response;
    response.status = status;
    response.body = std::string(reason(status)) + "\n";
    answer(std::move(response), false);
  }

  void answer(Response response, bool head_only) {
    ++owner_.counters_.requests;
    ++asked_;
    state_ = State::kAnswering;
    out_ =
        fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n{}{}\r\n",
                    response.status, reason(response.status), response.content_type, response.body.size(),
                    response.status == 405 ? "Allow: GET, HEAD\r\n" : "",
                    keep_ ? (head_->old_version() ? "Connection: keep-alive\r\n" : "") : "Connection: close\r\n");
    if (!head_only) out_ += response.body;
    sent_ = 0;
    expect(owner_.options_.answer_nanos);
    send();
  }

  void send() {
    while (sent_ < out_.size()) {
      const ssize_t wrote = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
      if (wrote >= 0) {
        sent_ += static_cast<size_t>(wrote);
      } else if (errno == EAGAIN) {
        return owner_.loop_.set_interest(socket_.get(), net::EventLoop::kWritable);
      } else if (errno != EINTR) {
        return owner_.drop(this);
      }
    }
    keep_ ? next() : leave();
  }

  void next() {
    state_ = State::kReading;
    begun_ = false;
    head_.reset();
    out_ = {};
    expect(owner_.options_.idle_nanos);
    owner_.loop_.set_interest(socket_.get(), in_.empty() ? net::EventLoop::kReadable : 0);
    if (in_.empty()) return;
    // The next one is there already: after others had their turn. Nothing more is read until then.
    owner_.loop_.defer([this, alive = alive_] {
      if (*alive && state_ == State::kReading) take();
    });
  }

  // To close with bytes unread would make the kernel throw away the answer (a reset): what still comes is read for a
  // while and forgotten.
  void leave() {
    state_ = State::kLeaving;
    in_.clear();
    ::shutdown(socket_.get(), SHUT_WR);
    owner_.loop_.set_interest(socket_.get(), net::EventLoop::kReadable);
  }
  void discard() {
    char bytes[kReadBytes];
    const ssize_t got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    discarded_ += static_cast<size_t>(std::max<ssize_t>(got, 0));
    if (got <= 0 || discarded_ > (1u << 20)) owner_.drop(this);
  }

  HttpListener& owner_;
  os::Fd socket_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is deferred
  net::EventLoop::TimerId timer_ = 0;
  State state_ = State::kReading;
  const int64_t accepted_ = owner_.loop_.now();
  int64_t since_ = accepted_;
  uint64_t asked_ = 0;  // requests that were answered, or are
  bool begun_ = false, keep_ = false;
  std::unique_ptr<RequestHead> head_;
  std::string in_, out_;
  size_t sent_ = 0, discarded_ = 0;
};

HttpListener::HttpListener(net::EventLoop& loop, Handler handler, const Options& options)
    : loop_(loop), handler_(std::move(handler)), options_(options) {
  RUNINK_CHECK(options.max_connections > 0);
}

Result<std::unique_ptr<HttpListener>> HttpListener::create(net::EventLoop& loop, const net::SocketAddress& where,
                                                           Handler handler, const Options& options) {
  std::unique_ptr<HttpListener> made(new HttpListener(loop, std::move(handler), options));
  made->listener_ = RUNINK_TRY(net::Listener::create(
      loop, where, [http = made.get()](os::Fd socket, const net::SocketAddress&) { http->accept(std::move(socket)); }));
  return made;
}

HttpListener::~HttpListener() {
  listener_.reset();
  connections_.clear();
}

void HttpListener::accept(os::Fd socket) {
  ++counters_.connections;
  if (connections_.size() >= options_.max_connections) make_room();
  auto connection = std::make_unique<Connection>(*this, std::move(socket));
  if (connection->begin().ok()) connections_.push_back(std::move(connection));
}

void HttpListener::make_room() {
  const auto order = [](const auto& c) { return std::pair(!c->idle(), c->since()); };
  // Of equal ones the first is taken, which came first.
  const auto leaves = std::min_element(connections_.begin(), connections_.end(),
                                       [&](const auto& a, const auto& b) { return order(a) < order(b); });
  connections_.erase(leaves);
  ++counters_.over_limit;
  if (options_.on_full) options_.on_full();
}

void HttpListener::drop(Connection* connection) {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const auto& each) { return each.get() == connection; });
  if (found != connections_.end()) connections_.erase(found);
}

}  // namespace runink::http
