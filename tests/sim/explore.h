// Exhaustive exploration of small groups (level T1): every order in which three real cores can be elected, asked,
// interrupted and written to disk, as far as a scope allows, with Raft's promises checked after every step.
//
// What a step is: a message arrives; an election time-out fires; a proposal, a read; a heartbeat; a disk stalls, or
// gets one write done after that; a node stops (with any part of its unwritten queue on disk) and starts again.
// Messages are a set: any of them may come next or never, so losses and reordering cost nothing and have no bound; what
// a scope bounds is doubling, crashes, stalls, losses of what a disk held, and what is asked for. Time-outs may fire at any moment and votes are
// asked for as by force, so that safety is not owed to PreVote or to a clock. (Both are tested elsewhere.)
//
// Two states are the same if all that decides the future is (Raft::fingerprint, disks, messages, what the checks
// remember), up to exchanging nodes 2 and 3; node 1 is the first to campaign. They are known again by 64 bits: at 10^7
// states a collision, which would hide what is behind one state, has a chance of 3 in 10^6.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace runink::raft {

struct Scope {
  std::string name;
  int elections = 3, proposals = 2, crashes = 0, duplicates = 0, stalls = 0, heartbeats = 0, reads = 0,
      losses = 0;
  // Messages under way from one node to another, at most: one more pushes out the one of the oldest term, of the least
  // to say. 0: no bound.
  int channel = 0;
  bool known_ends = false;  // who lost entries knows where its log ended, and more than one may have
  bool one_by_one = false;  // each entry in a message of its own
  // Messages that a correct core takes no notice of are lost at once: fewer states. Off where the core is not correct.
  bool forget_stale = true;
  uint64_t max_states = 100'000'000;
};

struct Exploration {
  uint64_t states = 0, steps = 0, local_states = 0, messages = 0;
  size_t depth = 0;
  bool closed = false;            // all there is was visited
  std::string fault;              // empty: none
  std::vector<std::string> path;  // the steps that led to it
};

Exploration explore(const Scope& scope);

// The scopes of every change: together they take well under a minute.
std::vector<Scope> usual_scopes();
// And of a night.
std::vector<Scope> deep_scopes();

}  // namespace runink::raft
