// Networks and channels that cross them (L09, L10, L11).
//
// attack_network PORT NAME: a listener of the host on 127.0.0.1, and one on the abstract name.
// attack_network listen NAME: is such a one, says "listening", and waits for the end of its input.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "attack.h"

namespace {

bool connects(const char* address, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address, &to.sin_addr);
  const bool good = fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  if (fd >= 0) close(fd);
  return good;
}

socklen_t abstract_address(const char* name, sockaddr_un* out) {
  out->sun_family = AF_UNIX;
  strncpy(out->sun_path + 1, name, sizeof out->sun_path - 2);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(name));
}

int listen_abstract(const char* name) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un at = {};
  const socklen_t length = abstract_address(name, &at);
  if (bind(fd, reinterpret_cast<sockaddr*>(&at), length) != 0 || listen(fd, 4) != 0) return 2;
  std::puts("listening");
  std::fflush(stdout);
  char byte;
  return read(0, &byte, 1) == 0 ? 0 : 2;
}

bool connects_abstract(const char* name) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un to = {};
  const socklen_t length = abstract_address(name, &to);
  const bool good = fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&to), length) == 0;
  if (fd >= 0) close(fd);
  return good;
}

// Its own loopback has to work, or refusals would prove nothing.
bool own_loopback() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  if (listener < 0 || bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || listen(listener, 1) != 0)
    return false;
  getsockname(listener, reinterpret_cast<sockaddr*>(&at), &length);
  return connects("127.0.0.1", ntohs(at.sin_port));
}

}  // namespace

int main(int argc, char** argv) {
  refuse_to_be_host_root();
  if (argc > 2 && strcmp(argv[1], "listen") == 0) return listen_abstract(argv[2]);
  attempt("no loopback of its own", !own_loopback());
  if (argc > 1) attempt("the host's loopback", connects("127.0.0.1", std::atoi(argv[1])));
  if (argc > 2) attempt("an abstract socket of the host", connects_abstract(argv[2]));
  attempt("the metadata address", connects("169.254.169.254", 80));
  attempt("a netlink socket", socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
  attempt("a packet socket", socket(AF_PACKET, SOCK_RAW, 0) >= 0);
  attempt("a raw socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0);
  attempt("AF_ALG", socket(AF_ALG, SOCK_SEQPACKET, 0) >= 0);
  attempt("AF_VSOCK", socket(AF_VSOCK, SOCK_STREAM, 0) >= 0);
  attempt("AF_KEY", socket(AF_KEY, SOCK_RAW, 2) >= 0);
  attempt("AF_XDP", socket(44, SOCK_RAW, 0) >= 0);
  attempt("a raw IPv6 socket", socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6) >= 0);
  attempt("a ping socket", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0);
  return verdict();
}
