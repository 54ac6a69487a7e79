// Status and Result<T>: how a function says that it could not do what was asked.
//
// Expected outcomes are values; bugs abort (base/check.h); no exception crosses a module. The 17 canonical codes carry
// gRPC's numbers (https://grpc.io/docs/guides/status-codes/), so a Status travels between processes whole. A *kind* is
// a stable dotted word ("run.interrupted") set only where some caller reacts to it. Context is added once per layer,
// outermost last, and says what was attempted: `return st.with_context("open source data/flights.ndjson")`.
//
// An OK status is a null pointer: moving and testing it cost nothing. Values may be moved between threads; one object
// is not to be used by two threads at once.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"

namespace runink {

enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT" and so on.
std::string_view code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(Code code, std::string message);
  Status(const Status& other);
  Status& operator=(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;

  bool ok() const { return rep_ == nullptr; }
  Code code() const;
  const std::string& message() const;                  // empty when OK
  const std::string& kind() const;                     // empty unless set
  const std::string& hint() const;                     // what to do about it; empty unless set
  const std::vector<std::string>& context() const;     // innermost first
  const std::vector<std::string>& details() const;     // whole lines, e.g. rendered diagnostics

  // Each returns the status itself so that calls chain; on an OK status they do nothing.
  Status with_context(std::string what) &&;
  Status with_kind(std::string kind) &&;
  Status with_hint(std::string hint) &&;
  Status with_detail(std::string line) &&;

  // One line: "outer: inner: message". Without hint and details.
  std::string to_string() const;

 private:
  struct Rep;
  struct RepDelete {
    void operator()(Rep* rep) const;
  };
  std::unique_ptr<Rep, RepDelete> rep_;
};

#define RUNINK_STATUS_MAKER(name, code)                                                       \
  template <typename... Args>                                                                 \
  Status name(fmt::format_string<Args...> format, Args&&... args) {                           \
    return Status(code, fmt::format(format, std::forward<Args>(args)...));                    \
  }
RUNINK_STATUS_MAKER(cancelled, Code::kCancelled)
RUNINK_STATUS_MAKER(invalid_argument, Code::kInvalidArgument)
RUNINK_STATUS_MAKER(deadline_exceeded, Code::kDeadlineExceeded)
RUNINK_STATUS_MAKER(not_found, Code::kNotFound)
RUNINK_STATUS_MAKER(already_exists, Code::kAlreadyExists)
RUNINK_STATUS_MAKER(permission_denied, Code::kPermissionDenied)
RUNINK_STATUS_MAKER(resource_exhausted, Code::kResourceExhausted)
RUNINK_STATUS_MAKER(failed_precondition, Code::kFailedPrecondition)
RUNINK_STATUS_MAKER(aborted, Code::kAborted)
RUNINK_STATUS_MAKER(out_of_range, Code::kOutOfRange)
RUNINK_STATUS_MAKER(unimplemented, Code::kUnimplemented)
RUNINK_STATUS_MAKER(internal_error, Code::kInternal)
RUNINK_STATUS_MAKER(unavailable, Code::kUnavailable)
RUNINK_STATUS_MAKER(data_loss, Code::kDataLoss)
#undef RUNINK_STATUS_MAKER

// From an errno value: "open data/x.csv: No such file or directory" with the code that fits (ENOENT is kNotFound,
// EACCES and EPERM kPermissionDenied, ENOSPC and EDQUOT kResourceExhausted, EPIPE kAborted, …).
Status from_errno(int error_number, std::string_view attempted);

// A value or the Status that says why there is none. Never holds an OK status.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}                // NOLINT: implicit by design
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {          // NOLINT: implicit by design
    RUNINK_CHECK(!std::get<1>(state_).ok());
  }
  template <typename U>
    requires(std::is_convertible_v<U &&, T> && !std::is_same_v<std::decay_t<U>, T> &&
             !std::is_same_v<std::decay_t<U>, Status> && !std::is_same_v<std::decay_t<U>, Result>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}        // NOLINT: implicit by design

  bool ok() const { return state_.index() == 0; }
  Status status() const& { return ok() ? Status() : std::get<1>(state_); }
  Status status() && { return ok() ? Status() : std::move(std::get<1>(state_)); }

  T& value() & { RUNINK_CHECK(ok()); return *std::get_if<0>(&state_); }
  const T& value() const& { RUNINK_CHECK(ok()); return *std::get_if<0>(&state_); }
  T&& value() && { RUNINK_CHECK(ok()); return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

inline Status status_of(Status status) { return status; }
template <typename T>
Status status_of(Result<T>&& result) { return std::move(result).status(); }

}  // namespace runink

// Returns from the enclosing function when the expression (a Status) is not OK.
#define RUNINK_RETURN_IF_ERROR(expression)                    \
  do {                                                        \
    ::runink::Status runink_status_ = (expression);           \
    if (!runink_status_.ok()) return runink_status_;          \
  } while (false)

// `Fd fd = RUNINK_TRY(open_file(path));` : the value of a Result, or return its Status (statement expression, as GCC
// and clang have it).
#define RUNINK_TRY(expression)                                              \
  ({                                                                        \
    auto&& runink_result_ = (expression);                                   \
    if (!runink_result_.ok()) return std::move(runink_result_).status();    \
    std::move(runink_result_).value();                                      \
  })

// The same with context added to the error.
#define RUNINK_TRY_CONTEXT(expression, context_text)                                                        \
  ({                                                                                                        \
    auto&& runink_result_ = (expression);                                                                   \
    if (!runink_result_.ok()) return std::move(runink_result_).status().with_context(context_text);         \
    std::move(runink_result_).value();                                                                      \
  })
