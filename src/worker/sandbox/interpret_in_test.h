// A filter's program run as the kernel runs it, for tests.
#pragma once

#include <linux/seccomp.h>

#include <cstdint>
#include <cstring>
#include <optional>

#include "worker/sandbox/seccomp.h"

namespace runink::sandbox::testing {

struct Interpreted {
  uint32_t answer = 0;  // SECCOMP_RET_…
  int instructions = 0;
};

// nullopt: an instruction that the filter is not made of, a load out of `data`, or a jump out of the program.
inline std::optional<Interpreted> interpret(const SeccompFilter& filter, const seccomp_data& data) {
  Interpreted ran;
  uint32_t accumulator = 0;
  for (size_t at = 0; at < filter.program.size(); ++at) {
    const sock_filter& instruction = filter.program[at];
    ++ran.instructions;
    bool taken = false, branch = false;
    switch (instruction.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (instruction.k + 4 > sizeof data) return std::nullopt;
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + instruction.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= instruction.k;
        break;
      case BPF_JMP | BPF_JA:
        at += instruction.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        branch = true, taken = accumulator == instruction.k;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        branch = true, taken = accumulator >= instruction.k;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        branch = true, taken = (accumulator & instruction.k) != 0;
        break;
      case BPF_RET | BPF_K:
        ran.answer = instruction.k;
        return ran;
      default:
        return std::nullopt;
    }
    if (branch) at += taken ? instruction.jt : instruction.jf;
  }
  return std::nullopt;
}

}  // namespace runink::sandbox::testing
