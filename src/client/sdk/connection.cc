#include "client/sdk/connection.h"

#include "client/sdk/failure.h"

namespace runink::sdk {
namespace {

// The client ends an operation itself; gRPC's deadline is for the member, which may look at it.
constexpr int64_t kAfterDeadlineNanos = 1'000'000'000;

Result<Reply> reply_of(v1::PackResponse::Result& result) {
  switch (result.result_case()) {
    case v1::PackResponse::Result::kGet:
      return Reply(std::move(*result.mutable_get()));
    case v1::PackResponse::Result::kRange:
      return Reply(std::move(*result.mutable_range()));
    case v1::PackResponse::Result::kWrite:
      return Reply(std::move(*result.mutable_write()));
    case v1::PackResponse::Result::kFailure:
      return from_wire(result.failure());
    case v1::PackResponse::Result::RESULT_NOT_SET:
      break;
  }
  return Status(Code::kUnknown, "the member answered with nothing that this program knows");
}

}  // namespace

Connection::Connection(Context& context, const std::string& address, Events events)
    : context_(context), address_(address), channel_(context.channels->get(address)), events_(std::move(events)) {
  ++context_.counters.connections;
  if (!context_.options->pack) return;
  stream_ =
      PackStream::open(context_, channel_,
                       {[this](v1::PackResponse& response) { on_results(response); }, [this] { events_.on_writable(); },
                        [this](const Status& why) {
                          stream_ = nullptr;
                          broken(why);
                        }});
}

Connection::~Connection() {
  if (stream_ != nullptr) stream_->abandon();
  for (const auto& [number, call] : calls_) call->abandon();
}

bool Connection::writable() const { return !context_.options->pack || (stream_ != nullptr && stream_->writable()); }

void Connection::send(std::span<Operation* const> operations) {
  gathered_.Clear();
  for (const Operation* operation : operations) {
    if (stream_ == nullptr || !is_packable(operation->request)) {
      send_alone(*operation);
      continue;
    }
    v1::PackRequest::Operation* const packed = gathered_.add_operations();
    packed->set_number(operation->number);
    pack(operation->request, packed);
  }
  if (gathered_.operations_size() == 0) return;
  ++context_.counters.packs;
  stream_->write(&gathered_);
}

void Connection::send_alone(const Operation& operation) {
  const uint64_t number = operation.number;
  const int64_t deadline = operation.deadline_nanos;
  calls_[number] = UnaryCall::start(context_, channel_, operation.request,
                                    deadline == INT64_MAX ? deadline : deadline + kAfterDeadlineNanos,
                                    [this, number](Result<Reply> reply, bool by_member) {
                                      calls_.erase(number);
                                      if (!reply.ok() && !by_member) return broken(reply.status());
                                      events_.on_answer(number, std::move(reply));
                                    });
}

void Connection::forget(uint64_t number) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) return;
  found->second->abandon();
  calls_.erase(found);
}

void Connection::on_results(v1::PackResponse& response) {
  for (v1::PackResponse::Result& result : *response.mutable_results()) {
    events_.on_answer(result.number(), reply_of(result));
  }
}

void Connection::broken(const Status& why) {
  const auto told = std::exchange(events_.on_broken, {});
  if (told) told(why);
}

}  // namespace runink::sdk
