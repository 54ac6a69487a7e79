// The marks of writes: which session, which sequence, and what the member may forget.
//
// The Barn keeps for each session the answers from the lowest unanswered sequence on, 1024 of them and 64 KiB (limits.h
// of the Barn): beyond, a repeated write could not be told from one that was carried out. So a session is given at most
// kWindow sequences and kAnswerBytes of expected answers from its lowest unanswered one on, and more writes at a time
// need more sessions.
//
// Pure. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "runink/barn/v1/key_value.pb.h"

namespace runink::sdk {

namespace v1 = runink::barn::v1;

class Sessions {
 public:
  static constexpr size_t kWindow = 256;
  static constexpr size_t kAnswerBytes = 48 << 10;

  struct Mark {
    uint64_t session = 0;  // a number of this pool; 0: none
    uint64_t sequence = 0;
  };

  void add(const v1::Token& token);
  // A sequence for a write whose answer has about so many bytes. Nothing: no session has room.
  std::optional<Mark> take(size_t answer_bytes);
  bool contains(const Mark& mark) const { return sessions_.contains(mark.session); }  // it has not ended
  // What goes on the wire now. Of a session that is there.
  void fill(const Mark& mark, v1::SessionMark* out) const;
  // The answer has come, or nobody waits for it any more.
  void answered(const Mark& mark);
  void end(const Mark& mark);  // the whole session

  size_t size() const { return sessions_.size(); }
  std::vector<v1::Token> tokens() const;

 private:
  struct Slot {
    bool answered = false;
    size_t bytes = 0;
  };
  struct Session {
    v1::Token token;
    uint64_t lowest = 1;
    std::deque<Slot> slots;  // from `lowest` on
    size_t bytes = 0;
  };
  std::map<uint64_t, Session> sessions_;
  uint64_t last_ = 0;
};

}  // namespace runink::sdk
