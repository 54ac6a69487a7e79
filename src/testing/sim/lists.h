// Simulated clients that append to lists in transactions: read some lists at one moment, then write what was read with
// an element more, if nobody has changed any of them since (their ModifyIndex is the same). What they saw is a history
// for the checker of isolation (list_append.h). Nothing is tried twice: what was not answered is unknown.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "testing/checkers/list_append.h"
#include "testing/sim/node.h"

namespace runink::testing {

struct ListOptions {
  size_t clients = 2;
  uint64_t lists = 3;               // that are in use at a time
  uint64_t elements_per_list = 40;  // about; then others are begun
  Micros think_min = 50'000, think_max = 500'000;
  Micros wait = 3'000'000;  // for an answer
};

class ListClients {
 public:
  ListClients(NodeContext& context, ListOptions options, std::vector<raft::NodeId>* members);
  void start();
  void stop() { stopped_ = true; }

  const std::vector<Transaction>& history() const { return history_; }
  struct Totals {
    uint64_t committed = 0, aborted = 0, unknown = 0, read_only = 0;
  };
  const Totals& totals() const { return totals_; }
  static std::string key_of(uint64_t list);

 private:
  struct Client {
    uint64_t id = 0;
    raft::NodeId believed = 0;
  };
  struct Seen {
    uint64_t list = 0;
    raft::Index modified = 0;
    std::string value;
  };
  struct Task {
    Transaction transaction;
    std::vector<Seen> seen;
    bool writes = false;
    bool sent = false;  // the writing part: from now on the outcome may be unknown
    bool over = false;
  };
  using TaskPtr = std::shared_ptr<Task>;

  void next(size_t client);
  Node* reach(size_t client);
  void begin(size_t client);
  void read(size_t client, const TaskPtr& task);
  void write(size_t client, const TaskPtr& task);
  void finish(size_t client, const TaskPtr& task, Transaction::Outcome outcome, bool recorded);
  void trouble(size_t client, const Status& status);

  NodeContext& context_;
  ListOptions options_;
  std::vector<raft::NodeId>* members_;
  std::vector<Client> clients_;
  std::vector<Transaction> history_;
  Totals totals_;
  uint64_t appended_ = 0;
  bool stopped_ = false;
};

}  // namespace runink::testing
