#include "worker/network/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <charconv>

#include "platform/os/file.h"

namespace runink::network {
namespace {

constexpr const char* kFolder = "/run/runink/networks";
// Of the same length, so that one is written over the other.
constexpr const char* kUsed = "used.";
constexpr const char* kClean = "clean";

// 198.18.0.0, 198.19.0.0, 100.127.0.0, 10.254.0.0; each has room for all slots.
constexpr uint8_t kRanges[kAddressRanges][2] = {{198, 18}, {198, 19}, {100, 127}, {10, 254}};

}  // namespace

std::string interface_name(uint32_t slot) { return kInterfacePrefix + std::to_string(slot); }

std::optional<uint32_t> slot_of(const std::string& interface) {
  if (!is_slice_interface(interface)) return std::nullopt;
  const std::string_view digits = std::string_view(interface).substr(std::string_view(kInterfacePrefix).size());
  uint32_t slot = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), slot);
  if (error != std::errc() || end != digits.data() + digits.size() || slot >= kSlots) return std::nullopt;
  return slot;
}

bool is_slice_interface(const std::string& interface) { return interface.starts_with(kInterfacePrefix); }

model::IpPrefix slice_address_v4(uint32_t slot, size_t range) {
  const uint32_t host = slot + 1;  // not the first of its range, which means the network itself to some
  const uint8_t bytes[4] = {kRanges[range][0], kRanges[range][1], static_cast<uint8_t>(host >> 8),
                            static_cast<uint8_t>(host)};
  return model::ip_address(false, bytes);
}

model::IpPrefix slice_address_v6(uint32_t slot) {
  const uint32_t host = slot + 1;
  // fd52:756e:696e:6b::/64: "Runink", below the prefix of local addresses (RFC 4193).
  const uint8_t bytes[16] = {0xfd,
                             'R',
                             'u',
                             'n',
                             'i',
                             'n',
                             0,
                             'k',
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             static_cast<uint8_t>(host >> 8),
                             static_cast<uint8_t>(host)};
  return model::ip_address(true, bytes);
}

Status make_slot_folder() { return os::make_directories(kFolder, 0700).with_context("pick a network for a slice"); }

Result<std::optional<NetworkSlot>> NetworkSlot::try_take(uint32_t slot) {
  const std::string path = std::string(kFolder) + "/" + std::to_string(slot);
  os::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), path);
  if (!file.valid()) return from_errno(errno, "pick a network for a slice: open " + path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK || errno == EINTR) return std::optional<NetworkSlot>();
    return from_errno(errno, "pick a network for a slice: lock " + path);
  }
  char text[32] = {};
  const ssize_t n = ::pread(file.get(), text, sizeof text - 1, 0);
  if (n < 0) return from_errno(errno, "pick a network for a slice: read " + path);
  NetworkSlot taken;
  taken.number_ = slot;
  uint16_t last = 0;
  // Without a number to go on from, any is as good: the host may remember connections for longer than there is a file.
  if (std::from_chars(text, text + n, last).ec != std::errc() && ::getrandom(&last, sizeof last, 0) != sizeof last) {
    return from_errno(errno, "pick a network for a slice: random bytes");
  }
  taken.generation_ = static_cast<uint16_t>(last == UINT16_MAX ? 1 : last + 1);
  taken.dirty_ = n > 0 && std::string_view(text).find(kClean) == std::string_view::npos;
  taken.lock_ = std::move(file);
  RUNINK_RETURN_IF_ERROR(taken.write(kUsed));
  return std::optional<NetworkSlot>(std::move(taken));
}

Result<NetworkSlot> NetworkSlot::take(const std::function<Result<bool>(const NetworkSlot&)>& usable) {
  RUNINK_RETURN_IF_ERROR(make_slot_folder());
  // From the first on, so that there are only as many files as slices have run at once.
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    auto taken = RUNINK_TRY(try_take(slot));
    if (!taken) continue;
    if (RUNINK_TRY(usable(*taken))) return std::move(*taken);
    if (!taken->dirty()) taken->mark_clean();
  }
  return resource_exhausted("pick a network for a slice: all {} are taken", kSlots)
      .with_hint("that many slices with networks run on this host already");
}

// One short write over the one before: a reader finds the old or the new.
Status NetworkSlot::write(const char* state) const {
  const std::string text = fmt::format("{:05} {}\n", generation_, state);
  if (::pwrite(lock_.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size())) return {};
  return from_errno(errno, "pick a network for a slice: write " + lock_.path());
}

void NetworkSlot::mark_clean() {
  dirty_ = false;
  if (lock_.valid()) (void)write(kClean);  // else the next one cleans up once more
}

}  // namespace runink::network
