// One thing that a caller asked for, from the call to the answer.
#pragma once

#include <functional>
#include <variant>

#include "base/status.h"
#include "client/sdk/sessions.h"
#include "runink/barn/v1/key_value.pb.h"

namespace runink::sdk {

using Request = std::variant<v1::GetRequest, v1::RangeRequest, v1::PutRequest, v1::DeleteRequest,
                             v1::DeleteRangeRequest, v1::TxnRequest, v1::GrantLeaseRequest, v1::RevokeLeaseRequest,
                             v1::KeepLeaseRequest, v1::OpenSessionRequest, v1::CloseSessionRequest>;
using Reply = std::variant<v1::GetResponse, v1::RangeResponse, v1::WriteResponse, v1::GrantLeaseResponse,
                           v1::KeepLeaseResponse, v1::OpenSessionResponse>;

struct Operation {
  uint64_t number = 0;
  Request request;
  size_t bytes = 0;            // of the request; 0: not counted (the client's own)
  int64_t deadline_nanos = 0;  // INT64_MAX: none
  std::function<void(Result<Reply>)> done;

  Sessions::Mark mark;
  bool sent = false;  // a try is under way
  // An earlier try may have been carried out: from here on only its answer, or unknown, ends a write.
  bool outcome_open = false;
  Status refusal;  // the last one that it is repeated after
};

// May be carried out once only, so that it carries a mark.
bool is_write(const Request& request);
// May go on the packed stream.
bool is_packable(const Request& request);
bool is_serializable(const Request& request);
// About what the Barn has to keep of its answer.
size_t answer_bytes(const Request& request);
size_t request_bytes(const Request& request);
const char* name_of(const Request& request);
v1::SessionMark* mark_of(Request& request);  // of writes
// Counts next to nothing: asked to learn whether a member answers, and up to which index it, or the cluster, is.
v1::RangeRequest probe_request(bool serializable);
void pack(const Request& request, v1::PackRequest::Operation* out);

}  // namespace runink::sdk
