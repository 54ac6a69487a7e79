// What all rows share: the machine, the payload where every sandbox finds it, the specification of a slice, and how a
// result is printed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "peer_commands.h"
#include "platform/os/temp.h"

namespace runink::bench {

struct Options {
  std::string runi, payload;  // programs
  std::string only;           // names of rows that begin so
  bool json = false;
  int rounds = 20;  // of starts that take turns
  int seconds = 2;  // that a rate is measured for, each time
};

// One result. A ratio above 1 means that slices are better than the peer; without a peer there is a value and its unit.
struct Row {
  std::string bench, peer;
  double ratio = 0;
  std::string unit;
  double value = 0;
  double goal = 0;                                         // 0: none
  std::vector<std::pair<std::string, std::string>> words;  // more of it: "arrival", "path"
  std::vector<std::pair<std::string, double>> numbers;
};

class Setting {
 public:
  // Moves this process into a mount namespace of its own, where it can, and shows the payload in a folder below /usr
  // there, which is in every slice: so that it takes no mount of its own.
  static Result<Setting> make(const Options& options);

  const Options& options() const { return options_; }
  bool wanted(const std::string& bench) const { return bench.starts_with(options_.only); }
  bool root() const { return root_; }
  // Whether slices can be limited here.
  bool limits() const { return !cgroups_.empty() && root_; }

  // A slice that runs the payload; with limits of processor, memory and processes, and with a mount of its own, where
  // asked for.
  model::SliceSpec spec(const std::string& herd, bool limited = false, bool mounted = false) const;
  // Of bare processes, and the same in other sandboxes; kNotFound where the program is not installed.
  sandbox::peers::PeerCommand bare() const { return {{payload_}, {}}; }
  sandbox::peers::PeerCommand exec() const;
  Result<sandbox::peers::PeerCommand> bubblewrap() const;
  // Writes the bundle into a folder of this run and returns that.
  Result<std::string> bundle() const;
  std::string state_folder() const { return folder_.file("state"); }

  void print(const Row& row) const;

 private:
  Options options_;
  os::TempFolder folder_;
  std::string payload_, kernel_, cgroups_;  // the last: "v1", "v2", or empty
  bool root_ = false;
};

}  // namespace runink::bench
