// Control groups whose slices have ended: removed as soon as the kernel has emptied them, which can take a moment.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "worker/sandbox/slice_group.h"

namespace runink::sandbox {

class DyingGroups {
 public:
  explicit DyingGroups(SliceGroups* groups) : groups_(groups) {}

  void add(std::string name);
  bool empty() const { return waiting_.empty(); }
  size_t size() const { return waiting_.size(); }

  // For poll: -1 where nothing is to be done.
  int millis_to_wait(int64_t now_nanos) const;
  // Tries the one that has waited longest, if its time has come.
  void remove_one(int64_t now_nanos);

 private:
  struct Waiting {
    std::string name;
    int64_t not_before = 0;
  };
  SliceGroups* groups_;
  std::deque<Waiting> waiting_;  // by time
};

}  // namespace runink::sandbox
