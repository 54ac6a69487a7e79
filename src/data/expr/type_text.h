// Types as written in casts and contracts. Internal; parse_type() in ast.h is the public form.
#pragma once

#include <optional>
#include <string_view>

#include "base/status.h"
#include "data/columnar/type.h"

namespace runink::expr {

// The scalar type of this name without parameters ("int32"), if there is one. Not "decimal", "enum", "list".
std::optional<columnar::DataType> plain_type(std::string_view name);

// The type at the start of the text; `used` counts the bytes it takes (on an error: up to where it went wrong).
Result<columnar::DataType> parse_type_prefix(std::string_view text, size_t* used);

}  // namespace runink::expr
