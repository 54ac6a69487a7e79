#include "worker/agent/parked_classes.h"

#include <algorithm>

namespace runink::agent {

ParkedClasses::ParkedClasses(uint32_t each, bool root) : each_(each) {
  facts_.root = root;
  if (each_ > 0) classes_.push_back(sandbox::class_of(model::SliceSpec{}, facts_));
}

std::vector<launcher::PoolRequest> ParkedClasses::used(const model::SliceSpec& spec) {
  if (each_ == 0) return {};
  sandbox::ParkingClass parking = sandbox::class_of(spec, facts_);
  // Where mounts are of the class, there are as many classes as folders: not worth standing ready for.
  if (!parking.mounts.empty()) return {};
  const auto at = std::find(classes_.begin(), classes_.end(), parking);
  if (at != classes_.end()) {
    classes_.splice(classes_.begin(), classes_, at);
    return {};
  }
  std::vector<launcher::PoolRequest> requests;
  if (classes_.size() == kMostClasses) {
    requests.push_back(request_of(classes_.back(), 0));
    classes_.pop_back();
  }
  requests.push_back(request_of(parking, each_));
  classes_.push_front(std::move(parking));
  return requests;
}

std::vector<launcher::PoolRequest> ParkedClasses::all() const {
  std::vector<launcher::PoolRequest> requests;
  for (const sandbox::ParkingClass& parking : classes_) requests.push_back(request_of(parking, each_));
  return requests;
}

// Of a specification only what the class is made of counts.
launcher::PoolRequest ParkedClasses::request_of(const sandbox::ParkingClass& parking, uint32_t count) const {
  launcher::PoolRequest request{.count = count};
  request.spec.argv = {"true"};
  request.spec.herd = parking.herd;
  request.spec.user = parking.user;
  request.spec.group = parking.group;
  if (parking.limited) request.spec.resources.processes = 1024;
  if (parking.terminal) request.spec.terminal.emplace();
  return request;
}

}  // namespace runink::agent
