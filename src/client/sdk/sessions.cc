#include "client/sdk/sessions.h"

#include <algorithm>

namespace runink::sdk {

void Sessions::add(const v1::Token& token) { sessions_[++last_].token = token; }

std::optional<Sessions::Mark> Sessions::take(size_t answer_bytes) {
  answer_bytes = std::min(answer_bytes, kAnswerBytes);
  for (auto& [number, session] : sessions_) {
    if (session.slots.size() >= kWindow || session.bytes + answer_bytes > kAnswerBytes) continue;
    session.slots.push_back({false, answer_bytes});
    session.bytes += answer_bytes;
    return Mark{number, session.lowest + session.slots.size() - 1};
  }
  return std::nullopt;
}

void Sessions::fill(const Mark& mark, v1::SessionMark* out) const {
  const Session& session = sessions_.at(mark.session);
  *out->mutable_session() = session.token;
  out->set_sequence(mark.sequence);
  out->set_lowest_unanswered(session.lowest);
}

void Sessions::answered(const Mark& mark) {
  const auto found = sessions_.find(mark.session);
  if (found == sessions_.end() || mark.sequence < found->second.lowest) return;
  Session& session = found->second;
  session.slots[mark.sequence - session.lowest].answered = true;
  while (!session.slots.empty() && session.slots.front().answered) {
    session.bytes -= session.slots.front().bytes;
    session.slots.pop_front();
    ++session.lowest;
  }
}

void Sessions::end(const Mark& mark) { sessions_.erase(mark.session); }

std::vector<v1::Token> Sessions::tokens() const {
  std::vector<v1::Token> out;
  for (const auto& [number, session] : sessions_) out.push_back(session.token);
  return out;
}

}  // namespace runink::sdk
