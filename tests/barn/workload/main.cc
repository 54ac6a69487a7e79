// barn_workload: callers at a bounded rate on a cluster, whose answers are then checked.
//
//   barn_workload --cluster FOLDER [--endpoints HOST:PORT,…]          Runink: a client folder of `runi barn`
//   barn_workload --etcd --endpoints … --cert FILE --key FILE --ca FILE
//     [--kinds registers,appends,sets,counters,watches,leases,marks]  default: all that the store has
//     [--callers 20] [--rate 500] [--seconds S]                       without --seconds: until SIGTERM
//     [--clients 4] [--timeout 5] [--patience 90] [--seed N] [--history FILE] [--acks FILE]
//     [--lie] [--reads-at HOST:PORT | --stale-reads-at HOST:PORT]
//
// Prints "ready" when the first write was acknowledged, and at the end one line of JSON. Exit code 1: a violation; 2:
// some of it could not be checked, since last reads were not answered; 3: it could not begin.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <sstream>
#include <thread>

#include "platform/os/file.h"
#include "platform/os/signals.h"
#include "platform/rpc/client_credentials.h"
#include "work.h"

namespace runink::workload {
namespace {

constexpr uint64_t kFileBytesMax = 1 << 20;
constexpr int64_t kSecond = 1'000'000'000, kPollNanos = 20'000'000;

StopFlag g_stop;

struct Options {
  Access access;
  bool etcd = false, lie = false;
  std::vector<std::string> kinds;
  size_t callers = 20, clients = 4;
  double rate = 500, seconds = 0, patience = 90;
  uint64_t seed = 1;
  std::string history, acks;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string each; std::getline(in, each, ',');) out.push_back(each);
  return out;
}

class Arguments {
 public:
  Status read(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string name = argv[i];
      const bool alone = name == "--etcd" || name == "--lie";
      if (name.rfind("--", 0) != 0 || (!alone && i + 1 == argc)) return invalid_argument("what does '{}' mean?", name);
      given_[name] = alone ? "yes" : argv[++i];
    }
    return {};
  }
  std::string take(const std::string& name, std::string otherwise = "") {
    const auto found = given_.find(name);
    if (found == given_.end()) return otherwise;
    std::string value = found->second;
    given_.erase(found);
    return value;
  }
  double number(const std::string& name, double otherwise) {
    const std::string text = take(name);
    if (text.empty()) return otherwise;
    double value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ec != std::errc() || end.ptr != text.data() + text.size() || !(value >= 0) || value > 1e12)
      bad_ = invalid_argument("{} wants a number, not '{}'", name, text);
    return value;
  }
  Status end() const {
    if (bad_.ok() && !given_.empty()) return invalid_argument("there is no option {}", given_.begin()->first);
    return bad_;
  }

 private:
  std::map<std::string, std::string> given_;
  Status bad_;
};

Result<Options> parse(int argc, char** argv) {
  Arguments given;
  RUNINK_RETURN_IF_ERROR(given.read(argc, argv));
  Options out;
  out.etcd = !given.take("--etcd").empty();
  out.lie = !given.take("--lie").empty();
  out.access.endpoints = split(given.take("--endpoints"));
  out.access.reads_endpoint = given.take("--reads-at");
  const std::string stale = given.take("--stale-reads-at");
  out.access.stale_reads = !stale.empty();
  if (out.access.stale_reads) out.access.reads_endpoint = stale;
  out.access.timeout_nanos = static_cast<int64_t>(given.number("--timeout", 5) * kSecond);
  out.kinds = split(given.take("--kinds", out.etcd ? "registers,appends,sets,counters"
                                                   : "registers,appends,sets,counters,watches,leases,marks"));
  out.callers = static_cast<size_t>(given.number("--callers", 20));
  out.clients = static_cast<size_t>(given.number("--clients", 4));
  out.rate = given.number("--rate", 500);
  out.seconds = given.number("--seconds", 0);
  out.patience = given.number("--patience", 90);
  out.seed = static_cast<uint64_t>(given.number("--seed", 1));
  out.history = given.take("--history");
  out.acks = given.take("--acks");
  const std::string cluster = given.take("--cluster"), certificate = given.take("--cert"), key = given.take("--key"),
                    authority = given.take("--ca");
  RUNINK_RETURN_IF_ERROR(given.end());
  if (out.callers == 0 || out.clients == 0 || out.rate == 0)
    return invalid_argument("--callers, --clients and --rate must not be 0");
  if (out.etcd) {
    out.access.certificate_pem = RUNINK_TRY(os::read_file(certificate, kFileBytesMax));
    out.access.key_pem = RUNINK_TRY(os::read_file(key, kFileBytesMax));
    out.access.authorities_pem = RUNINK_TRY(os::read_file(authority, kFileBytesMax));
  } else {
    RUNINK_RETURN_IF_ERROR(read_cluster(cluster, &out.access));
  }
  return out;
}

Result<std::unique_ptr<Work>> make_work(const std::string& kind, const Context& context, const Options& options) {
  if (kind == "registers") return make_registers(context);
  if (kind == "appends") return make_appends(context);
  if (kind == "sets") return make_sets(context);
  if (kind == "counters") return make_counters(context);
  if (options.etcd) return invalid_argument("there is no kind '{}' for etcd", kind);
  if (kind == "watches") return make_watches(context);
  if (kind == "leases") return make_leases(context);
  if (kind == "marks") return make_marks(context, options.access);
  return invalid_argument("there is no kind '{}'", kind);
}

