#include "client/sdk/endpoints.h"

#include <algorithm>

#include "base/check.h"
#include "client/sdk/failure.h"

namespace runink::sdk {

Status check_endpoint(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  const bool number = !port.empty() && port.size() <= 5 &&
                      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool printable =
      std::all_of(address.begin(), address.end(), [](char c) { return c > ' ' && c <= '~' && c != '/'; });
  if (colon == 0 || !number || !printable || address.size() > 300 || std::stoi(port) == 0 || std::stoi(port) > 65535)
    return invalid_argument("an endpoint is host:port, not '{}'", printable ? address : "what was given");
  return {};
}

Endpoints::Endpoints(std::vector<std::string> configured, std::function<uint64_t()> random)
    : configured_(configured.size()), addresses_(std::move(configured)), random_(std::move(random)) {
  RUNINK_CHECK(!addresses_.empty());
  at_ = random_() % addresses_.size();
}

Endpoints::Next Endpoints::next() {
  Next next;
  if (tried_.size() >= addresses_.size()) {
    tried_.clear();
    const int64_t longest = std::min(kLongestPauseNanos, kFirstPauseNanos << std::min(round_, 10u));
    ++round_;
    next.pause_nanos = longest / 2 + static_cast<int64_t>(random_() % static_cast<uint64_t>(longest / 2));
  }
  if (!hint_.empty() && !tried_.contains(hint_)) {
    next.address = std::exchange(hint_, {});
  } else {
    while (tried_.contains(addresses_[at_ % addresses_.size()])) ++at_;
    next.address = addresses_[at_++ % addresses_.size()];
  }
  tried_.insert(next.address);
  return next;
}

void Endpoints::hint(const std::string& address) {
  if (address.empty() || !check_endpoint(address).ok()) return;
  if (std::find(addresses_.begin(), addresses_.end(), address) == addresses_.end()) {
    // The oldest that was only heard of makes room.
    if (addresses_.size() >= configured_ + kLearnedMax) {
      const auto oldest = addresses_.begin() + static_cast<std::ptrdiff_t>(configured_);
      tried_.erase(*oldest);
      failures_.erase(*oldest);
      addresses_.erase(oldest);
    }
    addresses_.push_back(address);
  }
  hint_ = address;
}

void Endpoints::learn(const std::vector<std::string>& members) {
  if (members.empty()) return;
  const std::string at = addresses_[at_ % addresses_.size()];
  addresses_.resize(configured_);
  for (const std::string& address : members) {
    if (addresses_.size() >= configured_ + kLearnedMax) break;
    if (std::find(addresses_.begin(), addresses_.end(), address) == addresses_.end() && check_endpoint(address).ok())
      addresses_.push_back(address);
  }
  if (!hint_.empty() && std::find(addresses_.begin(), addresses_.end(), hint_) == addresses_.end())
    addresses_.push_back(hint_);
  const auto known = [this](const std::string& address) {
    return std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end();
  };
  std::erase_if(tried_, [&](const std::string& address) { return !known(address); });
  std::erase_if(failures_, [&](const auto& failure) { return !known(failure.first); });
  at_ = static_cast<size_t>(std::find(addresses_.begin(), addresses_.end(), at) - addresses_.begin());
}

void Endpoints::worked(const std::string& address) {
  const auto found = std::find(addresses_.begin(), addresses_.end(), address);
  if (found != addresses_.end()) at_ = static_cast<size_t>(found - addresses_.begin());
  tried_.clear();
  failures_.clear();
  round_ = 0;
}

void Endpoints::failed(const std::string& address, Status why) {
  tried_.insert(address);
  failures_.insert_or_assign(address, std::move(why));
}

bool Endpoints::all_refuse_identity() const {
  return std::all_of(addresses_.begin(), addresses_.begin() + static_cast<std::ptrdiff_t>(configured_),
                     [this](const std::string& address) {
                       const auto found = failures_.find(address);
                       return found != failures_.end() && is_refusal_of_identity(found->second);
                     });
}

std::string Endpoints::failures() const {
  std::string out;
  for (const auto& [address, why] : failures_) {
    if (!out.empty()) out += "; ";
    out += address + ": " + why.to_string();
  }
  return out;
}

}  // namespace runink::sdk
