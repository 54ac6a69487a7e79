// The one spelling of a contract, and its hash.
//
// Canonical text is a contract file of its own without imports: structs are written out (dotted columns; members of
// lists in place), attributes stand in one order, expressions are printed from their parsed form. Parsing it gives an
// equal contract, and its canonical text is itself.
//
// The hash is SHA-256 over the part of the canonical text that decides which data is valid and who may see it:
// columns, their order, types, rules, checks, qualities, pii, access, mask, classification, open. Not the name,
// version, owner, description, tags, unit, lineage, glossary, max_records; not comments nor spacing.
#pragma once

#include <string>
#include <vector>

#include "data/contract/contract.h"

namespace runink::contract {

std::string canonical_text(const Contract& contract);
std::string hashed_text(const Contract& contract);    // exactly the bytes that are hashed
std::string contract_hash(const Contract& contract);  // what Contract::hash holds

// Parts of it, used by diff, exports and messages.
std::vector<std::string> attribute_texts(const ContractField& field);  // of the field itself: "required", "min(1)"
std::vector<std::string> attribute_texts(const Contract& contract);    // "version(\"1.2.0\")", "open"
std::string type_text(const ContractField& field);                     // with members of lists written out
std::string value_text(const Value& value,
                       const ContractField& field);  // a literal as in an attribute: 12, "2001-01-10"
std::string quote_text(std::string_view text);       // "…" with the escapes of the language
std::string name_text(std::string_view name);        // in backquotes where it must be

}  // namespace runink::contract
