// The launcher's program as bytes within another.
#include "worker/launcher/launcher_client.h"

asm(R"(
  .section .rodata
  .balign 16
runink_launcher_begin:
  .incbin ")" RUNINK_LAUNCHER R"("
runink_launcher_end:
  .previous
)");

extern "C" {
extern const char begin_of_launcher[] asm("runink_launcher_begin") __attribute__((visibility("hidden")));
extern const char end_of_launcher[] asm("runink_launcher_end") __attribute__((visibility("hidden")));
}

namespace runink::launcher {

std::span<const char> launcher_program() {
  return {begin_of_launcher, static_cast<size_t>(end_of_launcher - begin_of_launcher)};
}

}  // namespace runink::launcher
