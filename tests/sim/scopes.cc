// Which spaces are explored (explore.h), and how often. Each fault comes together with elections in one space at least;
// all at once would not close in a night.
#include "tests/sim/explore.h"

namespace runink::raft {
namespace {

Scope scope(const char* name, int elections, int proposals) {
  Scope s;
  s.name = name;
  s.elections = elections;
  s.proposals = proposals;
  return s;
}

}  // namespace

std::vector<Scope> usual_scopes() {
  std::vector<Scope> out;
  out.push_back(scope("2 elections, 2 proposals, 2 messages a channel", 2, 2));
  out.back().channel = 2;
  out.push_back(scope("2 elections, 1 proposal, 1 crash", 2, 1));
  out.back().crashes = 1;
  out.push_back(scope("2 elections, 1 crash, 1 copy, 1 stalled disk", 2, 0));
  out.back().crashes = out.back().duplicates = out.back().stalls = 1;
  out.push_back(scope("2 elections, 2 reads, 1 message a channel", 2, 0));
  out.back().reads = 2;
  out.back().channel = 1;
  out.push_back(scope("2 elections, 1 proposal, 1 loss of storage, 2 messages a channel", 2, 1));
  out.back().losses = 1;
  out.back().channel = 2;
  out.push_back(scope("2 elections, 1 proposal, 2 losses with known ends, 1 message a channel", 2, 1));
  out.back().losses = 2;
  out.back().channel = 1;
  out.back().known_ends = true;
  out.push_back(scope("3 elections, 1 proposal", 3, 1));
  out.push_back(
      scope("4 elections, 1 message a channel, entries one by one", 4, 0));  // figure 8 of the paper takes four
  out.back().channel = 1;
  out.back().one_by_one = true;
  return out;
}

std::vector<Scope> deep_scopes() {
  std::vector<Scope> out = usual_scopes();
  out.push_back(scope("2 elections, 2 proposals", 2, 2));
  out.push_back(scope("2 elections, 1 read, 1 heartbeat", 2, 0));
  out.back().reads = out.back().heartbeats = 1;
  out.push_back(scope("3 elections, 2 proposals, 1 message a channel, entries one by one", 3, 2));
  out.back().channel = 1;
  out.back().one_by_one = true;
  out.push_back(scope("2 elections, 1 proposal, 1 crash, 1 copy", 2, 1));
  out.back().crashes = out.back().duplicates = 1;
  out.push_back(scope("2 elections, 1 proposal, 1 crash, 1 stalled disk", 2, 1));
  out.back().crashes = out.back().stalls = 1;
  out.push_back(scope("2 elections, 1 proposal, 1 heartbeat", 2, 1));
  out.back().heartbeats = 1;
  out.push_back(scope("3 elections, 2 proposals, 1 message a channel", 3, 2));
  out.back().channel = 1;
  out.push_back(scope("3 elections, 2 proposals, 1 crash, 1 message a channel", 3, 2));
  out.back().crashes = out.back().channel = 1;
  out.push_back(scope("3 elections, 1 crash", 3, 0));
  out.back().crashes = 1;
  return out;
}

}  // namespace runink::raft
