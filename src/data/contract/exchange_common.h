// What both exchange formats share: the tree of nested fields, literals, patterns, and Runink's own words in the room
// that a standard leaves for extensions. Internal to this module.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/contract/contract.h"
#include "data/contract/exchange.h"

namespace runink::contract {

using Json = nlohmann::ordered_json;

inline constexpr int kExchangeDepthMax = 16;

// Columns `billing.city`, `billing.street` as one node `billing` with two children.
struct FieldNode {
  std::string name;                      // last part
  const ContractField* field = nullptr;  // of a leaf
  std::vector<FieldNode> children;
};
std::vector<FieldNode> nest_fields(const std::vector<ContractField>& fields);
// Whether walking the nested form gives the columns in their own order.
bool order_survives(const std::vector<ContractField>& fields);
// Puts columns into the order of `names`; those not named come last.
void reorder_fields(std::vector<ContractField>& fields, const std::vector<std::string>& names);

Json value_json(const Value& value, const DataType& type);
// A JSON literal as a value of the type; nullopt when it is none.
std::optional<Value> json_value(const Json& json, const DataType& type);

// Patterns of the other formats search; ours match the whole value.
std::string searching_pattern(std::string_view whole);  // "[A-Z]{3}" → "^(?:[A-Z]{3})$"
std::string whole_pattern(std::string_view searching);  // and back; "ab" → "(?s:.*)(?:ab)(?s:.*)"
bool is_valid_pattern(std::string_view pattern);

// Attributes that only Runink knows, each as a key and a JSON value: "zone", "coerce", "access", …
using PutWord = std::function<void(const std::string& key, const Json& value)>;
void put_field_words(const ContractField& field, const PutWord& put);
// False when the key or its value is none of ours.
bool take_field_word(const std::string& key, const Json& value, ContractField& field);
void put_contract_words(const Contract& contract, const PutWord& put);
bool take_contract_word(const std::string& key, const Json& value, Contract& contract);

// Text of a type as written in a contract; nullopt when it is not one, or a struct.
std::optional<DataType> type_of_word(std::string_view text);

// Refuses text of another origin that is too large or nested too deep for a recursive reader.
Status check_nesting(std::string_view json, const std::string& path);

// A word that can be a name in a contract: other characters that a backquoted name cannot hold become _.
std::string usable_name(std::string_view name);
std::string contract_name_of(std::string_view title);  // a plain word

// Prints the drafts (contracts with declared parts only; expressions as text in `canonical`), parses the result to be
// sure, drops checks and rules that do not parse, and says so in `notes`.
Result<Exchanged> finish_import(std::vector<Contract> drafts, std::vector<std::string> notes, const std::string& path);

// All that `imported` (what import made of the contract's exported text) does not bring back, one sentence each:
// "delay: unit(\"minutes\")", "delay: int32 comes back as int64".
std::vector<std::string> find_losses(const Contract& contract, const Result<Exchanged>& imported);
// Puts those before a writer's own notes, and drops of these what is about the same field or rule.
void add_losses(const Contract& contract, const Result<Exchanged>& imported, std::vector<std::string>* notes);

}  // namespace runink::contract
