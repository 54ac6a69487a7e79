#include "client/cli/progress.h"

#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/text_width.h"
#include "platform/os/terminal.h"

namespace runink::cli {
namespace {

constexpr int64_t kFirstAfterNanos = 1'000'000'000;
constexpr int64_t kBetweenNanos = 100'000'000;

std::string amount(Progress::Unit unit, uint64_t count) {
  return unit == Progress::Unit::kBytes ? human_bytes(count) : human_count(count);
}

const char* noun(Progress::Unit unit) { return unit == Progress::Unit::kRecords ? " records" : ""; }

}  // namespace

Progress::Progress(Console& console, std::string what, Unit unit, uint64_t total, const Clock& clock)
    : console_(console),
      clock_(clock),
      what_(std::move(what)),
      unit_(unit),
      total_(total),
      started_nanos_(clock.steady_nanos()),
      enabled_(console.err_is_terminal() && !console.quiet() && !os::is_dumb_terminal()) {}

void Progress::update(uint64_t done, std::string_view extra) {
  if (!enabled_) return;
  std::lock_guard lock(mutex_);
  int64_t now = clock_.steady_nanos();
  if (finished_ || now - started_nanos_ < kFirstAfterNanos || now - last_drawn_nanos_ < kBetweenNanos) return;
  last_drawn_nanos_ = now;
  drawn_ = true;
  console_.err("\r" + line(done, now - started_nanos_, extra, console_.err_width()) + "\x1b[K");
}

void Progress::set_total(uint64_t total) {
  std::lock_guard lock(mutex_);
  total_ = total;
}

void Progress::set_what(std::string what) {
  std::lock_guard lock(mutex_);
  what_ = std::move(what);
}

void Progress::finish() {
  std::lock_guard lock(mutex_);
  if (drawn_ && !finished_) console_.err("\r\x1b[K");
  finished_ = true;
}

std::string Progress::line(uint64_t done, int64_t elapsed_nanos, std::string_view extra, int width) const {
  double seconds = static_cast<double>(elapsed_nanos) / 1e9;
  double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = escape_control(what_) + "  " + amount(unit_, done);
  if (total_ > 0) {
    double share = done >= total_ ? 1.0 : static_cast<double>(done) / static_cast<double>(total_);
    text += fmt::format(" of {}{}  {:.0f} %", amount(unit_, total_), noun(unit_), share * 100);
  } else {
    text += noun(unit_);
  }
  text += fmt::format("  {}/s", amount(unit_, static_cast<uint64_t>(rate)));
  if (total_ > done && rate > 0) {
    text += "  " + human_duration(static_cast<double>(total_ - done) / rate) + " left";
  }
  if (!extra.empty()) text += "  " + escape_control(extra);
  return cut_to_width(text, width - 1);
}

}  // namespace runink::cli
