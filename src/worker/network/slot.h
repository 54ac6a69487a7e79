// A number that one slice with a network has alone, as long as it runs: its interface on the host, its addresses and
// its rules are named after it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/status.h"
#include "model/ip_prefix.h"
#include "platform/os/fd.h"

namespace runink::network {

inline constexpr uint32_t kSlots = 4094;
inline constexpr const char* kInterfacePrefix = "runink-";
inline constexpr const char* kAllInterfaces = "runink-*";

// "runink-17": of the host's end of the pair, and of the chain with its rules.
std::string interface_name(uint32_t slot);
// The number in such a name; nullopt for any other.
std::optional<uint32_t> slot_of(const std::string& interface);
bool is_slice_interface(const std::string& interface);

// What slices' addresses of IPv4 are taken from, in the order of preference: 198.18.0.0/15 is for measuring networks
// and nowhere else (RFC 2544); the others are private.
inline constexpr size_t kAddressRanges = 4;
model::IpPrefix slice_address_v4(uint32_t slot, size_t range);
model::IpPrefix slice_address_v6(uint32_t slot);

// Where the locks lie; take() makes it by itself.
Status make_slot_folder();

// Held by a lock on a file in /run/runink/networks that the kernel drops when its holder ends, however it ends. The
// file says how often the slot was taken, and whether the last holder has cleaned up after itself.
class NetworkSlot {
 public:
  // The lowest that is free and that `usable` says yes to. Root only.
  static Result<NetworkSlot> take(const std::function<Result<bool>(const NetworkSlot&)>& usable);
  // That one, where nobody holds it.
  static Result<std::optional<NetworkSlot>> try_take(uint32_t slot);

  NetworkSlot() = default;
  bool held() const { return lock_.valid(); }
  uint32_t number() const { return number_; }
  // Never 0; another than at each of the last 65,534 times that the slot was taken.
  uint16_t generation() const { return generation_; }
  // Whether who held it before may have left something. From then on it counts as used, until mark_clean().
  bool dirty() const { return dirty_; }
  void mark_clean();

 private:
  Status write(const char* state) const;

  uint32_t number_ = 0;
  uint16_t generation_ = 0;
  bool dirty_ = false;
  os::Fd lock_;
};

}  // namespace runink::network
