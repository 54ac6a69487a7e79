#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include <thread>

#include "platform/os/fd.h"
#include "worker/network/attachment.h"

namespace runink::network {
namespace {

Result<os::Fd> enter_new_network() {
  if (::unshare(CLONE_NEWNET) != 0) return from_errno(errno, "make a network namespace");
  os::Fd network(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "a network namespace");
  if (!network.valid()) return from_errno(errno, "open /proc/thread-self/ns/net");
  return network;
}

Status try_it() {
  const os::Fd slice = RUNINK_TRY(enter_new_network());
  const os::Fd host = RUNINK_TRY(enter_new_network());
  NetworkPlan plan;
  const uint8_t somewhere[4] = {192, 0, 2, 1};
  plan.allowed = {{model::ip_address(false, somewhere), 1, model::SliceProtocol::kTcp}};
  plan.bytes_per_second = 1'000'000;
  Networks networks;
  return networks.attach(plan, slice.get()).status();
}

}  // namespace

Status probe() {
  Status status;
  // A thread has a network namespace of its own, which ends with it.
  std::thread([&] { status = try_it(); }).join();
  return status;
}

}  // namespace runink::network