class Run {
 public:
  explicit Run(const Options& options) : options_(options) {}

  Status open() {
    RUNINK_RETURN_IF_ERROR(report_.open(options_.history, options_.acks));
    if (!options_.etcd) {
      for (size_t i = 0; i < options_.clients; ++i) clients_.push_back(RUNINK_TRY(connect(options_.access)));
    }
    for (size_t i = 0; i < options_.clients; ++i) {
      std::unique_ptr<Store> store = options_.etcd ? make_etcd_store(options_.access)
                                                   : RUNINK_TRY(make_runink_store(*clients_[i], options_.access));
      if (options_.lie) store = make_lying_store(std::move(store), options_.seed + i);
      stores_.push_back(std::move(store));
    }
    const Context context{fmt::format("rig/{:x}/", system_clock().unix_micros()), report_, pace_, patience_};
    for (const std::string& kind : options_.kinds) works_.push_back(RUNINK_TRY(make_work(kind, context, options_)));
    run_key_ = context.run + "ready";
    return {};
  }

  // Until the first write is acknowledged. False: it was told to stop before.
  bool wait_until_ready() {
    Worker worker = make_worker();
    while (worker.store->write(run_key_, "yes") != Outcome::kDone) {
      if (g_stop.requested()) return false;
      (void)pace_.sleep(kPollNanos);
    }
    fmt::print("ready\n");
    (void)std::fflush(stdout);
    return true;
  }

  void work() {
    started_ = now();
    report_.begin(started_);
    std::vector<std::thread> threads;
    std::vector<Work*> shared;
    for (const auto& work : works_) {
      if (work->own_threads() == 0) shared.push_back(work.get());
      for (size_t i = 0; i < work->own_threads(); ++i) {
        threads.emplace_back([this, each = work.get(), worker = make_worker()]() mutable {
          while (!pace_.stopped()) each->step(worker);
        });
      }
    }
    for (size_t i = 0; i < options_.callers && !shared.empty(); ++i)
      threads.emplace_back([this, &shared, worker = make_worker()]() mutable { call(shared, worker); });
    const int64_t end = options_.seconds == 0 ? INT64_MAX : started_ + static_cast<int64_t>(options_.seconds * kSecond);
    while (!g_stop.requested() && now() < end) (void)patience_.sleep(kPollNanos);
    pace_.stop();
    report_.end(now());
    seconds_ = static_cast<double>(now() - started_) / kSecond;
    // Last reads have to be answered within so long.
    std::thread impatience([this] {
      (void)joined_.sleep(static_cast<int64_t>(options_.patience * kSecond));
      patience_.stop();
    });
    for (std::thread& thread : threads) thread.join();
    Worker worker = make_worker();
    for (const auto& work : works_) work->finish(worker);
    joined_.stop();
    impatience.join();
  }

  int finish() {
    uint64_t repeated = 0;
    for (const auto& client : clients_) repeated += client->counters().repeated;
    works_.clear();
    stores_.clear();
    clients_.clear();
    const std::string target = options_.lie ? "a liar" : options_.etcd ? "etcd" : "runink";
    fmt::print("{}\n", report_.to_json(target, seconds_, repeated));
    return report_.has_violation() ? 1 : report_.has_unchecked() ? 2 : 0;
  }

 private:
  Worker make_worker() {
    const uint64_t number = ++workers_;
    return {number, std::mt19937_64(options_.seed * 1'000'003 + number), stores_[number % stores_.size()].get(),
            clients_.empty() ? nullptr : clients_[number % clients_.size()].get()};
  }

  // At its part of the rate; what was missed while no answer came is not made up for.
  void call(const std::vector<Work*>& works, Worker& worker) {
    const auto interval = static_cast<int64_t>(kSecond * static_cast<double>(options_.callers) / options_.rate);
    int64_t next = now() + static_cast<int64_t>(worker.below(static_cast<uint64_t>(interval) + 1));
    while (pace_.sleep_until(next)) {
      works[worker.below(works.size())]->step(worker);
      next = std::max(next + interval, now());
    }
  }

  const Options& options_;
  Report report_;
  Pace pace_, patience_, joined_;
  std::vector<std::unique_ptr<sdk::BarnClient>> clients_;
  std::vector<std::unique_ptr<Store>> stores_;
  std::vector<std::unique_ptr<Work>> works_;
  std::string run_key_;
  uint64_t workers_ = 0;
  int64_t started_ = 0;
  double seconds_ = 0;
};

Result<int> run(int argc, char** argv) {
  const Options options = RUNINK_TRY(parse(argc, argv));
  rpc::prepare_grpc();
  os::install_stop_signals(&g_stop);
  Run run(options);
  RUNINK_RETURN_IF_ERROR(run.open());
  if (!run.wait_until_ready()) return unavailable("it was told to stop before the store took a first write");
  run.work();
  return run.finish();
}

}  // namespace
}  // namespace runink::workload

int main(int argc, char** argv) {
  const auto code = runink::workload::run(argc, argv);
  if (code.ok()) return *code;
  std::fprintf(stderr, "barn_workload: %s\n", code.status().to_string().c_str());
  return 3;
}
