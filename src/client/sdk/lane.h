// Operations on their way to one member at a time: the leader, or for serializable reads any member. Waits, sends,
// repeats, and ends what its deadline has overtaken.
//
// A member is trusted with operations once it has answered a first read over the same connection: a linearizable one in
// the leader's lane. So nothing is sent to whoever cannot be reached, refuses this client, or does not lead, and a
// write that was never sent is known not to have been carried out.
//
// All on the loop.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "client/sdk/connection.h"
#include "client/sdk/endpoints.h"

namespace runink::sdk {

class Lane {
 public:
  enum class Kind { kLeader, kAnyMember };
  Lane(Context& context, Kind kind);
  ~Lane();

  void add(std::unique_ptr<Operation> operation);
  // At the end of every turn of the loop.
  void turn();
  // The end, in this order: answers everything; ends the sessions, if a member is at hand (`done` is called in any
  // case, after about so long); leaves the member.
  void answer_all();
  void close_sessions(int64_t nanos, std::function<void()> done);
  void stop();

  // Of the member that answered last, if there is a connection; empty otherwise.
  std::string address() const;

 private:
  bool queued() const { return !writes_.empty() || !reads_.empty(); }
  void connect();
  void open(const std::string& address);
  void ask_for_proof();
  void leave(Status why, std::string leader, bool silent);
  void leave_now();
  void watch_for_silence();
  void send();
  void gather(std::deque<uint64_t>& queue, bool marked);
  bool has_lost_its_session(const Operation& operation) const;
  bool take_mark(Operation& operation);
  void open_session();
  void drop_stale_entries();

  void on_answer(uint64_t number, Result<Reply> reply);
  void on_refusal(Operation& operation, Status status);
  void try_went_open(Operation& operation, Status why);
  void again(Operation& operation);
  void again_later(Operation& operation);
  void resume_delayed();
  void finish(Operation& operation, Result<Reply> result);
  void expire();
  void arm_deadline();
  Status unanswered(const Operation& operation, bool stopping) const;
  void refuse_all(const Status& why);
  std::vector<uint64_t> numbers() const;

  Context& context_;
  const Kind kind_;
  Endpoints endpoints_;
  std::unordered_map<uint64_t, std::unique_ptr<Operation>> operations_;
  std::deque<uint64_t> writes_, reads_;  // waiting; may name operations that are over
  std::vector<uint64_t> delayed_;
  net::EventLoop::TimerId delay_timer_ = 0, connect_timer_ = 0, silence_timer_ = 0, deadline_timer_ = 0;
  std::set<std::pair<int64_t, uint64_t>> deadlines_;
  int64_t armed_for_ = INT64_MAX;
  uint64_t last_number_ = 0;

  std::unique_ptr<Connection> connection_;
  bool proven_ = false;  // the first read was answered
  Operation proof_;
  size_t under_way_ = 0;     // sent and not answered, the proof too
  int64_t heard_nanos_ = 0;  // when the member last answered, or was asked after silence
  bool proof_under_way_ = false;
  int64_t asked_nanos_ = 0;  // for the last proof
  struct Leave {
    Status why;
    std::string leader;
    bool silent = false;
  };
  std::optional<Leave> leave_;

  Sessions sessions_;
  bool opening_session_ = false;
  Status session_refusal_;
  int64_t next_session_nanos_ = 0;

  std::vector<Operation*> batch_;
  size_t batch_bytes_ = 0;
  bool stopped_ = false;
};

}  // namespace runink::sdk
