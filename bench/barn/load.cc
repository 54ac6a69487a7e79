// barn_load: N callers with one operation outstanding each, for some seconds; prints one line of JSON.
//
//   barn_load --mode runink-unary|runink-stream|etcd --work put|get|empty --endpoints HOST:PORT,…
//             --cert FILE --key FILE --ca FILE [--trust-domain NAME] [--callers N] [--keys N] [--value BYTES]
//             [--seconds S] [--warm-up S] [--channels N] [--no-marks]
//
// Keys are drawn evenly; `get` puts every key once before. Latencies are of operations begun and ended in the measured
// time. p50 and so on are exact. client_cpu_s is user and system time of this process in that time.
#include "bench/barn/load.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/clock.h"

namespace runink::bench {
namespace {

double cpu_seconds() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Run {
 public:
  Run(const LoadOptions& options, Target& target) : options_(options), target_(target), callers_(options.callers) {
    for (size_t i = 0; i < callers_.size(); ++i) callers_[i].random = 0x9E3779B97F4A7C15ULL * (i + 1);
    value_.resize(options.value_bytes);
    for (size_t i = 0; i < value_.size(); ++i) value_[i] = static_cast<char>(' ' + next(callers_[0]) % 95);
  }

  // Every key once.
  Status fill() {
    std::atomic<size_t> key{0};
    go([&](size_t caller) -> bool {
      const size_t n = key++;
      if (n >= options_.keys) return false;
      target_.put(caller, key_of(n), value_, [this, caller](const Status& status) { over(caller, status); });
      return true;
    });
    return failure();
  }

  void measure() {
    std::thread clock([this] {
      wait(options_.warm_up_seconds);
      cpu_ = -cpu_seconds();
      from_ = system_clock().steady_nanos();
      wait(options_.seconds);
      until_ = system_clock().steady_nanos();
      cpu_ += cpu_seconds();
      stop_ = true;
    });
    go([this](size_t caller) -> bool {
      if (stop_) return false;
      Caller& own = callers_[caller];
      own.begun = system_clock().steady_nanos();
      const auto done = [this, caller](const Status& status) {
        Caller& mine = callers_[caller];
        const int64_t now = system_clock().steady_nanos(), from = from_;
        if (status.ok() && from != 0 && mine.begun >= from && until_ == 0) mine.nanos.push_back(now - mine.begun);
        over(caller, status);
      };
      switch (options_.work) {
        case Work::kPut:
          target_.put(caller, key_of(next(own) % options_.keys), value_, done);
          break;
        case Work::kGet:
          target_.get(caller, key_of(next(own) % options_.keys), done);
          break;
        case Work::kEmpty:
          target_.empty(caller, done);
          break;
      }
      return true;
    });
    clock.join();
  }

  std::string report() {
    std::vector<int64_t> all;
    for (const Caller& caller : callers_) all.insert(all.end(), caller.nanos.begin(), caller.nanos.end());
    std::sort(all.begin(), all.end());
    const auto at = [&](double part) {
      return all.empty()
                 ? 0.0
                 : static_cast<double>(all[static_cast<size_t>(part * static_cast<double>(all.size() - 1))]) / 1e3;
    };
    const double seconds = static_cast<double>(until_ - from_) / 1e9;
    return fmt::format(
        R"({{"mode": "{}", "work": "{}", "callers": {}, "keys": {}, "value_bytes": {}, "channels": {}, "marks": {}, )"
        R"("seconds": {:.3f}, "ops": {}, "errors": {}, "ops_per_s": {:.0f}, "p50_us": {:.1f}, "p99_us": {:.1f}, )"
        R"("p999_us": {:.1f}, "max_us": {:.1f}, "client_cpu_s": {:.3f}}})",
        options_.mode, name_of(options_.work), options_.callers, options_.keys, options_.value_bytes,
        options_.mode == "etcd" ? options_.channels : 1, options_.mode != "etcd" && options_.marks, seconds, all.size(),
        errors_.load(), static_cast<double>(all.size()) / seconds, at(0.5), at(0.99), at(0.999), at(1), cpu_);
  }
  Status failure() {
    const std::lock_guard lock(mutex_);
    return failure_;
  }
  static const char* name_of(Work work) { return work == Work::kPut ? "put" : work == Work::kGet ? "get" : "empty"; }

 private:
  struct alignas(64) Caller {
    uint64_t random = 0;
    int64_t begun = 0;
    std::vector<int64_t> nanos;
  };
  static uint64_t next(Caller& caller) {  // xorshift64*, Vigna 2016
    caller.random ^= caller.random >> 12;
    caller.random ^= caller.random << 25;
    caller.random ^= caller.random >> 27;
    return caller.random * 0x2545F4914F6CDD1DULL;
  }
  static std::string key_of(uint64_t n) { return fmt::format("bench/{:010}", n); }
  static void wait(double seconds) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable never;
    never.wait_for(lock, std::chrono::duration<double>(seconds), [] { return false; });
  }
  // `step` begins a caller's next operation, or says that there is none.
  void go(std::function<bool(size_t)> step) {
    step_ = std::move(step);
    going_ = callers_.size();
    for (size_t i = 0; i < callers_.size(); ++i) begin(i);
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return going_ == 0; });
  }
  void begin(size_t caller) {
    if (errors_ < 1000 && step_(caller)) return;
    const std::lock_guard lock(mutex_);
    if (--going_ == 0) idle_.notify_all();
  }
  void over(size_t caller, const Status& status) {
    if (!status.ok()) {
      ++errors_;
      const std::lock_guard lock(mutex_);
      if (failure_.ok()) failure_ = status;
    }
    begin(caller);
  }

  const LoadOptions& options_;
  Target& target_;
  std::vector<Caller> callers_;
  std::string value_;
  std::function<bool(size_t)> step_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> from_{0}, until_{0};  // of the measured time; 0: not yet
  std::atomic<size_t> errors_{0};
  double cpu_ = 0;
  std::mutex mutex_;
  std::condition_variable idle_;
  size_t going_ = 0;  // under mutex_
  Status failure_;    // under mutex_: the first
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  if (!in || !(out << in.rdbuf())) return not_found("{} cannot be read", path);
  return out.str();
}

