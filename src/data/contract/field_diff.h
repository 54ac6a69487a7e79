// What changed in one field. Internal to this module.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/contract/diff.h"

namespace runink::contract {

// readers: a value may come that the old contract excluded. writers: a value is refused that the old one allowed.
Impact impact_of(bool readers, bool writers);

const ContractField* find_field(const std::vector<ContractField>& fields, std::string_view name);

// Each appends to `out`. `name` is the full name, for members of lists too.
void field_changed(const ContractField& before, const ContractField& after, const std::string& name,
                   std::vector<Change>& out);
void field_added(const ContractField& field, const std::string& name, std::vector<Change>& out);
void field_removed(const ContractField& field, const std::string& name, std::vector<Change>& out);

}  // namespace runink::contract
