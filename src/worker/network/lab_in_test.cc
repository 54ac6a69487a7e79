#include "worker/network/lab_in_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "platform/os/machine.h"
#include "worker/network/host_view.h"
#include "worker/network/links.h"
#include "worker/network/nft.h"

namespace runink::network {
namespace {

constexpr MacAddress kHostMac = {2, 0, 0, 0, 0, 2}, kOutsideMac = {2, 0, 0, 0, 0, 1};
constexpr const char* kOutsideV4[] = {"192.0.2.1", "192.0.2.10", "169.254.169.254", "100.100.100.200"};
constexpr const char* kOutsideV6[] = {"2001:db8::1", "fd00:ec2::254"};

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const model::IpPrefix& address, uint16_t port) {
  SocketAddress out;
  if (address.v6) {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    ::memcpy(&v6.sin6_addr, address.address.data(), sizeof v6.sin6_addr);
    ::memcpy(&out.storage, &v6, out.length = sizeof v6);
  } else {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    ::memcpy(&v4.sin_addr, address.address.data(), sizeof v4.sin_addr);
    ::memcpy(&out.storage, &v4, out.length = sizeof v4);
  }
  return out;
}

os::Fd make_socket(const model::IpPrefix& address, model::SliceProtocol protocol, int flags = 0) {
  const int type = protocol == model::SliceProtocol::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  return os::Fd(::socket(address.v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | flags, 0), "socket");
}

std::string error_name() { return ::strerrorname_np(errno); }

bool is_ready(const os::Fd& fd, short events, int millis) {
  pollfd waiting = {fd.get(), events, 0};
  return ::poll(&waiting, 1, millis) == 1;
}

// In the namespace of the calling thread.
std::string try_here(const Attempt& attempt) {
  const model::IpPrefix to = ip(attempt.address);
  const os::Fd fd = make_socket(to, attempt.protocol, SOCK_NONBLOCK);
  if (!attempt.source.empty() || attempt.source_port != 0) {
    const model::IpPrefix from = ip(!attempt.source.empty() ? attempt.source : to.v6 ? "::" : "0.0.0.0");
    const SocketAddress source = socket_address(from, attempt.source_port);
    if (::bind(fd.get(), source.get(), source.length) != 0) return "bind: " + error_name();
  }
  const SocketAddress target = socket_address(to, attempt.port);
  if (::connect(fd.get(), target.get(), target.length) != 0 && errno != EINPROGRESS) return error_name();
  if (attempt.protocol == model::SliceProtocol::kUdp) {
    const std::string text(attempt.bytes, 'x');
    if (::send(fd.get(), text.data(), text.size(), 0) < 0) return error_name();
  }
  if (!is_ready(fd, POLLIN, attempt.wait_millis)) return "no answer";
  char text[256];
  const ssize_t n = ::recv(fd.get(), text, sizeof text, 0);
  return n < 0 ? error_name() : std::string(text, static_cast<size_t>(n));
}

void write_setting(const std::string& name) {
  const os::Fd file(::open(("/proc/sys/net/" + name).c_str(), O_WRONLY | O_CLOEXEC), name);
  EXPECT_TRUE(file.valid() && ::write(file.get(), "1", 1) == 1) << name;
}

Status set_up_end(const std::string& name, bool host) {
  NetlinkSocket route = RUNINK_TRY(NetlinkSocket::open(NETLINK_ROUTE));
  const auto link = RUNINK_TRY(find_link(&route, name));
  if (!link) return not_found("look for {}", name);
  Messages messages;
  raise_link(&messages, 1);
  raise_link(&messages, link->index);
  for (const char* text : {"192.0.2.2", "2001:db8::2"}) {
    if (host) {
      add_address(&messages, link->index, ip(text));
    } else {
      add_neighbour(&messages, link->index, ip(text), kHostMac);
    }
  }
  const auto of_outside = [&](const char* text) {
    if (host) {
      add_neighbour(&messages, link->index, ip(text), kOutsideMac);
    } else {
      add_address(&messages, link->index, ip(text));
    }
  };
  for (const char* text : kOutsideV4) of_outside(text);
  for (const char* text : kOutsideV6) of_outside(text);
  add_route(&messages, link->index, ip("192.0.2.0/24"), std::nullopt);
  add_route(&messages, link->index, ip("2001:db8::/64"), std::nullopt);
  // Each way: the host sends all to the outside; the outside knows, wrongly, that slices are behind the host.
  for (const char* text : {"0.0.0.0/0", "::/0"}) {
    const model::IpPrefix all = ip(text);
    add_route(&messages, link->index, all,
              ip(all.v6 ? (host ? "2001:db8::1" : "2001:db8::2") : (host ? "192.0.2.1" : "192.0.2.2")));
  }
  return route.send(&messages);
}

Status join(const os::Fd& outside) {
  NetlinkSocket route = RUNINK_TRY(NetlinkSocket::open(NETLINK_ROUTE));
  Messages messages;
  add_veth(&messages, {"up0", kHostMac}, {"out0", kOutsideMac}, outside.get(), 1400);
  RUNINK_RETURN_IF_ERROR(route.send(&messages));
  RUNINK_RETURN_IF_ERROR(set_up_end("up0", true));
  Status status;
  run_in(outside, [&] { status = set_up_end("out0", false); });
  write_setting("ipv4/conf/up0/forwarding");
  write_setting("ipv6/conf/all/forwarding");
  return status;
}

}  // namespace

os::Fd own_network() { return os::Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "a network namespace"); }

os::Fd make_network() {
  os::Fd made;
  std::thread([&] {
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
    made = own_network();
  }).join();
  return made;
}

