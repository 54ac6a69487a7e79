#include "model/slice_devices.h"

#include <charconv>
#include <set>

#include "base/text.h"
#include "model/slice_path.h"
#include "model/slice_resources.h"

namespace runink::model {
namespace {

constexpr size_t kMostDevices = 64;
constexpr uint32_t kMostGpus = 64;

// Every slice has these, or makes them itself.
constexpr const char* kOwnDevices[] = {"/dev/null",    "/dev/zero", "/dev/full",   "/dev/random",
                                       "/dev/urandom", "/dev/fd",   "/dev/stdin",  "/dev/stdout",
                                       "/dev/stderr",  "/dev/shm",  "/dev/mqueue", "/dev/pts"};
constexpr const char* kTerminals[] = {"/dev/tty", "/dev/ptmx", "/dev/console"};
// With these a slice would be the host.
constexpr const char* kWholeHost[] = {"/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg"};

Status check_device(const SliceDevice& device) {
  const std::string shown = escape_control(device.path);
  if (!is_plain_absolute(device.path) || device.path == "/dev" || !is_within(device.path, "/dev")) {
    return invalid_argument("device \"{}\": not a path below /dev", shown);
  }
  for (const char* own : kOwnDevices) {
    if (is_within(device.path, own)) return invalid_argument("device {}: {} of a slice is made by Runink", shown, own);
  }
  for (const char* terminal : kTerminals) {
    if (device.path != terminal) continue;
    return invalid_argument("device {}: a slice is not given a terminal of the host", shown)
        .with_hint("it can have one of its own: runi exec -t");
  }
  for (const char* whole : kWholeHost) {
    if (device.path == whole) return invalid_argument("device {}: with it a slice would have the whole host", shown);
  }
  return {};
}

}  // namespace

Status validate_devices(const std::vector<SliceDevice>& devices, const SliceGpus& gpus) {
  if (devices.size() > kMostDevices) return invalid_argument("a slice has at most {} devices", kMostDevices);
  std::set<std::string> seen;
  for (const SliceDevice& device : devices) {
    RUNINK_RETURN_IF_ERROR(check_device(device));
    for (const std::string& other : seen) {
      if (is_within(device.path, other) || is_within(other, device.path)) {
        return invalid_argument("device {} is given twice", escape_control(device.path));
      }
    }
    seen.insert(device.path);
  }
  if (gpus.count > 0 && !gpus.numbers.empty()) {
    return invalid_argument("GPUs: so many, or these, and not both");
  }
  if (gpus.count > kMostGpus || gpus.numbers.size() > kMostGpus) {
    return invalid_argument("GPUs: a slice has at most {}", kMostGpus);
  }
  for (size_t i = 0; i < gpus.numbers.size(); ++i) {
    // The node's minor number, of which the driver keeps the last few for itself.
    if (gpus.numbers[i] >= 240) return invalid_argument("GPU {}: numbers are 0 to 239", gpus.numbers[i]);
    if (i > 0 && gpus.numbers[i] <= gpus.numbers[i - 1]) {
      return invalid_argument("GPU {}: numbers are sorted, and each is named once", gpus.numbers[i]);
    }
  }
  return {};
}

Result<SliceDevice> parse_device(const std::string& text) {
  const size_t colon = text.rfind(':');
  SliceDevice device{.path = text};
  if (colon != std::string::npos && (text.substr(colon) == ":r" || text.substr(colon) == ":rw")) {
    device.path = text.substr(0, colon);
    device.writable = text.substr(colon) == ":rw";
  }
  if (device.path.empty() || device.path[0] != '/') {
    return invalid_argument("device \"{}\": not /dev/NAME, /dev/NAME:r or /dev/NAME:rw", escape_control(text));
  }
  return device;
}

Result<SliceGpus> parse_gpus(const std::string& text) {
  SliceGpus gpus;
  if (text.starts_with("device=")) {
    gpus.numbers = RUNINK_TRY_CONTEXT(parse_numbers(text.substr(7)), "GPUs");
    return gpus;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), gpus.count);
  if (error != std::errc() || end != text.data() + text.size() || gpus.count == 0 || gpus.count > kMostGpus) {
    return invalid_argument("GPUs \"{}\": not a number from 1 to {}", escape_control(text), kMostGpus)
        .with_hint("N for so many, device=0,2 for these");
  }
  return gpus;
}

}  // namespace runink::model
