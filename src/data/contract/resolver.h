// From syntax to contracts: imports, structs, types, attributes, expressions. Internal to this module.
#pragma once

#include "data/contract/parse.h"
#include "data/contract/syntax.h"

namespace runink::contract {

// Fills in what follows from the declared parts: schema, rules, unique sets, hash.
void derive(Contract& contract);

}  // namespace runink::contract
