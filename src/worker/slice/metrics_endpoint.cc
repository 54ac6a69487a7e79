#include "worker/slice/metrics_endpoint.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "platform/telemetry/metrics.h"

namespace runink::slice {
namespace {

constexpr size_t kMostRequest = 8 << 10;
constexpr timeval kPatience = {2, 0};

// Up to the empty line behind the head, or as much as comes.
void read_request(const os::Fd& connection) {
  std::string request;
  char piece[1024];
  while (request.size() < kMostRequest && request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t n = ::recv(connection.get(), piece, sizeof piece, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    request.append(piece, static_cast<size_t>(n));
  }
}

}  // namespace

MetricsEndpoint::MetricsEndpoint(os::Fd listener, std::function<std::string()> text)
    : listener_(std::move(listener)), end_(::eventfd(0, EFD_CLOEXEC), "event"), text_(std::move(text)) {
  (void)os::set_nonblocking(listener_, true);
  thread_ = std::thread([this] { serve(); });
}

MetricsEndpoint::~MetricsEndpoint() {
  const uint64_t one = 1;
  const ssize_t ignored = ::write(end_.get(), &one, sizeof one);
  (void)ignored;
  thread_.join();
}

void MetricsEndpoint::serve() {
  for (;;) {
    pollfd waiting[2] = {{end_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    if (::poll(waiting, 2, -1) < 0 && errno != EINTR) return;
    if (waiting[0].revents != 0 || (waiting[1].revents & (POLLERR | POLLNVAL)) != 0) return;
    os::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "metrics");
    if (connection.valid()) answer(std::move(connection));
  }
}

void MetricsEndpoint::answer(os::Fd connection) const {
  (void)::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  (void)::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  read_request(connection);
  const std::string text = text_();
  const std::string all =
      fmt::format("HTTP/1.0 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                  telemetry::kExpositionType, text.size(), text);
  for (std::string_view rest = all; !rest.empty();) {
    const ssize_t n = ::send(connection.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // a scraper that has gone is no matter
    rest.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace runink::slice