Result<LoadOptions> parse(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--no-marks") {
      given[name] = "yes";
      continue;
    }
    if (name.rfind("--", 0) != 0 || i + 1 == argc) return invalid_argument("what does '{}' mean?", name);
    given[name] = argv[++i];
  }
  const auto take = [&](const char* name, std::string otherwise) {
    const auto found = given.find(name);
    if (found == given.end()) return otherwise;
    std::string value = found->second;
    given.erase(found);
    return value;
  };
  Status bad;
  const auto number = [&](const char* name, double otherwise) {
    const std::string text = take(name, "");
    if (text.empty()) return otherwise;
    double value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ec != std::errc() || end.ptr != text.data() + text.size() || !(value >= 0) || value > 1e9)
      bad = invalid_argument("{} wants a number, not '{}'", name, text);
    return value;
  };
  LoadOptions out;
  out.mode = take("--mode", "");
  const std::string work = take("--work", "put");
  out.work = work == "put" ? Work::kPut : work == "get" ? Work::kGet : Work::kEmpty;
  std::istringstream endpoints(take("--endpoints", ""));
  for (std::string endpoint; std::getline(endpoints, endpoint, ',');) out.endpoints.push_back(endpoint);
  out.trust_domain = take("--trust-domain", "");
  out.callers = static_cast<size_t>(number("--callers", 256));
  out.keys = static_cast<size_t>(number("--keys", 10'000));
  out.value_bytes = static_cast<size_t>(number("--value", 256));
  out.seconds = number("--seconds", 5);
  out.warm_up_seconds = number("--warm-up", 1);
  out.channels = static_cast<size_t>(number("--channels", 1));
  out.marks = take("--no-marks", "").empty();
  const std::string certificate = take("--cert", ""), key = take("--key", ""), authority = take("--ca", "");
  RUNINK_RETURN_IF_ERROR(bad);
  if (!given.empty()) return invalid_argument("there is no option {}", given.begin()->first);
  if (work != "put" && work != "get" && work != "empty") return invalid_argument("--work is put, get or empty");
  if (out.mode != "etcd" && out.mode != "runink-unary" && out.mode != "runink-stream")
    return invalid_argument("--mode is runink-unary, runink-stream or etcd");
  if (out.endpoints.empty() || out.callers == 0 || out.keys == 0 || out.value_bytes == 0 || out.seconds == 0)
    return invalid_argument("--endpoints, --callers, --keys, --value and --seconds must not be empty");
  out.certificate_pem = RUNINK_TRY(read_file(certificate));
  out.key_pem = RUNINK_TRY(read_file(key));
  out.authorities_pem = RUNINK_TRY(read_file(authority));
  return out;
}

Status run(int argc, char** argv) {
  const LoadOptions options = RUNINK_TRY(parse(argc, argv));
  std::unique_ptr<Target> target = RUNINK_TRY(options.mode == "etcd" ? make_etcd(options) : make_runink(options));
  Run run(options, *target);
  if (options.work == Work::kGet) RUNINK_RETURN_IF_ERROR(run.fill());
  run.measure();
  target.reset();
  std::puts(run.report().c_str());
  return run.failure().ok() ? Status() : run.failure().with_context("the first error");
}

}  // namespace
}  // namespace runink::bench

int main(int argc, char** argv) {
  const runink::Status status = runink::bench::run(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "barn_load: %s\n", status.to_string().c_str());
  return 1;
}
