#include "platform/net/join_token.h"

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "base/text.h"
#include "platform/crypto/base64.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/identity.h"
#include "platform/crypto/random.h"
#include "platform/net/bytes.h"
#include "platform/net/socket.h"

namespace runink::net {

namespace {

constexpr std::string_view kPrefix = "runink-join-1";
constexpr size_t kIdDigits = 16, kSecretBytes = 32, kFingerprintDigits = 64, kMaxText = 1024;

std::string view_of(const crypto::Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_number(std::string_view digits, uint64_t* out) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *out);
  return !digits.empty() && error == std::errc() && end == digits.data() + digits.size();
}

std::string from_hex(std::string_view digits) {
  std::string out;
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    out.push_back(static_cast<char>(value(digits[i]) << 4 | value(digits[i + 1])));
  return out;
}

// The alphabet for URLs and without padding (RFC 4648, 5), so that a shell, and a '.', cannot get in the way.
std::string to_base64url(std::string_view bytes) {
  std::string text = crypto::base64(bytes);
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  text.resize(text.find_last_not_of('=') + 1);
  return text;
}

bool from_base64url(std::string_view text, std::string* out) {
  if (text.find_first_of("+/=") != std::string_view::npos) return false;
  std::string standard(text);
  std::replace(standard.begin(), standard.end(), '-', '+');
  std::replace(standard.begin(), standard.end(), '_', '/');
  standard.append((4 - standard.size() % 4) % 4, '=');
  return crypto::decode_base64(standard, out);
}

Status damaged(std::string_view what) {
  return invalid_argument("the join token is damaged: {}", what)
      .with_hint("copy it again, whole, or make a new one: runi barn add");
}

}  // namespace

std::string JoinToken::text() const {
  return fmt::format("{}.{}.{}.{}.{}.{}.{}.{}", kPrefix, cluster_id, node, to_base64url(address), fingerprint, id,
                     to_hex(secret), expires_micros / 1'000'000);
}

Result<JoinToken> make_join_token(std::string cluster_id, uint64_t node, std::string address, std::string fingerprint,
                                  int64_t expires_micros) {
  RUNINK_RETURN_IF_ERROR(status_of(crypto::trust_domain_of(cluster_id)));
  if (node == 0) return invalid_argument("a node's id is not 0");
  RUNINK_RETURN_IF_ERROR(status_of(parse_host_port(address)));
  if (!is_hex(fingerprint, kFingerprintDigits)) return invalid_argument("a fingerprint has 64 hexadecimal digits");
  JoinToken token;
  token.cluster_id = std::move(cluster_id);
  token.node = node;
  token.id = crypto::random_hex(kIdDigits / 2);
  token.secret.resize(kSecretBytes);
  crypto::random_bytes(token.secret.data(), kSecretBytes);
  token.fingerprint = std::move(fingerprint);
  token.address = std::move(address);
  token.expires_micros = expires_micros;
  return token;
}

Result<JoinToken> parse_join_token(std::string_view text, int64_t now_micros) {
  text = trim(text);
  if (text.size() > kMaxText) return damaged("it is too long");
  const std::vector<std::string_view> parts = split(text, '.');
  if (parts.empty() || parts[0] != kPrefix) return damaged("it does not begin with " + std::string(kPrefix));
  if (parts.size() != 8) return damaged(fmt::format("it has {} parts, not 8", parts.size()));
  JoinToken token;
  if (!crypto::trust_domain_of(parts[1]).ok()) return damaged("its cluster cannot be read");
  if (!is_number(parts[2], &token.node) || token.node == 0) return damaged("its node cannot be read");
  if (!from_base64url(parts[3], &token.address) || !parse_host_port(token.address).ok())
    return damaged("its address cannot be read");
  if (!is_hex(parts[4], kFingerprintDigits)) return damaged("its fingerprint cannot be read");
  if (!is_hex(parts[5], kIdDigits)) return damaged("its id cannot be read");
  if (!is_hex(parts[6], kSecretBytes * 2)) return damaged("its secret cannot be read");
  uint64_t seconds = 0;
  if (!is_number(parts[7], &seconds) || seconds > INT64_MAX / 1'000'000) return damaged("its expiry cannot be read");
  token.cluster_id = parts[1];
  token.fingerprint = parts[4];
  token.id = parts[5];
  token.secret = from_hex(parts[6]);
  token.expires_micros = static_cast<int64_t>(seconds) * 1'000'000;
  if (token.expires_micros <= now_micros) {
    return permission_denied("the join token expired at {}", format_utc(token.expires_micros))
        .with_hint("make a new one on a member: runi barn add");
  }
  return token;
}

std::string join_key(std::string_view secret) { return view_of(crypto::hmac_sha256(secret, "runink join key 1")); }

std::string join_proof(std::string_view key, std::string_view id, std::string_view request_pem,
                       std::string_view channel_binding) {
  std::string message = "runink join proof 1";
  put_bytes(message, id);
  put_bytes(message, request_pem);
  put_bytes(message, channel_binding);
  return view_of(crypto::hmac_sha256(key, message));
}

}  // namespace runink::net
