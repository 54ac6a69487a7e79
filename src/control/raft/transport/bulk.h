// Both ends of a bulk connection. The asker dials it when there is something to ask, keeps a few requests on their way
// (its credits) and closes it when it has been idle; the other side answers each, in any order, and refuses to hold
// more open requests than kMaxOpenRequests. So the memory of a transfer is a few chunks on either side, however slow
// either is.
//
// Threads: the loop's; a BulkAnswer given to a source may be called from any, as long as the loop lives.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "control/raft/transport/channel.h"

namespace runink::raft {

inline constexpr size_t kMaxOpenRequests = 8;  // that the answering side holds for one connection

// The asking end, for one peer. Does not dial itself.
class BulkAsker final : private Channel::Owner {
 public:
  struct Options {
    size_t credits = 2;
    size_t waiting = 256;
    int64_t answer_nanos = 30'000'000'000;  // from when a request was sent
    int64_t idle_nanos = 30'000'000'000;
  };
  // `dial` brings a connection about: later it calls connected() or failed().
  BulkAsker(net::EventLoop& loop, const Options& options, PeerCounters* counters, std::function<void()> dial)
      : loop_(loop), options_(options), counters_(counters), dial_(std::move(dial)) {}
  ~BulkAsker();

  void fetch(BulkRequest request, BulkAnswer answer);
  // The channel may still be in its handshake.
  void connected(std::unique_ptr<Channel> channel);
  void failed(const Status& why);  // all that wait are answered so
  Channel::Owner* owner() { return this; }

 private:
  void on_ready(Channel& channel) override { pump(); }
  Status on_frame(Channel& channel, const Frame& frame) override;
  void on_room(Channel& channel) override { pump(); }
  void on_down(Channel& channel, const Status& why) override;

  void pump();
  void watch_time();
  void time_passed();

  struct Waiting {
    BulkRequest request;
    BulkAnswer answer;
  };
  struct Open {
    BulkAnswer answer;
    int64_t deadline;
  };

  net::EventLoop& loop_;
  const Options options_;
  PeerCounters* counters_;
  std::function<void()> dial_;
  std::unique_ptr<Channel> channel_;
  bool dialing_ = false;
  std::deque<Waiting> waiting_;
  std::map<uint64_t, Open> open_;
  uint64_t next_id_ = 1;
  int64_t last_use_ = 0;
  net::EventLoop::TimerId timer_ = 0;
};

// The answering end of one accepted connection.
class BulkAnswerer final : private Channel::Owner {
 public:
  // `source` is asked for every request who the source is: it may change. `gone` may destroy this object, later.
  BulkAnswerer(net::EventLoop& loop, std::unique_ptr<Channel> channel, PeerCounters* counters,
               std::function<BulkSource*()> source, std::function<void(const Status&)> gone);

  NodeId peer() const { return channel_->peer(); }
  void close() { channel_->close(); }

 private:
  void on_ready(Channel& channel) override {}
  Status on_frame(Channel& channel, const Frame& frame) override;
  void on_room(Channel& channel) override {}
  void on_down(Channel& channel, const Status& why) override;
  void answered(uint64_t id, const Result<std::string>& answer);

  net::EventLoop& loop_;
  std::unique_ptr<Channel> channel_;
  PeerCounters* counters_;
  std::function<BulkSource*()> source_;
  std::function<void(const Status&)> gone_;
  size_t open_ = 0;
  std::shared_ptr<BulkAnswerer*> self_;  // for answers that come when this object is gone
};

}  // namespace runink::raft
