// The column that carries what a contract leaves open.
#pragma once

#include <string_view>

#include "data/columnar/type.h"

namespace runink::columnar {

// The name of the column that holds the fields an [[open]] contract does not name: JSON objects, null where a record
// has none. No field of a contract, and none that a feature makes, can have this name.
inline constexpr std::string_view kOpenColumn = "*";

// Its place in a schema; -1 where there is none (a file's own field of that name is of another type).
inline int open_column(const Schema& schema) {
  const int at = schema.index_of(kOpenColumn);
  return at >= 0 && schema.field(static_cast<size_t>(at)).type.id() == TypeId::kJson ? at : -1;
}

// Whether a name would come back inside a struct (or as a field) that the schema itself has: "home.flat" where there is a
// "home.street", or a "home". What is open never has such a name: it is drift, as what is unknown inside a struct is.
inline bool is_inside_own(const Schema& schema, std::string_view name) {
  const std::string_view outer = name.substr(0, name.find('.'));
  for (const Field& field : schema.fields()) {
    const std::string_view own = field.name;
    if (own.substr(0, own.find('.')) == outer) return true;
  }
  return false;
}

}  // namespace runink::columnar
