// What happens to a simulated group of cores (cluster_in_test.h), and the kinds of groups that are run.
#pragma once

#include <cstddef>
#include <vector>

namespace runink::raft {

struct Faults {
  double loss = 0.05, duplicate = 0.02;
  double crash = 0.002, cut = 0.004, wipe = 0.0;  // per event
  bool change_members = false, snapshots = false, transfers = false;
  size_t message_bytes = 200;  // 1: each entry goes alone
  double change_rate = 0.2;    // of the odd moments in which members may change, those in which they do
  double split = 0;            // of the cuts, those that part the nodes in two halves
  double late = 0;             // of the messages, those of which a copy comes long after
  double slow_disk = 0;        // of the moments in which a write would be done, those in which it is not
  bool eager = false;          // changes of membership come at the worst moments: of a new leader, before a partition
  bool known_ends = false;     // who loses storage knows where its log ended
  size_t learners = 0;         // who learn from the beginning on
};

// The kinds of groups that the programs run; raft_test runs some of each.
struct GroupKind {
  const char* name;
  size_t voters;
  Faults faults;
};
inline std::vector<GroupKind> group_kinds() {
  std::vector<GroupKind> out;
  const auto add = [&](const char* name, size_t voters) -> Faults& {
    out.push_back({name, voters, {}});
    return out.back().faults;
  };
  add("plain", 3);
  add("five", 5);
  add("snapshots", 3).snapshots = true;
  add("transfers", 3).transfers = true;
  add("changes", 3).change_members = true;
  add("from one", 1).change_members = true;
  add("lost storage", 3).wipe = 0.001;
  Faults& known = add("lost storage, known ends", 3);
  known.wipe = 0.003;
  known.known_ends = true;
  Faults& everything = add("everything", 5);
  everything.snapshots = everything.transfers = everything.change_members = true;
  everything.wipe = 0.001;
  // What the ones above seldom come to: two halves that both change members, old messages, learners beside a leader
  // that nobody else hears.
  Faults& halves = add("four in halves", 4);
  halves.change_members = true;
  halves.change_rate = 0.9;
  halves.split = 0.5;
  halves.cut = 0.002;
  halves.eager = true;
  halves.learners = 2;
  Faults& late = add("old messages", 5);
  late.late = 0.05;
  late.split = 0.3;
  late.cut = 0.01;
  late.crash = 0.003;
  late.slow_disk = 0.7;
  Faults& late_storage = add("old messages, lost storage", 3);
  late_storage.late = 0.05;
  late_storage.wipe = 0.002;
  late_storage.crash = 0.004;
  late_storage.split = 0.3;
  late_storage.cut = 0.008;
  Faults& late_known = add("old messages, lost storage, known ends", 5);
  late_known.late = 0.05;
  late_known.wipe = late_known.crash = 0.004;
  late_known.split = 0.3;
  late_known.cut = 0.008;
  late_known.known_ends = true;
  Faults& learners = add("learners", 3);
  learners.learners = 2;
  learners.split = 0.7;
  learners.cut = 0.006;
  return out;
}

}  // namespace runink::raft
