#include "worker/agent/metrics_scraper.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/clock.h"
#include "base/text.h"
#include "platform/os/fd.h"

namespace runink::agent {
namespace {

constexpr std::string_view kRequest = "GET /metrics HTTP/1.0\r\nHost: slice\r\nAccept: text/plain\r\n\r\n";

// The body of an answer: what stands behind an HTTP head, or all of it where there is none.
Result<std::string> body_of(std::string answer) {
  if (!answer.starts_with("HTTP/")) return answer;
  const size_t space = answer.find(' ');
  const std::string_view status = std::string_view(answer).substr(std::min(space, answer.size())).substr(0, 4);
  if (status != " 200") return failed_precondition("it answers with the status{}", escape_control(status));
  for (const std::string_view end : {"\r\n\r\n", "\n\n"}) {
    const size_t at = answer.find(end);
    if (at != std::string::npos) return answer.substr(at + end.size());
  }
  return invalid_argument("its answer has a head that does not end");
}

Result<os::Fd> connect_unix(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return invalid_argument("{} is too long for a socket's path", path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), path);
  if (!socket.valid()) return from_errno(errno, "make a socket");
  // A listener whose queue is full answers EAGAIN: its slice does not accept.
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return from_errno(errno, "connect to " + path);
  }
  return socket;
}

}  // namespace

// One question, from its connection to the end of the answer.
class MetricsScraper::Scrape final : private net::EventLoop::IoHandler {
 public:
  using Done = std::function<void(Result<std::string>)>;

  Scrape(net::EventLoop& loop, const Options& options, Done done)
      : loop_(loop), options_(options), done_(std::move(done)) {}
  ~Scrape() { stop(); }

  // `done` is called in a later turn, once.
  void begin(const std::string& path) {
    auto socket = connect_unix(path);
    Status watched = socket.status();
    if (socket.ok()) {
      socket_ = std::move(*socket);
      watched = loop_.watch(socket_.get(), net::EventLoop::kReadable | net::EventLoop::kWritable, this);
      watched_ = watched.ok();
    }
    const int64_t in = watched.ok() ? options_.deadline_nanos : 0;
    timer_ = loop_.call_after(in, [this, watched] {
      timer_ = 0;
      finish(watched.ok() ? deadline_exceeded("it did not answer in {}",
                                              human_duration(static_cast<double>(options_.deadline_nanos) / 1e9))
                          : watched);
    });
  }

 private:
  void on_io(unsigned events) override {
    if (sent_ < kRequest.size() && (events & net::EventLoop::kWritable) != 0) {
      const ssize_t count = ::send(socket_.get(), kRequest.data() + sent_, kRequest.size() - sent_, MSG_NOSIGNAL);
      // Whoever answers without asking for a question is read all the same.
      sent_ = count >= 0 ? sent_ + static_cast<size_t>(count) : errno == EAGAIN ? sent_ : kRequest.size();
      if (sent_ == kRequest.size()) loop_.set_interest(socket_.get(), net::EventLoop::kReadable);
    }
    if ((events & (net::EventLoop::kReadable | net::EventLoop::kBroken)) == 0) return;
    char buffer[16384];
    const ssize_t count = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    // Who answers without reading the question resets the connection behind the answer.
    const bool ended = count == 0 || (count < 0 && errno == ECONNRESET && !answer_.empty());
    if (count < 0 && !ended) return finish(from_errno(errno, "read its answer"));
    if (ended) return finish(body_of(std::move(answer_)));
    answer_.append(buffer, static_cast<size_t>(count));
    if (answer_.size() > options_.most_bytes) {
      finish(resource_exhausted("its answer has more than {} bytes", options_.most_bytes));
    }
  }

  void stop() {
    loop_.cancel(timer_);
    timer_ = 0;
    if (watched_) loop_.unwatch(socket_.get());
    watched_ = false;
    socket_.reset();
  }

  void finish(Result<std::string> answer) {
    stop();
    Done done = std::move(done_);
    done(std::move(answer));  // may destroy this
  }

  net::EventLoop& loop_;
  const Options& options_;
  Done done_;
  os::Fd socket_;
  bool watched_ = false;
  size_t sent_ = 0;
  std::string answer_;
  net::EventLoop::TimerId timer_ = 0;
};

struct MetricsScraper::Entry {
  Target target;
  std::string path;
  std::unique_ptr<Scrape> scrape;
};

MetricsScraper::MetricsScraper(net::EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {
  timer_ = loop_.call_after(options_.every_nanos, [this] { turn(); });
}

MetricsScraper::~MetricsScraper() { loop_.cancel(timer_); }

void MetricsScraper::add(const std::string& slice, const std::string& herd, const std::string& socket_path) {
  remove(slice);
  auto entry = std::make_unique<Entry>();
  entry->target.slice = slice;
  entry->target.herd = herd;
  entry->target.why_not = "it has not been asked yet";
  entry->path = socket_path;
  entries_.emplace(slice, std::move(entry));
  waiting_.push_back(slice);
  start_waiting();
}

void MetricsScraper::remove(const std::string& slice) {
  const auto found = entries_.find(slice);
  if (found == entries_.end()) return;
  if (found->second->scrape != nullptr) --running_;
  entries_.erase(found);
  std::erase(waiting_, slice);
  start_waiting();
}

std::vector<const MetricsScraper::Target*> MetricsScraper::targets() const {
  std::vector<const Target*> out;
  for (const auto& [slice, entry] : entries_) out.push_back(&entry->target);
  return out;
}

void MetricsScraper::turn() {
  for (auto& [slice, entry] : entries_) {
    const bool waits = std::find(waiting_.begin(), waiting_.end(), slice) != waiting_.end();
    if (entry->scrape == nullptr && !waits) waiting_.push_back(slice);
    Target& target = entry->target;
    if (!target.families.empty() && loop_.now() - target.answered_at > options_.stale_nanos) target.families.clear();
  }
  start_waiting();
  timer_ = loop_.call_after(options_.every_nanos, [this] { turn(); });
}

void MetricsScraper::start_waiting() {
  size_t started = 0;
  while (started < waiting_.size() && running_ < options_.at_once) {
    const std::string& slice = waiting_[started++];
    Entry& entry = *entries_.at(slice);
    ++running_;
    const int64_t began = system_clock().steady_nanos();
    entry.scrape = std::make_unique<Scrape>(
        loop_, options_, [this, slice, began](Result<std::string> answer) { done(slice, std::move(answer), began); });
    entry.scrape->begin(entry.path);
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(started));
}

void MetricsScraper::done(const std::string& slice, Result<std::string> answer, int64_t began) {
  Entry& entry = *entries_.at(slice);
  Target& target = entry.target;
  const int64_t now = system_clock().steady_nanos();
  target.seconds = static_cast<double>(now - began) / 1e9;
  Result<std::vector<MetricFamily>> families =
      answer.ok() ? parse_metrics(*answer, options_.limits) : Result<std::vector<MetricFamily>>(answer.status());
  target.answered = families.ok();
  if (families.ok()) {
    target.families = std::move(*families);
    target.answered_at = now;
    target.why_not.clear();
  } else {
    ++target.failures;
    target.why_not = families.status().to_string();
  }
  --running_;
  net::dispose(loop_, std::move(entry.scrape));
  start_waiting();
}

}  // namespace runink::agent
