// What a run of a feature reads, and whether any of it has changed: for `runi watch`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "client/local/project.h"

namespace runink::local {

// The project's settings, features, contracts and steps, and the files of the feature's sources; not what the feature
// itself writes. The feature is compiled once, when the object is made; a look lists the folders and asks for each
// file's size and time. One thread at a time.
class Watch {
 public:
  // Remembers everything as it is now. A feature that does not compile has no sources.
  Watch(const Project& project, const std::string& feature);

  // Whether a file has another size, time of modification or inode than when the object was made, is gone, or is new.
  bool changed() const;
  // Looks again and again. False when `stop` was requested before anything had changed.
  bool wait_for_change(const StopFlag& stop) const;

 private:
  struct Stamp {
    uint64_t size = 0, inode = 0;
    int64_t modified_nanos = 0;
    bool operator==(const Stamp&) const = default;
  };
  std::map<std::string, Stamp> files_now() const;

  std::vector<std::string> patterns_;   // absolute, of files
  std::vector<std::string> written_;    // by the feature itself
  std::map<std::string, Stamp> files_;  // as they were
};

}  // namespace runink::local
