#include "worker/sandbox/gpus.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "platform/os/file.h"

namespace runink::sandbox {
namespace {

constexpr const char* kLocks = "/run/runink/gpus";
constexpr const char* kControls[] = {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"};
constexpr std::string_view kPrefix = "nvidia";

std::optional<uint32_t> number_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (name.empty() || error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

std::string lock_path(uint32_t number) { return fmt::format("{}/{}", kLocks, number); }

// A lock that cannot even be looked at is nobody's: to take it will say why.
bool is_free(uint32_t number) {
  const os::Fd lock(::open(lock_path(number).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC), "gpu");
  return !lock.valid() || ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

// Whoever looks whether it is free has the lock for a moment.
bool try_lock(const os::Fd& lock, int kind) {
  for (int tries = 0; tries < 10; ++tries) {
    if (::flock(lock.get(), kind | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    ::usleep(1000);
  }
  errno = EWOULDBLOCK;
  return false;
}

std::string count_of(size_t count) { return count == 1 ? "1 GPU" : fmt::format("{} GPUs", count); }

}  // namespace

GpuFacts look_for_gpus() {
  GpuFacts facts;
  const auto names = os::list_directory("/dev");
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const auto number = number_of(name);
    DeviceEntry device = number ? look_at_device("/dev/" + name) : DeviceEntry();
    if (device.type == 'c') facts.gpus.push_back({*number, std::move(device), is_free(*number)});
  }
  std::sort(facts.gpus.begin(), facts.gpus.end(), [](const Gpu& a, const Gpu& b) { return a.number < b.number; });
  for (const char* path : kControls) {
    DeviceEntry device = look_at_device(path);
    if (device.type == 'c') facts.controls.push_back(std::move(device));
  }
  return facts;
}

Result<GpuChoice> choose_gpus(const model::SliceGpus& wanted, const GpuFacts& facts) {
  if (facts.gpus.empty()) {
    return failed_precondition("start a slice with a GPU: this host has none")
        .with_hint("NVIDIA's driver shows them as /dev/nvidia0 and so on; devices of others can be granted by path");
  }
  GpuChoice choice{.alone = wanted.count > 0};
  for (const uint32_t number : wanted.numbers) {
    const auto at =
        std::find_if(facts.gpus.begin(), facts.gpus.end(), [&](const Gpu& gpu) { return gpu.number == number; });
    if (at == facts.gpus.end()) {
      return failed_precondition("start a slice with GPU {}: this host has no /dev/nvidia{}", number, number)
          .with_hint(fmt::format("it has {}", count_of(facts.gpus.size())));
    }
    choice.gpus.push_back(*at);
  }
  if (!choice.alone) return choice;
  std::copy_if(facts.gpus.begin(), facts.gpus.end(), std::back_inserter(choice.gpus),
               [](const Gpu& gpu) { return gpu.free; });
  if (choice.gpus.size() < wanted.count) {
    return resource_exhausted("start a slice with {}: {} of this host's {} free", count_of(wanted.count),
                              choice.gpus.size(),
                              count_of(facts.gpus.size()) + (choice.gpus.size() == 1 ? " is" : " are"))
        .with_hint("other slices have the rest; name one to share it: device=N");
  }
  choice.gpus.resize(wanted.count);
  return choice;
}

std::vector<std::pair<std::string, std::string>> gpu_environment(const GpuChoice& choice) {
  std::vector<std::string> on_host, counted;
  for (const Gpu& gpu : choice.gpus) {
    counted.push_back(std::to_string(on_host.size()));
    on_host.push_back(std::to_string(gpu.number));
  }
  return {{"NVIDIA_VISIBLE_DEVICES", join(on_host, ",")}, {"CUDA_VISIBLE_DEVICES", join(counted, ",")}};
}

Result<std::vector<os::Fd>> take_gpus(const GpuChoice& choice) {
  RUNINK_RETURN_IF_ERROR(os::make_directories(kLocks, 0700).with_context("take GPUs for a slice"));
  std::vector<os::Fd> locks;
  for (const Gpu& gpu : choice.gpus) {
    const std::string path = lock_path(gpu.number);
    os::Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), path);
    if (!lock.valid()) return from_errno(errno, "take GPUs for a slice: open " + path);
    if (!try_lock(lock, choice.alone ? LOCK_EX : LOCK_SH)) {
      if (errno != EWOULDBLOCK) return from_errno(errno, "take GPUs for a slice: lock " + path);
      return resource_exhausted("start a slice with GPU {}: another slice has it", gpu.number)
          .with_hint(choice.alone ? "it was taken a moment ago; start it again" : "it was given to that one alone");
    }
    locks.push_back(std::move(lock));
  }
  return locks;
}

}  // namespace runink::sandbox
