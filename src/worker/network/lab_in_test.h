// A host with an outside world, for tests: network namespaces joined by links, with servers in them, all in this
// process. Threads enter namespaces; a socket stays in the one that it was made in. Needs root.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "model/ip_prefix.h"
#include "model/slice_network.h"
#include "platform/os/fd.h"
#include "worker/network/attachment.h"

namespace runink::network {

// The namespace of the calling thread.
os::Fd own_network();
// A new one, held by nothing but the descriptor.
os::Fd make_network();
// Runs it in a thread that is in that namespace, and waits.
void run_in(const os::Fd& network, const std::function<void()>& what);
model::IpPrefix ip(const std::string& text);

// Answers on many addresses in many namespaces, and remembers who was asked: TCP with the label of the listener, UDP
// with the label and how many bytes came.
class Servers {
 public:
  Servers();
  ~Servers();
  Servers(const Servers&) = delete;
  Servers& operator=(const Servers&) = delete;

  // Labelled "ADDRESS:PORT/tcp".
  void listen(const os::Fd& network, model::SliceProtocol protocol, const std::string& address, uint16_t port);
  // What was asked since the last call, in the order in which it came.
  std::vector<std::string> take_log();
  // Bytes of all datagrams so far, and when the last of them came (monotonic).
  uint64_t datagram_bytes();
  int64_t last_nanos();

 private:
  struct Listener {
    os::Fd fd;
    std::string label;
    bool udp = false;
  };
  void serve();
  void answer(const Listener& listener);

  std::mutex mutex_;
  std::vector<Listener> listeners_;
  std::vector<std::string> log_;
  uint64_t datagram_bytes_ = 0;
  int64_t last_nanos_ = 0;
  os::Pipe wake_;
  std::thread thread_;
};

struct Attempt {
  model::SliceProtocol protocol = model::SliceProtocol::kTcp;
  std::string address;
  uint16_t port = 0;
  std::string source;        // an address of its own that it is to come from; empty: any
  uint16_t source_port = 0;  // 0: any
  size_t bytes = 4;          // of a datagram
  int wait_millis = 10'000;  // for an answer
};
// What it was answered with, or the name of the error ("EHOSTUNREACH"; "no answer").
std::string try_to_reach(const os::Fd& network, const Attempt& attempt);

// The host has 192.0.2.2 and 2001:db8::2 on up0, which forwards. Outside of it, behind out0: 192.0.2.1, 192.0.2.10,
// 2001:db8::1, and the addresses at which clouds have their metadata. The host's default routes lead there.
class Lab {
 public:
  // To be made by a thread that is the host: it is in the host's namespace. An error says what this kernel lacks.
  static Result<std::unique_ptr<Lab>> make();

  os::Fd host, outside;
  Servers servers;
  Networks networks;

  struct Slice {
    os::Fd network;
    Attachment attachment;
  };
  // A slice as a namespace, attached to endpoints as they are written ("192.0.2.1:8000").
  Slice attach(const std::vector<std::string>& endpoints, std::optional<uint64_t> bytes_per_second = {});
};

// Takes the rules of a namespace away.
void remove_rules(const os::Fd& network);

// Whether the link is gone, or goes: the kernel takes a namespace apart after its last user, by itself.
bool goes_away(const std::string& link);

// Runs a test in a thread whose namespace stands for the host's, or skips it.
void in_host(const std::function<void()>& test);

}  // namespace runink::network
