// Which slices are to stand ready at the launcher (launcher/protocol.h): some of each class that was asked for lately.
// Pure; threads: one at a time.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "model/slice_spec.h"
#include "worker/launcher/protocol.h"
#include "worker/sandbox/operations.h"

namespace runink::agent {

class ParkedClasses {
 public:
  static constexpr size_t kMostClasses = 8;

  // `each`: how many of a class; 0: none at all. `root`: whether the launcher is root's. `limited_herds`: whose slices
  // all have a control group. Begins with the class of a slice for which nothing was asked.
  ParkedClasses(uint32_t each, bool root, std::vector<std::string> limited_herds = {});

  // A slice like this is started now. What the launcher is to be asked for, in this order; mostly nothing.
  std::vector<launcher::PoolRequest> used(const model::SliceSpec& spec);
  // All there should be: for a launcher that has nothing yet.
  std::vector<launcher::PoolRequest> all() const;

 private:
  struct Class {
    sandbox::ParkingClass parking;
    model::SliceResources resources;  // of the last one: so they are limited while they are parked
  };
  launcher::PoolRequest request_of(const Class& one, uint32_t count) const;

  const uint32_t each_;
  sandbox::HostFacts facts_;
  std::list<Class> classes_;  // the last one used first
};

}  // namespace runink::agent
