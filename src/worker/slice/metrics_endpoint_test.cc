#include "worker/slice/metrics_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::slice {
namespace {

using testing::EndsWith;
using testing::StartsWith;

struct Served {
  os::TempFolder folder = *os::TempFolder::create("");
  sockaddr_un address = {};
  std::optional<MetricsEndpoint> endpoint;

  Served() {
    address.sun_family = AF_UNIX;
    folder.file("m").copy(address.sun_path, sizeof address.sun_path - 1);
    os::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "m");
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener.get(), 8), 0);
    endpoint.emplace(std::move(listener), [] { return std::string("x_total 1\n"); });
  }
  os::Fd connect() const {
    os::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "client");
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  std::string ask(std::string_view request) const {
    const os::Fd fd = connect();
    (void)os::write_all(fd, request);
    (void)::shutdown(fd.get(), SHUT_WR);
    std::string out(4096, '\0');
    const auto read = os::read_full(fd, out.data(), out.size());
    out.resize(read.ok() ? *read : 0);  // what it left unread resets the connection
    return out;
  }
};

TEST(MetricsEndpoint, AnswersEachWhoAsks) {
  Served served;
  for (int i = 0; i < 3; ++i) {
    const std::string answer = served.ask("GET /metrics HTTP/1.0\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.0 200 OK\r\n"));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nx_total 1\n"));
  }
}

TEST(MetricsEndpoint, WhoeverAsksBadlyOrGoesAwayKeepsNobodyElse) {
  Served served;
  std::signal(SIGPIPE, SIG_IGN);  // of this side
  { const os::Fd gone = served.connect(); }
  (void)served.ask(std::string(100'000, 'x'));
  EXPECT_THAT(served.ask("GET / HTTP/1.0\r\n\r\n"), EndsWith("x_total 1\n"));
}

TEST(MetricsEndpoint, EndsWhileNobodyAsks) { Served served; }

}  // namespace
}  // namespace runink::slice
