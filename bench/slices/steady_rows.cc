#include "steady_rows.h"

#include <unistd.h>

#include <functional>

#include "floors.h"
#include "parked_cost.h"
#include "starters.h"
#include "stopwatch.h"

namespace runink::bench {
namespace {

constexpr int kAtOnce = 16;
constexpr int kRounds = 5;

// Rounds of both in turn; medians are compared.
Status rate(const Setting& setting, const std::string& bench, double goal, const LauncherUse& use,
            const std::function<Result<double>(int64_t)>& floor) {
  if (!setting.wanted(bench)) return {};
  const auto starter = RUNINK_TRY(LauncherStarter::make(setting.spec("bench"), use));
  const int64_t nanos = int64_t{setting.options().seconds} * 1'000'000'000;
  std::vector<double> ours, floors;
  double cpu = 0, starts = 0;
  for (int round = 0; round < kRounds; ++round) {
    const double before = starter->cpu_seconds();
    const auto done = RUNINK_TRY(starter->run_for(nanos, kAtOnce));
    cpu += starter->cpu_seconds() - before;
    starts += static_cast<double>(done);
    ours.push_back(static_cast<double>(done) / setting.options().seconds);
    floors.push_back(RUNINK_TRY(floor(nanos)));
  }
  const auto& paths = starter->paths();
  Row row{.bench = bench, .peer = "bare", .ratio = median(ours) / median(floors), .goal = goal};
  row.numbers = {{"per_second", median(ours)},
                 {"peer_per_second", median(floors)},
                 {"cpu_us", starts > 0 ? cpu * 1e6 / starts : 0},
                 {"cold", static_cast<double>(paths.cold)},
                 {"parked", static_cast<double>(paths.parked)},
                 {"recycled", static_cast<double>(paths.recycled)}};
  setting.print(row);
  return {};
}

Status parked_cost(const Setting& setting) {
  if (!setting.wanted("slices.parked_cost")) return {};
  const ParkedCost cost = RUNINK_TRY(measure_parked_cost(setting.spec("bench", setting.limits()), 64));
  Row row{.bench = "slices.parked_cost", .unit = "KiB private", .value = cost.private_kib, .goal = 1000};
  row.numbers = {{"resident_kib", cost.resident_kib}, {"kernel_kib", cost.kernel_kib}, {"processes", cost.processes}};
  setting.print(row);
  return {};
}

}  // namespace

Status steady_rows(const Setting& setting) {
  RUNINK_RETURN_IF_ERROR(rate(setting, "slices.rate.fresh", 0.6, {.parked = 64}, namespaces_per_second));
  const std::string payload = setting.bare().argv[0];
  RUNINK_RETURN_IF_ERROR(rate(setting, "slices.rate.recycled", 0.5, {.parked = 64, .recycle = true},
                              [&payload](int64_t nanos) { return spawns_per_second(payload, nanos); }));
  return parked_cost(setting);
}

}  // namespace runink::bench
