// Identifiers with types of their own, and the UUIDs that name runs.
//
// Run ids are UUID version 7 (RFC 9562): they sort by time and OpenLineage accepts them. The caller passes time and
// random bits, so a simulation can choose them.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace runink {

template <typename Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string value) : value_(std::move(value)) {}
  const std::string& value() const { return value_; }
  bool empty() const { return value_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string value_;
};

using RunId = Id<struct RunTag>;

std::string make_uuid_v7(int64_t unix_millis, const std::array<uint8_t, 10>& random);
bool is_uuid(std::string_view text);  // 8-4-4-4-12 hexadecimal digits

}  // namespace runink
