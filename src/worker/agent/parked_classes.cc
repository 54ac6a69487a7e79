#include "worker/agent/parked_classes.h"

#include <algorithm>
#include <utility>

namespace runink::agent {

ParkedClasses::ParkedClasses(uint32_t each, bool root, std::vector<std::string> limited_herds) : each_(each) {
  facts_.root = root;
  facts_.limited_herds = std::move(limited_herds);
  if (each_ > 0) classes_.push_back({.parking = sandbox::class_of(model::SliceSpec{}, facts_), .resources = {}});
}

std::vector<launcher::PoolRequest> ParkedClasses::used(const model::SliceSpec& spec) {
  if (each_ == 0) return {};
  sandbox::ParkingClass parking = sandbox::class_of(spec, facts_);
  // Where mounts are of the class, there are as many classes as folders: not worth standing ready for.
  if (!parking.mounts.empty()) return {};
  const auto at =
      std::find_if(classes_.begin(), classes_.end(), [&](const Class& one) { return one.parking == parking; });
  if (at != classes_.end()) {
    classes_.splice(classes_.begin(), classes_, at);
    if (at->resources == spec.resources) return {};
    at->resources = spec.resources;
    return {request_of(*at, each_)};
  }
  std::vector<launcher::PoolRequest> requests;
  if (classes_.size() == kMostClasses) {
    requests.push_back(request_of(classes_.back(), 0));
    classes_.pop_back();
  }
  classes_.push_front({.parking = std::move(parking), .resources = spec.resources});
  requests.push_back(request_of(classes_.front(), each_));
  return requests;
}

std::vector<launcher::PoolRequest> ParkedClasses::all() const {
  std::vector<launcher::PoolRequest> requests;
  for (const Class& one : classes_) requests.push_back(request_of(one, each_));
  return requests;
}

// Of a specification only what the class is made of counts.
launcher::PoolRequest ParkedClasses::request_of(const Class& one, uint32_t count) const {
  const sandbox::ParkingClass& parking = one.parking;
  launcher::PoolRequest request{.count = count};
  request.spec.argv = {"true"};
  request.spec.herd = parking.herd;
  request.spec.user = parking.user;
  request.spec.group = parking.group;
  request.spec.resources = one.resources;
  // One that has a group for its devices alone; the limit is taken away again at its start.
  if (parking.limited && !sandbox::class_of(request.spec, facts_).limited) request.spec.resources.processes = 1024;
  if (parking.terminal) request.spec.terminal.emplace();
  return request;
}

}  // namespace runink::agent
