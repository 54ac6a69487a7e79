// The listener against other people's clients: curl, and Python's http.client. They are started here and the loop turns
// until they end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "platform/http/http_listener.h"
#include "platform/net/tls_in_test.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/temp.h"

namespace runink::http {
namespace {

class PeersTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made =
        HttpListener::create(*loop_, net::loopback(),
                             [](std::string_view path) -> Response {
                               if (path == "/metrics")
                                 return {200, "text/plain; version=0.0.4; charset=utf-8", std::string(100'001, 'm')};
                               return {404, "text/plain", "nothing here\n"};
                             },
                             {});
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    http_ = std::move(*made);
    url_ = "http://" + http_->address().text();
  }
  // What the program wrote; nothing where there is none.
  std::optional<std::string> run(std::vector<std::string> argv) {
    os::Pipe out = *os::make_pipe("output of " + argv[0]);
    os::SpawnOptions options;
    options.argv = std::move(argv);
    options.standard_output = out.write.get();
    options.standard_error = 2;
    auto child = os::Child::spawn(options);
    if (!child.ok()) return std::nullopt;
    out.write.reset();
    EXPECT_TRUE(os::set_nonblocking(out.read, true).ok());
    std::string text;
    EXPECT_TRUE(net::turn_until(*loop_, [&] {
      char bytes[65536];
      ssize_t n = 0;
      while ((n = ::read(out.read.get(), bytes, sizeof bytes)) > 0) text.append(bytes, static_cast<size_t>(n));
      return n == 0;
    }));
    const auto status = child->wait(10'000'000);
    EXPECT_TRUE(status.ok() && status->has_value() && (*status)->success()) << text;
    return text;
  }
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create();
  std::unique_ptr<HttpListener> http_;
  std::string url_;
};

TEST_F(PeersTest, Curl) {
  // Both requests and the HEAD go over one connection, which --fail-early and the counter see.
  const auto got =
      run({"curl", "-sS", "--noproxy", "*", "-w", "%{http_code} %{size_download} %{num_connects}\n", "-o", "/dev/null",
           url_ + "/metrics", "-o", "/dev/null", url_ + "/metrics?again", "-o", "/dev/null", url_ + "/nothing"});
  if (!got) GTEST_SKIP() << "there is no curl here";
  EXPECT_EQ(*got, "200 100001 1\n200 100001 0\n404 13 0\n");
  const auto head = run({"curl", "-sS", "--noproxy", "*", "-I", url_ + "/metrics"});
  EXPECT_THAT(*head, testing::HasSubstr("Content-Length: 100001\r\n"));
  const auto posted =
      run({"curl", "-sS", "--noproxy", "*", "-w", "%{http_code}", "-d", "a=b", "-o", "/dev/null", url_ + "/metrics"});
  EXPECT_EQ(*posted, "413");
}

TEST_F(PeersTest, PythonHttpClient) {
  const std::string script =
      "import http.client,sys\n"
      "c=http.client.HTTPConnection('127.0.0.1',int(sys.argv[1]),timeout=10)\n"
      "for method,path in (('GET','/metrics'),('HEAD','/metrics'),('GET','/x'),('GET','/metrics')):\n"
      "  c.request(method,path)\n"
      "  r=c.getresponse()\n"
      "  b=r.read()\n"
      "  print(r.status,r.version,r.getheader('Content-Type'),len(b),r.will_close)\n"
      "c.request('PUT','/metrics')\n"
      "r=c.getresponse()\n"
      "print(r.status,r.getheader('Allow'),r.will_close)\n";
  const std::string port = url_.substr(url_.rfind(':') + 1);
  const auto got = run({"python3", "-c", script, port});
  if (!got) GTEST_SKIP() << "there is no python3 here";
  EXPECT_EQ(*got,
            "200 11 text/plain; version=0.0.4; charset=utf-8 100001 False\n"
            "200 11 text/plain; version=0.0.4; charset=utf-8 0 False\n"
            "404 11 text/plain 13 False\n"
            "200 11 text/plain; version=0.0.4; charset=utf-8 100001 False\n"
            "405 GET, HEAD True\n");
  EXPECT_EQ(http_->counters().connections, 1u);
}

}  // namespace
}  // namespace runink::http
