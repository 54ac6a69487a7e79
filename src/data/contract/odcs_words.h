// Words of ODCS v3.1.0 that its export and its import share. Internal to this module.
#pragma once

#include <string>
#include <string_view>

#include "data/contract/exchange_common.h"

namespace runink::contract {

// Runink's own words among the custom properties: "zone" is "runinkZone".
std::string with_prefix(std::string_view key);
std::string without_prefix(std::string_view property);  // empty when it is not one of ours

// Java's DateTimeFormatter patterns for our formats, both ways. Empty: it cannot be said.
std::string java_format(std::string_view format);
std::string our_format(std::string_view java);

// The type that a property's standard words say.
DataType odcs_type(const std::string& logical, const Json& property);

}  // namespace runink::contract
