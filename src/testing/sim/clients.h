// Simulated clients of the Barn: each does one operation after the other on a few keys, follows the leader, retries
// under its session's mark, and writes down what it saw.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "testing/checkers/history.h"
#include "testing/sim/node.h"

namespace runink::testing {

struct ClientOptions {
  size_t clients = 8, keys = 6;
  Micros think_min = 5'000, think_max = 200'000;
  Micros deadline = 4'000'000;  // of one operation, over all its tries
  Micros try_for = 1'000'000;   // of one try
};

class Clients {
 public:
  // `members`: the ids that clients know; may grow and shrink.
  Clients(NodeContext& context, ClientOptions options, std::vector<raft::NodeId>* members);
  void start();
  void stop() { stopped_ = true; }
  bool idle() const { return busy_ == 0; }
  // One linearizable read of each key by a client of its own; done when idle() again.
  void read_all();

  const History& history() const { return history_; }
  struct Totals {
    uint64_t operations = 0, answered = 0, open = 0, refused = 0, tries = 0, writes = 0, reads = 0;
  };
  const Totals& totals() const { return totals_; }

 private:
  struct Client {
    uint64_t id = 0;
    barn::SessionId session;
    uint64_t sequence = 0;
    raft::NodeId believed = 0;
    std::map<std::string, std::string> seen;  // values, for comparing
  };
  struct Task {
    Operation operation;
    barn::SessionMark mark;
    bool registers = false;  // wants a session first
    Micros give_up = 0;
    bool forever = false;     // tried until it is answered
    bool maybe_done = false;  // a try of it may have been carried out
    uint64_t attempt = 0;
    bool over = false;
  };
  using TaskPtr = std::shared_ptr<Task>;

  void next(size_t client);
  void begin(size_t client, TaskPtr task);
  void attempt(size_t client, const TaskPtr& task);
  void ask(size_t client, const TaskPtr& task, Node& node, uint64_t number);
  void answer(size_t client, const TaskPtr& task, uint64_t number, Result<barn::Answer> got,
              std::optional<std::string> value);
  void again(size_t client, const TaskPtr& task, bool elsewhere);
  void finish(size_t client, const TaskPtr& task, bool known, bool effect);
  barn::Command command_of(const Task& task) const;

  NodeContext& context_;
  ClientOptions options_;
  std::vector<raft::NodeId>* members_;
  std::vector<Client> clients_;
  History history_;
  Totals totals_;
  uint64_t values_ = 0;
  size_t busy_ = 0;
  bool stopped_ = false;
};

}  // namespace runink::testing
