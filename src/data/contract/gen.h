// A C++ header for custom steps, generated from a contract: a struct per record, the number of each column, and the
// constants that tie a compiled step to the contract it was compiled for. It needs only the standard library, and works
// with the step SDK (include/runink/step).
#pragma once

#include <string>
#include <string_view>

#include "data/contract/contract.h"

namespace runink::contract {

struct GenOptions {
  std::string name_space = "contracts";  // C++ namespace of the generated types
};
std::string generate_cpp_header(const Contract& contract, const GenOptions& options = {});

// "billing.city" → "billing_city", "class" → "class_", "2nd" → "_2nd": a C++ identifier. Two columns that would get the
// same one are told apart by a number at the end (see generate_cpp_header).
std::string cpp_name(std::string_view column);

}  // namespace runink::contract
