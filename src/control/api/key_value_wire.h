// Between the messages of key_value.proto and the Barn's own values. Commands look into the messages they were made
// from.
#pragma once

#include "control/barn/answer.h"
#include "control/barn/command.h"
#include "control/barn/read.h"
#include "control/barn/watch.h"
#include "runink/barn/v1/key_value.pb.h"

namespace runink::api {

namespace v1 = runink::barn::v1;

barn::Command to_command(const v1::PutRequest& request);
barn::Command to_command(const v1::DeleteRequest& request);
barn::Command to_command(const v1::DeleteRangeRequest& request);
// kInvalidArgument: an operation or a comparison that is none.
Result<barn::Command> to_command(const v1::TxnRequest& request);
barn::Command to_command(const v1::OpenSessionRequest& request);
barn::Command to_command(const v1::CloseSessionRequest& request);
barn::Command to_command(const v1::GrantLeaseRequest& request);
barn::Command to_command(const v1::RevokeLeaseRequest& request);

barn::Token from_wire(const v1::Token& token);
void to_wire(const barn::Token& token, v1::Token* out);
void to_wire(barn::KeyValue&& item, v1::KeyValuePair* out);
void to_wire(barn::Answer&& answer, v1::WriteResponse* out);
void to_wire(barn::RangeAnswer&& answer, barn::Index index, v1::RangeResponse* out);
void to_wire(barn::WatchAnswer&& answer, uint64_t incarnation, v1::WatchResponse* out);
void to_wire(const Status& status, v1::Failure* out);

barn::RangeOptions range_options(const v1::RangeRequest& request);
barn::WatchRequest watch_request(const v1::WatchRequest& request);

}  // namespace runink::api
