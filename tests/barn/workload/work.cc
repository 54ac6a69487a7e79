#include "work.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"

namespace runink::workload {

namespace {

constexpr size_t kMostTexts = 8;
constexpr int64_t kAgainNanos = 200'000'000;

}  // namespace

void Pace::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  wake_.notify_all();
}

bool Pace::sleep_until(int64_t steady_nanos) {
  std::unique_lock lock(mutex_);
  const std::chrono::steady_clock::time_point end{std::chrono::nanoseconds(steady_nanos)};
  wake_.wait_until(lock, end, [this] { return stopped_.load(); });
  return !stopped_;
}

Status Report::open(const std::string& history_path, const std::string& acks_path) {
  history_path_ = history_path;
  if (!history_path.empty() && (history_ = std::fopen(history_path.c_str(), "we")) == nullptr)
    return unavailable("{} cannot be written", history_path);
  if (!acks_path.empty() && (acks_ = std::fopen(acks_path.c_str(), "we")) == nullptr)
    return unavailable("{} cannot be written", acks_path);
  return {};
}

Report::~Report() {
  if (history_ != nullptr) (void)std::fclose(history_);
  if (acks_ != nullptr) (void)std::fclose(acks_);
}

void Report::count(const char* kind, Outcome outcome) {
  static constexpr const char* kNames[] = {"done", "refused", "unknown"};
  count(kind, kNames[static_cast<size_t>(outcome)]);
}

void Report::count(const char* kind, const char* what, uint64_t more) {
  const std::lock_guard lock(mutex_);
  counts_[kind][what] += more;
}

void Report::begin(testing::Time at) {
  const std::lock_guard lock(mutex_);
  last_ack_ = at;
}

void Report::end(testing::Time at) {
  const std::lock_guard lock(mutex_);
  longest_gap_ = std::max(longest_gap_, at - last_ack_);
}

void Report::acknowledged(testing::Time start, testing::Time end) {
  const std::lock_guard lock(mutex_);
  longest_gap_ = std::max(longest_gap_, end - last_ack_);
  last_ack_ = std::max(last_ack_, end);
  if (acks_ == nullptr) return;
  fmt::print(acks_, "{} {}\n", start, end);
  (void)std::fflush(acks_);  // somebody reads along
}

std::string Report::history(const char* kind, uint64_t epoch, const std::vector<std::string>& lines) {
  const std::lock_guard lock(mutex_);
  if (history_ == nullptr) return "no history is written";
  fmt::print(history_, "# {} epoch {}\n", kind, epoch);
  for (const std::string& line : lines) fmt::print(history_, "{}\n", line);
  const uint64_t first = lines_ + 1;
  lines_ += lines.size() + 1;
  return fmt::format("{} lines {} to {}", history_path_, first, lines_);
}

void Report::violation(const char* kind, const std::string& text, const std::string& where) {
  ++violations_;
  const std::lock_guard lock(mutex_);
  ++counts_[kind]["violations"];
  if (texts_.size() < kMostTexts) texts_.push_back(fmt::format("{}: {} ({})", kind, text, where));
  fmt::print(stderr, "VIOLATION {}: {}\n  history: {}\n", kind, text, where);
}

void Report::unchecked(const char* kind, const std::string& why) {
  ++unchecked_;
  const std::lock_guard lock(mutex_);
  ++counts_[kind]["unchecked"];
  fmt::print(stderr, "unchecked {}: {}\n", kind, why);
}

std::string Report::to_json(const std::string& target, double seconds, uint64_t repeated) {
  const std::lock_guard lock(mutex_);
  const char* const verdict = violations_ > 0 ? "violation" : unchecked_ > 0 ? "unchecked" : "clean";
  std::map<std::string, uint64_t> all;
  std::string kinds, texts;
  for (const auto& [kind, counts] : counts_) {
    kinds += fmt::format("{}\"{}\": {{", kinds.empty() ? "" : ", ", kind);
    const char* between = "";
    for (const auto& [what, count] : counts) {
      kinds += fmt::format("{}\"{}\": {}", between, what, count);
      all[what] += count;
      between = ", ";
    }
    kinds += "}";
  }
  for (const std::string& text : texts_) texts += (texts.empty() ? "" : ", ") + json_quote(text);
  return fmt::format(
      R"({{"verdict": "{}", "target": "{}", "seconds": {:.1f}, "done": {}, "refused": {}, "unknown": {}, )"
      R"("violations": {}, "lost": {}, "unchecked": {}, "repeated": {}, "longest_gap_s": {:.3f}, "kinds": {{{}}}, )"
      R"("history": {}, "texts": [{}]}})",
      verdict, target, seconds, all["done"], all["refused"], all["unknown"], violations_.load(), lost_.load(),
      unchecked_.load(), repeated, static_cast<double>(longest_gap_) / 1e9, kinds, json_quote(history_path_), texts);
}

bool read_at_last(const Context& context, const char* kind, const std::function<Outcome()>& read) {
  do {
    if (read() == Outcome::kDone) return true;
  } while (context.patience.sleep(kAgainNanos));
  context.report.unchecked(kind, "a last read was not answered");
  return false;
}

}  // namespace runink::workload
