#include "data/expr/mask.h"

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "platform/crypto/digest.h"

namespace runink::expr {

Result<MaskMethod> MaskMethod::parse(std::string_view name) {
  MaskMethod method;
  const auto counted = [&](std::string_view prefix, Kind kind) {
    if (!name.starts_with(prefix)) return false;
    const std::string_view digits = name.substr(prefix.size());
    if (digits.empty() || digits.size() > 2 ||
        !std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return false;
    size_t count = 0;
    for (const char c : digits) count = count * 10 + static_cast<size_t>(c - '0');
    if (count < 1 || count > 64) return false;
    method.kind_ = kind;
    method.count_ = count;
    return true;
  };
  if (name == "all") return method;
  if (name == "email") {
    method.kind_ = Kind::kEmail;
    return method;
  }
  if (name == "length") {
    method.kind_ = Kind::kLength;
    return method;
  }
  if (counted("last", Kind::kLast) || counted("first", Kind::kFirst)) return method;
  const auto near = nearest(name, {"all", "last4", "first4", "email", "length"});
  Status status = invalid_argument("there is no mask method {}", json_quote(name));
  if (!near.empty()) return std::move(status).with_hint(fmt::format("did you mean \"{}\"?", near[0]));
  return std::move(status).with_hint(
      "methods are \"all\", \"last4\", \"first2\" (any number from 1 to 64), \"email\" and \"length\"");
}

void MaskMethod::apply(std::string_view value, std::string& out) const {
  const size_t length = count_code_points(value);
  switch (kind_) {
    case Kind::kAll:
      out += "****";
      return;
    case Kind::kLength:
      out.append(length, '*');
      return;
    case Kind::kFirst:
      if (length <= count_) {
        out.append(length, '*');
        return;
      }
      out += code_point_slice(value, 0, count_);
      out.append(length - count_, '*');
      return;
    case Kind::kLast:
      if (length <= count_) {
        out.append(length, '*');
        return;
      }
      out.append(length - count_, '*');
      out += code_point_slice(value, length - count_, count_);
      return;
    case Kind::kEmail: {
      const size_t at = value.rfind('@');
      if (at == std::string_view::npos || at == 0) {
        out += "****";
        return;
      }
      out += code_point_slice(value, 0, 1);
      out += "***";
      out += value.substr(at);
      return;
    }
  }
}

std::string MaskMethod::apply(std::string_view value) const {
  std::string out;
  apply(value, out);
  return out;
}

namespace {

std::string token_of(const crypto::Digest256& digest) {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out = "tok_";
  uint32_t bits = 0;
  int have = 0;
  size_t next = 0;
  while (out.size() < 4 + 26) {
    if (have < 5) {
      bits = (bits << 8) | digest[next++];
      have += 8;
    }
    out.push_back(kLetters[(bits >> (have - 5)) & 31]);
    have -= 5;
  }
  return out;
}

}  // namespace

std::string keyed_hash(std::string_view key, std::string_view value) {
  return crypto::hex(crypto::hmac_sha256(key, value));
}
std::string keyed_token(std::string_view key, std::string_view value) {
  return token_of(crypto::hmac_sha256(key, value));
}

}  // namespace runink::expr
