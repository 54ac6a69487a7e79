// Whether a herd's limits hold on this host.
#pragma once

#include <string>

#include "base/status.h"

namespace runink::sandbox {

struct HerdState {
  std::string herd;
  Status status;  // why not, where they do not: no slice of the herd is started then
};

template <typename Archive>
void visit(Archive& archive, HerdState& state) {
  auto& [herd, status] = state;
  archive(herd, status);
}

}  // namespace runink::sandbox
