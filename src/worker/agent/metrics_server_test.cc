// The agent's metrics from end to end: slices that answer, in every way a slice may, on real Unix sockets; the page
// over HTTP; promtool and a real Prometheus.
#include "worker/agent/metrics_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>

#include "base/clock.h"
#include "base/text.h"
#include "platform/net/client_stream.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/temp.h"

namespace runink::agent {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kReference[] = "../../../docs/reference/agent-metrics.md";
constexpr int64_t kSecond = 1'000'000'000;

// A slice's end of the metrics socket; answers every connection in its way.
class FakeSlice {
 public:
  using Answer = std::function<void(int connection)>;

  FakeSlice(const std::string& path, Answer answer) : answer_(std::move(answer)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    listener_ = os::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), path);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 4), 0);
    thread_ = std::thread([this] { run(); });
  }
  ~FakeSlice() {
    stop_ = true;
    thread_.join();
  }
  bool stopped() const { return stop_; }

 private:
  void run() {
    while (!stop_) {
      pollfd ready = {listener_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 10) <= 0) continue;
      const os::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "connection");
      if (connection.valid()) answer_(connection.get());
    }
  }
  Answer answer_;
  os::Fd listener_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void say(int connection, std::string_view text) { (void)!::send(connection, text.data(), text.size(), MSG_NOSIGNAL); }
void hear(int connection) {
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    request.append(buffer, static_cast<size_t>(got));
  }
  EXPECT_TRUE(request.starts_with("GET /metrics HTTP/1.0\r\n"));
}

FakeSlice::Answer http(const std::string& body, const std::string& status = "200 OK") {
  return [=](int connection) {
    hear(connection);
    say(connection, "HTTP/1.0 " + status + "\r\nContent-Type: text/plain\r\n\r\n" + body);
  };
}

constexpr char kRows[] = "# HELP rows_total Rows.\n# TYPE rows_total counter\nrows_total 42\n";

AgentSample sample() {
  AgentSample out;
  out.version = "1.2.3";
  out.slices_by_state = {{"running", 2}, {"ended", 5}};
  out.starts_by_path = {{"parked", 6}, {"cold", 1}};
  out.ends_by_cause = {{"exited", 5}};
  out.parked_by_class = {{"command", 4}};
  out.launcher_starts = 1;
  out.leaks = LeakCounts{};
  SliceSample slice;
  slice.id = "s1";
  slice.herd = "etl";
  slice.usage = sandbox::CgroupUsage{1.5, 1.0, 0.5, 4096, 8192, 10, 1, 100, 200, 3};
  slice.events = sandbox::CgroupEvents{.out_of_memory_kills = 1,
                                       .memory_limit_hits = 2,
                                       .memory_high_hits = 3,
                                       .throttled_periods = 4,
                                       .throttled_seconds = 0.25,
                                       .refused_processes = 5};
  out.slices = {slice};
  return out;
}

class MetricsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.listen = *net::numeric_address({"127.0.0.1", 0});
    options_.scrape.every_nanos = kSecond / 20;
    options_.scrape.deadline_nanos = kSecond / 2;
    options_.fresh_nanos = 0;
    options_.collect = sample;
  }
  void start() {
    auto server = MetricsServer::start(options_);
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
  }
  std::string path(const std::string& slice) const { return folder_.file(slice); }
  // The page, once it has this text.
  std::string page_with(const std::string& text) {
    const int64_t end = system_clock().steady_nanos() + 20 * kSecond;
    std::string page;
    while (system_clock().steady_nanos() < end) {
      page = server_->page();
      if (page.find(text) != std::string::npos) return page;
      ::usleep(5'000);
    }
    ADD_FAILURE() << "never served: " << text << "\n" << page;
    return page;
  }
  // Why the slice gives no metrics, once it is for this reason.
  std::string refusal_of(const std::string& slice, const std::string& reason) {
    const int64_t end = system_clock().steady_nanos() + 20 * kSecond;
    std::string why;
    while (why.find(reason) == std::string::npos && system_clock().steady_nanos() < end) {
      const auto page = server_->slice_page(slice);
      why = page.ok() ? "it gives some" : page.status().to_string();
      EXPECT_TRUE(page.ok() || page.status().code() == Code::kUnavailable) << slice;
      ::usleep(5'000);
    }
    return why;
  }
  static std::string get(const net::SocketAddress& from, const std::string& what) {
    const int64_t deadline = system_clock().steady_nanos() + 10 * kSecond;
    const net::HostPort where = {"127.0.0.1", ntohs(from.raw.v4.sin_port)};
    const net::Interrupt interrupt = *net::Interrupt::create();
    auto stream = net::ClientStream::connect(where, nullptr, deadline, interrupt);
    if (!stream.ok()) return stream.status().to_string();
    if (!(*stream)->write("GET " + what + " HTTP/1.0\r\n\r\n", deadline).ok()) return "not sent";
    std::string answer(4 << 20, '\0');
    size_t size = 0;
    for (size_t got = 1; got > 0 && size < answer.size(); size += got) {
      const auto read = (*stream)->read(answer.data() + size, answer.size() - size, deadline);
      got = read.ok() ? *read : 0;
    }
    answer.resize(size);
    return answer;
  }

  os::TempFolder folder_ = *os::TempFolder::create("");
  MetricsServer::Options options_;
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, ServesTheAgentsAndTheSlicesMetrics) {
  start();
  const FakeSlice first(path("s1"), http(kRows));
  const FakeSlice second(path("s2"), [](int connection) { say(connection, kRows); });  // bare, and asks for nothing
  server_->add_slice("s1", "etl", path("s1"));
  server_->add_slice("s2", "web", path("s2"));
  page_with("rows_total{slice=\"s1\",herd=\"etl\"} 42\n");
  page_with("rows_total{slice=\"s2\",herd=\"web\"} 42\n");
  const std::string answer = get(*server_->address(), "/metrics");
  EXPECT_THAT(answer, AllOf(HasSubstr("HTTP/1.1 200 OK"), HasSubstr("version=0.0.4"),
                            HasSubstr("runink_agent_slices{state=\"running\"} 2\n"),
                            HasSubstr("runink_agent_slice_cpu_user_seconds_total{slice=\"s1\",herd=\"etl\"} 1\n"),
                            HasSubstr("runink_agent_slice_scrape_ok{slice=\"s2\",herd=\"web\"} 1\n"),
                            HasSubstr("rows_total{slice=\"s1\",herd=\"etl\"} 42\n")));
  EXPECT_THAT(get(*server_->address(), "/healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(get(*server_->address(), "/other"), HasSubstr("404"));
  EXPECT_EQ(*server_->slice_page("s1"),
            "# HELP rows_total Rows.\n# TYPE rows_total counter\nrows_total{slice=\"s1\",herd=\"etl\"} 42\n");
  EXPECT_EQ(server_->slice_page("s9").status().code(), Code::kNotFound);
  server_->remove_slice("s1");
  EXPECT_THAT(server_->page(), Not(HasSubstr("rows_total{slice=\"s1\"")));
}

// Each harms only itself.
TEST_F(MetricsServerTest, SlicesThatDoNotAnswerAsTheyShould) {
  options_.scrape.most_bytes = 100'000;
  options_.scrape.at_once = 2;
  start();
  const FakeSlice good(path("good"), http(kRows));
  const FakeSlice garbage(path("garbage"), http("this is { no metric\n"));
  const FakeSlice refusing(path("refusing"), http("no", "500 No"));
  const FakeSlice cut(path("cut"), http("rows_total 4"));
  const FakeSlice endless(path("endless"), [](int connection) {
    const std::string much(65536, 'x');
    while (::send(connection, much.data(), much.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  std::atomic<bool> ended{false};
  const FakeSlice silent(path("silent"), [&](int connection) {
    char byte;
    while (!ended && ::recv(connection, &byte, 1, MSG_DONTWAIT) != 0) ::usleep(1000);
  });
  for (const char* slice : {"garbage", "refusing", "cut", "endless", "silent", "gone", "good"}) {
    server_->add_slice(slice, "h", path(slice));
  }
  page_with("rows_total{slice=\"good\",herd=\"h\"} 42\n");
  for (const auto& [slice, why] : std::map<std::string, std::string>{{"garbage", "line 1"},
                                                                     {"refusing", "500"},
                                                                     {"cut", "ends within a line"},
                                                                     {"endless", "more than 100000 bytes"},
                                                                     {"silent", "did not answer in"},
                                                                     {"gone", "No such file"}}) {
    EXPECT_THAT(refusal_of(slice, why), HasSubstr(why)) << slice;
    EXPECT_THAT(
        server_->page(),
        Not(HasSubstr(fmt::format("runink_agent_slice_scrape_failures_total{{slice=\"{}\",herd=\"h\"}} 0\n", slice))));
  }
  EXPECT_THAT(server_->page(), HasSubstr("runink_agent_slice_scrape_ok{slice=\"good\",herd=\"h\"} 1\n"));
  ended = true;
}

TEST_F(MetricsServerTest, WhatASliceSaidIsForgottenInTheEnd) {
  options_.scrape.stale_nanos = kSecond / 5;
  start();
  {
    const FakeSlice slice(path("s"), http(kRows));
    server_->add_slice("s", "h", path("s"));
    page_with("rows_total{slice=\"s\"");
  }
  ASSERT_TRUE(os::remove_file(path("s")).ok());
  page_with("runink_agent_slice_scrape_ok{slice=\"s\",herd=\"h\"} 0\n");
  const int64_t end = system_clock().steady_nanos() + 20 * kSecond;
  while (server_->page().find("rows_total{") != std::string::npos && system_clock().steady_nanos() < end) {
    ::usleep(5'000);
  }
  EXPECT_THAT(server_->page(), Not(HasSubstr("rows_total{")));
}

std::unique_ptr<os::Child> run(std::vector<std::string> argv, const std::string& input, const std::string& output) {
  const os::Fd in = input.empty() ? os::Fd() : *os::open_file(input);
  const os::Fd out = *os::open_file(output, os::OpenMode::kTruncate);
  os::SpawnOptions options;
  options.argv = std::move(argv);
  options.standard_input = in.get();
  options.standard_output = options.standard_error = out.get();
  auto child = os::Child::spawn(options);
  return child.ok() ? std::make_unique<os::Child>(std::move(*child)) : nullptr;
}

// All there can be on the page.
MetricsParts full_parts(const std::vector<const MetricsScraper::Target*>& scraped) {
  MetricsParts parts;
  parts.agent = sample();
  parts.logs = LogStore::Counters{};
  parts.dropped_by_slice = {{"s1", {}}};
  parts.fluentd = FluentdForwarder::Counters{};
  parts.scraped = scraped;
  return parts;
}

TEST(AgentMetrics, PromtoolHasNothingToSay) {
  MetricsScraper::Target target;
  target.slice = "s1";
  target.herd = "etl";
  target.families = *parse_metrics(kRows);
  const os::TempFolder folder = *os::TempFolder::create("");
  ASSERT_TRUE(os::write_file_atomic(folder.file("page"), render_agent_metrics(full_parts({&target}))).ok());
  auto promtool = run({"promtool", "check", "metrics"}, folder.file("page"), folder.file("said"));
  if (promtool == nullptr) GTEST_SKIP() << "there is no promtool here (package prometheus)";
  const auto ended = promtool->wait(60'000'000);
  ASSERT_TRUE(ended.ok() && ended->has_value());
  EXPECT_TRUE((*ended)->success());
  EXPECT_EQ(*os::read_file(folder.file("said")), "");
}

TEST(AgentMetrics, TheReferenceListsWhatIsServed) {
  std::string table, help;
  const std::string page = render_agent_metrics(full_parts({}));
  for (const std::string_view line : split(page, '\n')) {
    const auto words = split(line, ' ');
    if (line.starts_with("# HELP ")) help = line.substr(8 + words[2].size());
    if (line.starts_with("# TYPE ")) table += fmt::format("| `{}` | {} | {} |\n", words[2], words[3], help);
  }
  const std::string begin =
      "<!-- metrics: written by this test with RUNINK_REWRITE=1 -->\n| Name | Type | What |\n|---|---|---|\n";
  std::string reference = *os::read_file(kReference);
  const size_t from = reference.find(begin), to = reference.find("<!-- /metrics -->");
  ASSERT_TRUE(from != std::string::npos && to != std::string::npos);
  if (std::getenv("RUNINK_REWRITE") != nullptr) {
    reference.replace(from + begin.size(), to - from - begin.size(), table);
    ASSERT_TRUE(os::write_file_atomic(kReference, reference).ok());
    return;
  }
  EXPECT_EQ(reference.substr(from + begin.size(), to - from - begin.size()), table);
}

// A port that nobody listens at now.
uint16_t free_port() {
  const os::Fd listener = *net::listen_tcp(*net::numeric_address({"127.0.0.1", 0}));
  return ntohs((*net::local_address(listener)).raw.v4.sin_port);
}

TEST_F(MetricsServerTest, PrometheusScrapesIt) {
  start();
  const FakeSlice slice(path("s1"), http(kRows));
  server_->add_slice("s1", "etl", path("s1"));
  page_with("rows_total{slice=\"s1\"");
  const uint16_t port = free_port();
  const std::string config = fmt::format(
      "scrape_configs:\n- job_name: agent\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n"
      "  static_configs:\n  - targets: ['{}']\n",
      server_->address()->text());
  ASSERT_TRUE(os::write_file_atomic(folder_.file("config.yml"), config).ok());
  auto prometheus =
      run({"prometheus", "--config.file=" + folder_.file("config.yml"), "--storage.tsdb.path=" + folder_.file("tsdb"),
           fmt::format("--web.listen-address=127.0.0.1:{}", port)},
          "", folder_.file("said"));
  if (prometheus == nullptr) GTEST_SKIP() << "there is no prometheus here (package prometheus)";
  const net::SocketAddress address = *net::numeric_address({"127.0.0.1", port});
  std::string answer;
  const int64_t end = system_clock().steady_nanos() + 60 * kSecond;
  while (answer.find("\"42\"") == std::string::npos && system_clock().steady_nanos() < end && prometheus->running()) {
    ::usleep(50'000);
    answer = get(address, "/api/v1/query?query=rows_total%7Bherd%3D%22etl%22%7D");
  }
  EXPECT_THAT(answer, AllOf(HasSubstr("\"42\""), HasSubstr("\"slice\":\"s1\"")))
      << *os::read_file(folder_.file("said"));
  EXPECT_THAT(get(address, "/api/v1/query?query=runink_agent_slices"), HasSubstr("\"state\":\"running\""));
  EXPECT_THAT(get(address, "/api/v1/targets"), HasSubstr("\"health\":\"up\""));
  EXPECT_TRUE(prometheus->terminate(10'000'000).ok());
}

}  // namespace
}  // namespace runink::agent