void run_in(const os::Fd& network, const std::function<void()>& what) {
  std::thread([&] {
    ASSERT_EQ(::setns(network.get(), CLONE_NEWNET), 0);
    what();
  }).join();
}

model::IpPrefix ip(const std::string& text) {
  auto prefix = model::parse_ip_prefix(text);
  EXPECT_TRUE(prefix.ok()) << prefix.status().to_string();
  return prefix.ok() ? *prefix : model::IpPrefix();
}

Servers::Servers() : wake_(*os::make_pipe("wake")), thread_([this] { serve(); }) {}

Servers::~Servers() {
  wake_.write.reset();
  thread_.join();
}

void Servers::listen(const os::Fd& network, model::SliceProtocol protocol, const std::string& address, uint16_t port) {
  Listener listener{.udp = protocol == model::SliceProtocol::kUdp};
  listener.label = fmt::format("{}:{}/{}", address, port, listener.udp ? "udp" : "tcp");
  run_in(network, [&] {
    listener.fd = make_socket(ip(address), protocol, SOCK_NONBLOCK);
    const SocketAddress at = socket_address(ip(address), port);
    const int bytes = 8 << 20;
    (void)::setsockopt(listener.fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    ASSERT_EQ(::bind(listener.fd.get(), at.get(), at.length), 0) << listener.label << ": " << error_name();
    if (!listener.udp) {
      ASSERT_EQ(::listen(listener.fd.get(), 64), 0) << listener.label;
    }
  });
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    listeners_.push_back(std::move(listener));
  }
  ASSERT_EQ(::write(wake_.write.get(), "w", 1), 1);
}

std::vector<std::string> Servers::take_log() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(log_, {});
}

uint64_t Servers::datagram_bytes() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return datagram_bytes_;
}

int64_t Servers::last_nanos() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return last_nanos_;
}

void Servers::serve() {
  for (;;) {
    std::vector<pollfd> waiting = {{wake_.read.get(), POLLIN, 0}};
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (const Listener& listener : listeners_) waiting.push_back({listener.fd.get(), POLLIN, 0});
    }
    if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
    char byte = 0;
    if (waiting[0].revents != 0 && ::read(wake_.read.get(), &byte, 1) == 0) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 1; i < waiting.size(); ++i) {
      if (waiting[i].revents != 0) answer(listeners_[i - 1]);
    }
  }
}

void Servers::answer(const Listener& listener) {
  if (!listener.udp) {
    const os::Fd connection(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC), "connection");
    if (!connection.valid()) return;
    log_.push_back(listener.label);
    (void)!::write(connection.get(), listener.label.data(), listener.label.size());
    return;
  }
  for (;;) {
    std::vector<char> bytes(65536);
    sockaddr_storage from = {};
    socklen_t length = sizeof from;
    const ssize_t n =
        ::recvfrom(listener.fd.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (n < 0) return;
    datagram_bytes_ += static_cast<uint64_t>(n);
    last_nanos_ = os::monotonic_nanos();
    const std::string text = fmt::format("{} {}", listener.label, n);
    log_.push_back(text);
    (void)::sendto(listener.fd.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
  }
}

std::string try_to_reach(const os::Fd& network, const Attempt& attempt) {
  std::string answer;
  run_in(network, [&] { answer = try_here(attempt); });
  return answer;
}

Result<std::unique_ptr<Lab>> Lab::make() {
  auto lab = std::make_unique<Lab>();
  lab->host = own_network();
  lab->outside = make_network();
  RUNINK_RETURN_IF_ERROR(join(lab->outside));
  return lab;
}

Lab::Slice Lab::attach(const std::vector<std::string>& endpoints, std::optional<uint64_t> bytes_per_second) {
  Slice slice;
  slice.network = make_network();
  run_in(slice.network, [] {
    auto route = NetlinkSocket::open(NETLINK_ROUTE);
    ASSERT_TRUE(route.ok());
    Messages messages;
    raise_link(&messages, 1);
    EXPECT_TRUE(route->send(&messages).ok());
  });
  model::SliceNetwork network{.bytes_per_second = bytes_per_second};
  for (const std::string& text : endpoints) network.endpoints.push_back(*model::parse_endpoint(text));
  const auto plan = plan_network(network, look_at_host(network));
  EXPECT_TRUE(plan.ok()) << plan.status().to_string();
  if (!plan.ok()) return slice;
  auto attachment = networks.attach(*plan, slice.network.get());
  EXPECT_TRUE(attachment.ok()) << attachment.status().to_string();
  if (attachment.ok()) slice.attachment = std::move(*attachment);
  return slice;
}

void remove_rules(const os::Fd& network) {
  run_in(network, [] {
    auto netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
    ASSERT_TRUE(netfilter.ok());
    const Status removed = nft::remove_unneeded_table(&*netfilter, [](const std::string&) { return false; });
    EXPECT_TRUE(removed.ok()) << removed.to_string();
  });
}

bool goes_away(const std::string& link) {
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  for (int i = 0; route.ok() && i < 4000; ++i) {
    const auto found = find_link(&*route, link);
    if (found.ok() && !*found) return true;
    ::usleep(5000);
  }
  return false;
}

void in_host(const std::function<void()>& test) {
  Status able;
  std::thread([&] {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNET) != 0) {
      able = permission_denied("needs root, to make network namespaces");
      return;
    }
    able = probe();
    if (able.ok()) test();
  }).join();
  if (!able.ok()) GTEST_SKIP() << able.to_string();
}

}  // namespace runink::network
