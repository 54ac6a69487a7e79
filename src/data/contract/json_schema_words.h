// Words of JSON Schema that its export and its import share. Internal to this module.
#pragma once

#include <string>
#include <string_view>

#include "data/contract/exchange_common.h"

namespace runink::contract {

// Runink's own words begin so: "columnOrder" is "x-runink-column-order".
inline constexpr std::string_view kSchemaPrefix = "x-runink-";
std::string schema_word(std::string_view key);   // with the prefix
std::string key_of_word(std::string_view word);  // without

// The scalar type that a schema's own words say.
DataType schema_type(const std::string& type, const Json& schema);

}  // namespace runink::contract
