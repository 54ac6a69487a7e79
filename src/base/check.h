// RUNINK_CHECK: an invariant of our own code, on in every build. It prints where and what, and aborts.
//
// Input of users, files and peers never reaches a check: that is what Status is for.
#pragma once

namespace runink {

[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace runink

#define RUNINK_CHECK(condition) \
  (__builtin_expect(static_cast<bool>(condition), 1) ? (void)0 : ::runink::check_failed(__FILE__, __LINE__, #condition))
