#include "client/cli/progress.h"

#include <gtest/gtest.h>

#include "client/cli/captured_console.h"
#include "client/cli/text_width.h"

namespace runink::cli {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(Progress, TellsShareRateAndTimeLeft) {
  CapturedConsole captured;
  Progress progress(captured.console(), "Clean the feed", Progress::Unit::kRecords, 4000);
  EXPECT_EQ(progress.line(1000, 2 * kSecond, "12 rejected", 120),
            "Clean the feed  1,000 of 4,000 records  25 %  500/s  6.00 s left  12 rejected");
  EXPECT_EQ(progress.line(5000, 2 * kSecond, "", 120), "Clean the feed  5,000 of 4,000 records  100 %  2,500/s");
}

TEST(Progress, WithoutATotalOnlyWhatIsKnown) {
  CapturedConsole captured;
  Progress progress(captured.console(), "stdin", Progress::Unit::kBytes, 0);
  EXPECT_EQ(progress.line(3'000'000, 2 * kSecond, "", 120), "stdin  3.00 MB  1.50 MB/s");
}

TEST(Progress, NeverWiderThanTheTerminal) {
  CapturedConsole captured;
  Progress progress(captured.console(), "a scenario of a very long name", Progress::Unit::kRecords, 10);
  EXPECT_LE(display_width(progress.line(5, kSecond, "and more", 30)), 29);
}

TEST(Progress, SilentWhereNoTerminalIs) {
  CapturedConsole captured;
  {
    Progress progress(captured.console(), "x", Progress::Unit::kRecords, 10);
    progress.update(5);
  }
  EXPECT_EQ(captured.err(), "");
}

}  // namespace
}  // namespace runink::cli
