// Masking methods: what may be shown of a value that must not be shown whole. Used by mask() in expressions and by
// sinks and displays for fields with `mask("…")` in their contract.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace runink::expr {

// Methods by name: "all" → "****"; "lastN" and "firstN" (N from 1 to 64) show N code points at one end and "*" for each
// other one, and nothing at all of a value that has no more than N; "email" shows the first letter and the domain;
// "length" gives one "*" per code point; "hash" and "tokenise" need a key and are done by hash() and tokenise().
class MaskMethod {
 public:
  static Result<MaskMethod> parse(std::string_view name);  // kInvalidArgument naming the nearest
  // Appends the masked form. UTF-8 in, UTF-8 out.
  void apply(std::string_view value, std::string& out) const;
  std::string apply(std::string_view value) const;
  // Of what the value is; the other methods show a part of it, or its length.
  bool shows_nothing() const { return kind_ == Kind::kAll; }

 private:
  enum class Kind { kAll, kFirst, kLast, kEmail, kLength };
  Kind kind_ = Kind::kAll;
  size_t count_ = 0;
};

// hash(): 64 hexadecimal digits of HMAC-SHA-256 under the key. tokenise(): "tok_" and 26 letters and digits of the
// same, equal for equal values.
std::string keyed_hash(std::string_view key, std::string_view value);
std::string keyed_token(std::string_view key, std::string_view value);

}  // namespace runink::expr
