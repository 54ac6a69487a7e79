// What this thread may do with files, for a moment, is what another user may.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"

namespace runink::sandbox {

// From begin() to the destructor this thread's look-ups and opens are those of `user` and `group`, without any other
// group and without root's rights over files. For a process that has these rights (root); other threads notice nothing.
class ActingAs {
 public:
  ActingAs() = default;
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;
  ~ActingAs() { end(); }  // aborts where it could not become itself again

  Status begin(uint32_t user, uint32_t group);
  void end();

 private:
  bool acting_ = false;
  uint32_t user_ = 0, group_ = 0;  // before
  std::vector<uint32_t> groups_;
};

}  // namespace runink::sandbox
