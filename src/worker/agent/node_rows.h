// An inventory for people, as lines of a title and a text. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "worker/agent/inventory.h"

namespace runink::agent {

std::vector<std::pair<std::string, std::string>> inventory_rows(const Inventory& inventory);

}  // namespace runink::agent
