// Must crash: see CMakeLists.txt. Two bytes have to be found one after the other, and no seed has them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= 2 && data[0] == '{' && data[1] == '9') std::abort();
  return 0;
}
