// A driver library without a driver, for inventory_test: NVML's functions, with two GPUs. RUNINK_FAKE_NVML changes what
// it says: "broken" fails to begin, "many" counts more GPUs than there can be, "lost" has lost its second one.
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

std::string_view mode() {
  const char* value = std::getenv("RUNINK_FAKE_NVML");
  return value == nullptr ? "" : value;
}
long number(void* device) { return reinterpret_cast<long>(device) - 1; }

int write(char* to, unsigned size, const char* text) {
  std::strncpy(to, text, size);  // without an end where it does not fit, as a bad library would
  return 0;
}

}  // namespace

extern "C" {

int nvmlInit_v2() { return mode() == "broken" ? 9 : 0; }
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int) { return "Driver Not Loaded"; }
int nvmlSystemGetDriverVersion(char* text, unsigned size) { return write(text, size, "555.42"); }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = mode() == "many" ? 4'000'000'000u : 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index == 1 && mode() == "lost") return 15;
  *device = reinterpret_cast<void*>(static_cast<long>(index) + 1);
  return 0;
}
int nvmlDeviceGetName(void*, char* text, unsigned size) { return write(text, size, "NVIDIA Stand-in 9000"); }
int nvmlDeviceGetUUID(void* device, char* text, unsigned size) {
  if (number(device) == 0) return write(text, size, "GPU-00000000-0000-0000-0000-000000000001");
  char endless[200];
  std::memset(endless, 'x', sizeof endless - 1);
  endless[sizeof endless - 1] = '\0';
  return write(text, size, endless);
}
int nvmlDeviceGetMemoryInfo(void*, unsigned long long* memory) {  // total, free, used
  memory[0] = 80'000'000'000ull;
  memory[1] = memory[2] = 0;
  return 0;
}
int nvmlDeviceGetPciInfo_v3(void*, char* info) {
  std::memset(info, 0, 68);
  std::memcpy(info + 36, "00000000:01:00.0", 17);
  return 0;
}
int nvmlDeviceGetMinorNumber(void* device, unsigned* minor) {
  *minor = static_cast<unsigned>(number(device)) + 4;
  return 0;
}
int nvmlDeviceGetMigMode(void* device, unsigned* now, unsigned* pending) {
  *now = *pending = number(device) == 1 ? 1 : 0;
  return 0;
}

}  // extern "C"
