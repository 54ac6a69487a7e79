// CRC32C (Castagnoli; RFC 3720, appendix B.4): against damage, not against people. With the processor's own instruction
// where it has one.
#pragma once

#include <cstdint>
#include <string_view>

namespace runink::crypto {

// `before`: the checksum of the bytes that stand before these, to go on from it.
uint32_t crc32c(std::string_view bytes, uint32_t before = 0);
// The same on any processor; for the test that both agree.
uint32_t crc32c_by_table(std::string_view bytes, uint32_t before = 0);

}  // namespace runink::crypto
