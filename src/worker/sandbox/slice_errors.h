// What went wrong while a slice was made, in words: from the operation that failed and its errno.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "worker/sandbox/operations.h"

namespace runink::sandbox {

// Kinds of the error of a program that could not be executed; that of a sandbox that could not be made has neither.
inline constexpr const char* kKindProgramMissing = "slice.program.missing";
inline constexpr const char* kKindProgramRefused = "slice.program.refused";

// What of the specification the words need.
struct StartWords {
  std::string program;  // as it was named
  std::string working_directory;
  uint32_t user = 0;
};

Status operation_failed(const Operation& operation, int error, const StartWords& words);
// Of the operation that makes process 1.
Status clone_failed(const Operation& operation, int error);

}  // namespace runink::sandbox
