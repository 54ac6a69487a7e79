// A slice's network while it runs: a veth pair between the host and the slice's network namespace, with its addresses,
// routes, rules and rate.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "worker/network/netlink.h"
#include "worker/network/plan.h"
#include "worker/network/policy.h"
#include "worker/network/slot.h"

namespace runink::network {

class Networks;

// Move-only. The destructor detaches. Used by the thread that has its Networks, which must outlive it.
class Attachment {
 public:
  Attachment() = default;
  Attachment(Attachment&&) noexcept = default;
  Attachment& operator=(Attachment&& other) noexcept;
  ~Attachment() { detach(); }

  bool attached() const { return slot_.held(); }
  const SliceIdentity& slice() const { return slice_; }

  // When the slice has ended: removes the rules, after which nothing that still had the pair could send. The pair
  // itself goes with the slice's network namespace, which the kernel takes apart by itself, after its last process.
  void detach();

 private:
  friend class Networks;
  Networks* owner_ = nullptr;
  NetworkSlot slot_;
  SliceIdentity slice_;
  os::Fd inside_;  // the socket that made the slice's own rules; closed before others are removed (see Networks)
};

// Makes them: one per launcher, in the host's network namespace. Root only. Several may be at work at the same time, in
// several threads or processes; one object is for one thread.
//
// Sockets of nf_tables stay open: closing one waits until the kernel has let go of all rules that were removed just
// before, by whomever, which takes some tens of milliseconds.
class Networks {
 public:
  Networks() = default;
  Networks(const Networks&) = delete;
  Networks& operator=(const Networks&) = delete;

  // `network`: a descriptor of the slice's network namespace, in which nothing of the slice runs yet that could send.
  // The rules are there before the link is. Nothing is left after an error. The first call also removes what launchers
  // have left.
  Result<Attachment> attach(const NetworkPlan& plan, int network);

  // What launchers left that were killed: rules and links of slots that nobody holds.
  Status remove_abandoned();

 private:
  friend class Attachment;
  Status open();
  Result<bool> is_usable(const NetworkSlot& slot);
  Status clean_up(uint32_t slot);
  Status remove_rules(const std::string& interface);
  Status connect(const NetworkPlan& plan, int network, Attachment* made);

  NetlinkSocket route_, netfilter_;
  bool open_ = false;
};

// Whether this kernel can do all of it: an attachment is made and removed between two network namespaces that are there
// for that only, by a child process. The error says what is missing and what to change. Root only.
Status probe();

}  // namespace runink::network
