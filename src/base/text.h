// Small things about text that every module needs: UTF-8, escaping for a terminal, splitting, joining.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runink {

// Code points by counting bytes that are not continuation bytes; for valid UTF-8 this is exact.
size_t count_code_points(std::string_view text);
std::string_view code_point_slice(std::string_view text, size_t first, size_t count);
bool is_valid_utf8(std::string_view text);
void append_utf8(std::string& out, uint32_t code_point);

// Makes text safe for a terminal: C0 and C1 controls, DEL, and bytes that are not UTF-8 become \xHH or \u{…};
// newline becomes \n; backslash stays as it is.
std::string escape_control(std::string_view text, bool keep_tab = false);

// `"…"` with JSON escapes; invalid UTF-8 becomes U+FFFD.
std::string json_quote(std::string_view text);
void append_json_quoted(std::string& out, std::string_view text);

std::string_view trim(std::string_view text);  // ASCII white space
// The parts look into `text`, which is why a temporary string is refused.
std::vector<std::string_view> split(std::string_view text, char separator);
template <std::same_as<std::string> Temporary>
std::vector<std::string_view> split(Temporary&& text, char separator) = delete;
std::string join(const std::vector<std::string>& parts, std::string_view separator);
bool starts_with_ignore_case(std::string_view text, std::string_view prefix);
bool equals_ignore_case(std::string_view a, std::string_view b);
std::string to_lower_ascii(std::string_view text);
std::string to_hex(std::string_view bytes);

// "1.2 MB", "3.4 GB/s" are made from these: decimal units, three significant digits.
std::string human_bytes(uint64_t bytes);
std::string human_count(uint64_t count);        // 1,234,567
std::string human_duration(double seconds);     // "850 ms", "12.3 s", "4 min 05 s"

// "512Mi", "2GB", "100k", "1048576": a quantity of bytes; false if it is not one.
bool parse_bytes(std::string_view text, uint64_t* bytes);
// "30s", "5m", "2h30m", "7d", "250ms"; false if it is not one.
bool parse_duration_micros(std::string_view text, int64_t* micros);

}  // namespace runink
