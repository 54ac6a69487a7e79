#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace runink {
namespace {

Result<int> half(int value) {
  if (value % 2) return invalid_argument("{} is odd", value);
  return value / 2;
}
Result<int> quarter(int value) {
  int h = RUNINK_TRY_CONTEXT(half(value), "halve once");
  return RUNINK_TRY(half(h));
}

TEST(Status, OkIsCheapAndEmpty) {
  Status ok;
  EXPECT_TRUE(ok.ok());
  EXPECT_EQ(ok.code(), Code::kOk);
  EXPECT_EQ(sizeof(ok), sizeof(void*));
  EXPECT_EQ(std::move(ok).with_context("x").to_string(), "OK");
}

TEST(Status, ContextReadsFromTheOutside) {
  Status st = not_found("no file {}", "a.csv");
  st = std::move(st).with_context("open source").with_context("run scenario \"Clean\"").with_hint("check the path");
  EXPECT_EQ(st.to_string(), "run scenario \"Clean\": open source: no file a.csv");
  EXPECT_EQ(st.hint(), "check the path");
  Status copy = st;
  EXPECT_EQ(copy.to_string(), st.to_string());
}

TEST(Status, TryPropagates) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(3).status().to_string(), "halve once: 3 is odd");
  EXPECT_EQ(quarter(6).status().message(), "3 is odd");
}

TEST(Status, ErrnoMapsToCodes) {
  EXPECT_EQ(from_errno(ENOENT, "open x").code(), Code::kNotFound);
  EXPECT_EQ(from_errno(EACCES, "open x").code(), Code::kPermissionDenied);
  EXPECT_EQ(from_errno(ENOSPC, "write x").code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace runink
