#include "control/raft/transport/bulk.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace runink::raft {

BulkAsker::~BulkAsker() {
  loop_.cancel(timer_);
  failed(unavailable("the transport was stopped"));
}

void BulkAsker::fetch(BulkRequest request, BulkAnswer answer) {
  Status refused;
  if (!fits(request)) refused = invalid_argument("a bulk request beyond its limits");
  if (waiting_.size() >= options_.waiting)
    refused = resource_exhausted("more than {} bulk requests wait for one peer", options_.waiting);
  if (!refused.ok()) {
    // Never from within the call: the caller may not be ready for the answer.
    loop_.defer([answer = std::move(answer), refused] { answer(refused); });
    return;
  }
  waiting_.push_back({std::move(request), std::move(answer)});
  last_use_ = loop_.now();
  if (channel_ != nullptr) return pump();
  if (dialing_) return;
  dialing_ = true;
  dial_();
}

void BulkAsker::connected(std::unique_ptr<Channel> channel) {
  dialing_ = false;
  channel_ = std::move(channel);
  last_use_ = loop_.now();
  watch_time();
}

void BulkAsker::failed(const Status& why) {
  dialing_ = false;
  if (channel_ != nullptr) {
    channel_->close();
    net::dispose(loop_, std::move(channel_));
  }
  loop_.cancel(timer_);
  timer_ = 0;
  // Those who are told may ask again at once.
  auto open = std::exchange(open_, {});
  auto waiting = std::exchange(waiting_, {});
  for (auto& [id, request] : open) request.answer(why);
  for (Waiting& request : waiting) request.answer(why);
}

void BulkAsker::pump() {
  if (channel_ == nullptr || !channel_->ready()) return;
  const uint64_t before = channel_->bytes_sent();
  while (!waiting_.empty() && open_.size() < options_.credits && channel_->has_room()) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    const uint64_t id = next_id_++;
    encode(id, next.request, channel_->begin(FrameType::kBulkRequest));
    channel_->end();
    open_.emplace(id, Open{std::move(next.answer), loop_.now() + options_.answer_nanos});
  }
  counters_->bulk_bytes_sent += channel_->bytes_sent() - before;
  counters_->bytes_sent += channel_->bytes_sent() - before;
  channel_->flush();
}

Status BulkAsker::on_frame(Channel& channel, const Frame& frame) {
  if (frame.type != FrameType::kBulkAnswer) return invalid_argument("something else where bulk answers should be");
  counters_->bulk_bytes_received += frame.payload.size() + kFrameHeaderBytes;
  counters_->bytes_received += frame.payload.size() + kFrameHeaderBytes;
  NumberedBulkAnswer answer = RUNINK_TRY(decode_bulk_answer(frame.payload));
  const auto found = open_.find(answer.id);
  if (found == open_.end()) return invalid_argument("a bulk answer that nothing was asked for");
  const BulkAnswer tell = std::move(found->second.answer);
  open_.erase(found);
  last_use_ = loop_.now();
  pump();  // before the answer is worked on, so that the other side is busy meanwhile
  tell(std::move(answer.answer));
  return {};
}

void BulkAsker::on_down(Channel& channel, const Status& why) { failed(Status(Code::kUnavailable, why.to_string())); }

void BulkAsker::watch_time() {
  if (timer_ != 0) return;
  timer_ = loop_.call_after(std::min(options_.idle_nanos, options_.answer_nanos) / 4, [this] { time_passed(); });
}

void BulkAsker::time_passed() {
  timer_ = 0;
  if (channel_ == nullptr) return;
  for (const auto& [id, request] : open_) {
    // The answer may still come: only with this connection are its place and its credit free again.
    if (request.deadline <= loop_.now()) return failed(deadline_exceeded("no answer to a bulk request in time"));
  }
  if (open_.empty() && waiting_.empty() && loop_.now() - last_use_ > options_.idle_nanos) return failed(Status());
  watch_time();
}

BulkAnswerer::BulkAnswerer(net::EventLoop& loop, std::unique_ptr<Channel> channel, PeerCounters* counters,
                           std::function<BulkSource*()> source, std::function<void(const Status&)> gone)
    : loop_(loop),
      channel_(std::move(channel)),
      counters_(counters),
      source_(std::move(source)),
      gone_(std::move(gone)),
      self_(std::make_shared<BulkAnswerer*>(this)) {
  channel_->set_owner(this);
}

Status BulkAnswerer::on_frame(Channel& channel, const Frame& frame) {
  if (frame.type != FrameType::kBulkRequest) return invalid_argument("something else where bulk requests should be");
  counters_->bulk_bytes_received += frame.payload.size() + kFrameHeaderBytes;
  counters_->bytes_received += frame.payload.size() + kFrameHeaderBytes;
  if (open_ >= kMaxOpenRequests) return invalid_argument("more than {} bulk requests at once", kMaxOpenRequests);
  NumberedBulkRequest asked = RUNINK_TRY(decode_bulk_request(frame.payload));
  ++open_;
  BulkAnswer answer = [weak = std::weak_ptr<BulkAnswerer*>(self_), loop = &loop_,
                       id = asked.id](Result<std::string> bytes) {
    if (weak.expired()) return;
    loop->post([weak, id, bytes = std::make_shared<Result<std::string>>(std::move(bytes))] {
      if (const std::shared_ptr<BulkAnswerer*> self = weak.lock()) (*self)->answered(id, *bytes);
    });
  };
  BulkSource* const source = source_();
  if (source == nullptr) {
    answer(unavailable("this member has no bulk to give yet"));
  } else {
    source->answer(channel.peer(), std::move(asked.request), std::move(answer));
  }
  return {};
}

void BulkAnswerer::on_down(Channel& channel, const Status& why) {
  if (channel.protocol_error()) ++counters_->protocol_errors;
  gone_(why);
}

void BulkAnswerer::answered(uint64_t id, const Result<std::string>& answer) {
  RUNINK_CHECK(open_ > 0);
  --open_;
  const uint64_t before = channel_->bytes_sent();
  encode(id, answer, channel_->begin(FrameType::kBulkAnswer));
  channel_->end();
  counters_->bulk_bytes_sent += channel_->bytes_sent() - before;
  counters_->bytes_sent += channel_->bytes_sent() - before;
  channel_->flush();
}

}  // namespace runink::raft
