// Reading our own JSON files without trusting them. Private to data/ledger; for .cc files only.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace runink::ledger {

// Members keep the order they are written in, so that files diff well.
using Json = nlohmann::ordered_json;

inline constexpr size_t kMaxJsonDepth = 256;

// kDataLoss naming `path` for what is no JSON document, or nested deeper than kMaxJsonDepth.
Result<Json> parse_json(std::string_view text, const std::string& path);

// One line, or indented by two spaces and ended by a newline. Bytes that are not UTF-8 become U+FFFD.
std::string dump_line(const Json& json);
std::string dump_document(const Json& json);

// The member, or the default where it is absent or of another type: an unknown or damaged member must not keep the rest
// from being read.
std::string get_text(const Json& object, const char* key);
uint64_t get_count(const Json& object, const char* key);
int64_t get_number(const Json& object, const char* key, int64_t otherwise = 0);
double get_real(const Json& object, const char* key);
bool get_flag(const Json& object, const char* key, bool otherwise = false);
int64_t get_time(const Json& object, const char* key);  // "2026-11-21T19:55:00Z" → microseconds; 0 where absent
const Json& get_array(const Json& object, const char* key);   // an empty array where absent
const Json& get_object(const Json& object, const char* key);  // an empty object where absent

// Leaves the member out when it says nothing.
inline void put_text(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}
inline void put_count(Json& object, const char* key, uint64_t value) {
  if (value != 0) object[key] = value;
}
inline void put_time(Json& object, const char* key, int64_t micros) {
  if (micros != 0) object[key] = format_utc(micros);
}

}  // namespace runink::ledger
