#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/text.h"
#include "worker/doctor/doctor.h"
#include "worker/doctor/probe_child.h"
#include "worker/network/attachment.h"

namespace runink::doctor {
namespace {

// The interface by which this host reaches the world by IPv4.
std::string default_interface() {
  std::ifstream routes("/proc/net/route");
  std::string line;
  std::getline(routes, line);  // headings
  while (std::getline(routes, line)) {
    std::istringstream words(line);
    std::string interface, destination;
    words >> interface >> destination;
    if (destination == "00000000") return interface;
  }
  return {};
}

Finding forwarding() {
  constexpr const char* kCheck = "forwarding";
  const std::string interface = default_interface();
  if (interface.empty()) return {kCheck, Verdict::kNote, "this host has no way to other networks", ""};
  const std::string setting = fmt::format("net.ipv4.conf.{}.forwarding", interface);
  const auto value = kernel_setting(fmt::format("/proc/sys/net/ipv4/conf/{}/forwarding", interface));
  if (value == "1") return {kCheck, Verdict::kGood, fmt::format("{} = 1", setting), ""};
  return {kCheck, Verdict::kBad,
          fmt::format("{} = {}: slices reach nothing beyond this host", setting, value.value_or("?")),
          fmt::format("sysctl -w {}=1, for slices with --network", setting)};
}

}  // namespace

void probe_network(Findings* findings) {
  if (::geteuid() != 0) {
    findings->push_back({"networks", Verdict::kBad, "slices of an ordinary user have no network but their own loopback",
                         "start slices as root for --network"});
    return;
  }
  const Status status = network::probe();
  if (status.ok()) {
    findings->push_back({"networks", Verdict::kGood, "a pair of links with rules and a rate was made and removed", ""});
  } else {
    findings->push_back({"networks", Verdict::kBad, status.to_string(),
                         status.hint().empty() ? "--network is refused" : status.hint()});
  }
  findings->push_back(forwarding());
}

}  // namespace runink::doctor
