// Metrics in Prometheus' text form (exposition format 0.0.4), and a histogram cheap enough to be always on.
//
// There is no registry: whoever has numbers keeps them as plain counters and writes them out when asked. Names follow
// Prometheus' rules: base units (seconds, bytes) in the name, counters end in _total. A name that does not is a bug
// here and aborts; label values are data of any kind and are escaped.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace runink::telemetry {

inline constexpr char kExpositionType[] = "text/plain; version=0.0.4; charset=utf-8";

// Counts by bucket, for one thread: recording is a short search and two additions. kBounds: the buckets' upper bounds,
// inclusive, ascending, in the unit that is recorded; what is larger has a bucket of its own.
template <const auto& kBounds>
class Histogram {
 public:
  void record(uint64_t value) {
    size_t bucket = 0;
    while (bucket < kBounds.size() && value > kBounds[bucket]) ++bucket;
    ++counts_[bucket];
    sum_ += value;
  }
  std::span<const uint64_t> bounds() const { return kBounds; }
  std::span<const uint64_t> counts() const { return counts_; }
  uint64_t sum() const { return sum_; }
  bool operator==(const Histogram&) const = default;

 private:
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  uint64_t sum_ = 0;
};

// For what takes 50 microseconds to 10 seconds; nanoseconds.
inline constexpr std::array<uint64_t, 17> kLatencyBounds = {
    50'000,      100'000,       250'000,       500'000,       1'000'000,     2'500'000,
    5'000'000,   10'000'000,    25'000'000,    50'000'000,    100'000'000,   250'000'000,
    500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};
using LatencyHistogram = Histogram<kLatencyBounds>;

// Writes families one after the other: counter() or gauge() begins one, sample() adds to it.
class Exposition {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  Exposition& counter(std::string_view name, std::string_view help);
  Exposition& gauge(std::string_view name, std::string_view help);
  void sample(double value, Labels labels = {});
  void sample(std::integral auto value, Labels labels = {}) { put(std::to_string(value), labels); }

  // A family of one histogram. `per_unit`: recorded values in one unit of the name (1e9 for nanoseconds in _seconds).
  template <const auto& kBounds>
  void histogram(std::string_view name, std::string_view help, const Histogram<kBounds>& of, double per_unit) {
    histogram(name, help, of.bounds(), of.counts(), of.sum(), per_unit);
  }

  const std::string& text() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void begin(std::string_view name, std::string_view help, std::string_view type);
  void put(std::string_view value, Labels labels, std::string_view suffix = {});
  void histogram(std::string_view name, std::string_view help, std::span<const uint64_t> bounds,
                 std::span<const uint64_t> counts, uint64_t sum, double per_unit);

  std::string out_, name_;
  std::set<std::string, std::less<>> families_;
};

}  // namespace runink::telemetry
