#include "worker/network/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "model/ip_prefix.h"

namespace runink::network {
namespace {

Status resolve_failed(const std::string& name, int error, int error_number) {
  switch (error) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
      return not_found("resolve {}: there is no such name", name)
          .with_hint("what it means is asked on this host before the slice starts: getent ahosts " + name);
    case EAI_SYSTEM:
      return from_errno(error_number, "resolve " + name);
    default:
      return unavailable("resolve {}: {}", name, ::gai_strerror(error))
          .with_hint("what it means is asked on this host before the slice starts: getent ahosts " + name);
  }
}

Result<std::vector<std::string>> addresses_of(const std::string& name) {
  addrinfo wanted = {};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;  // else each comes once for every kind of socket
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(name.c_str(), nullptr, &wanted, &list);
  if (error != 0) return resolve_failed(name, error, errno);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    std::string text;
    if (at->ai_family == AF_INET) {
      text = to_string(model::ip_address(false, &reinterpret_cast<const sockaddr_in*>(at->ai_addr)->sin_addr));
    } else if (at->ai_family == AF_INET6) {
      text = to_string(model::ip_address(true, &reinterpret_cast<const sockaddr_in6*>(at->ai_addr)->sin6_addr));
    } else {
      continue;
    }
    if (std::find(addresses.begin(), addresses.end(), text) == addresses.end()) addresses.push_back(std::move(text));
  }
  if (addresses.empty()) return resolve_failed(name, EAI_NONAME, 0);
  if (addresses.size() > model::kMostAddresses) {
    return resource_exhausted("resolve {}: it has {} addresses, a slice knows at most {} of a name", name,
                              addresses.size(), model::kMostAddresses)
        .with_hint("declare the prefix that they lie in");
  }
  return addresses;
}

}  // namespace

Status resolve(model::SliceNetwork* network) {
  std::map<std::string, std::vector<std::string>> known;
  for (model::SliceEndpoint& endpoint : network->endpoints) {
    if (model::looks_like_ip_prefix(endpoint.host)) continue;
    const auto at = known.find(endpoint.host);
    if (at != known.end()) {
      endpoint.addresses = at->second;
      continue;
    }
    endpoint.addresses = RUNINK_TRY_CONTEXT(addresses_of(endpoint.host), "endpoint " + to_string(endpoint));
    known.emplace(endpoint.host, endpoint.addresses);
  }
  return {};
}

}  // namespace runink::network
