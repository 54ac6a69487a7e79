// The client of the Barn's key-value API (proto/runink/barn/v1/key_value.proto, whose messages it speaks).
//
// It finds and follows the leader among the endpoints, packs the operations of all callers on one stream, and repeats
// what was not answered until the deadline. A write carries a session mark, so that repeating it carries it out once.
//
// Errors. What a member answered keeps its code, kind, message, hint and details. And:
//   barn.unknown      (kUnknown)      a write that may or may not have been carried out when its deadline came, its
//   session
//                                     ended or the client was destroyed. A write is never called failed while that is
//                                     open
//   barn.unreachable  (kUnavailable)  certainly not carried out: no member that leads was reached in time. Says what
//   each
//                                     endpoint answered
//   barn.not_sent     (kCancelled, kResourceExhausted, kInvalidArgument)  certainly not carried out: the client was
//                                     destroyed, its bounds were reached, or the request is larger than a message may
//                                     be
//   barn.late         (kDeadlineExceeded)  reads and chunks only: no answer in time
//
// A chunk is named by its content, so to put it again changes nothing, and one that no key refers to is removed by
// itself: putting a chunk is never "unknown", and is repeated until the deadline.
//
// Order. Operations that are under way at the same time are carried out in any order, also those of one thread: wait
// for the answer of what must come first.
//
// Watches and leases may be destroyed before the client or after it, not while it is being destroyed.
//
// Threads. Any thread may call. The client owns one thread, on which every callback comes (gRPC has its own behind it,
// on which none comes); a callback must not block and must not throw. Blocking calls made there are refused. The
// destructor, on any other thread, answers what is pending, waits for what is being called, and after it nothing is
// called any more.
//
// The process calls rpc::prepare_grpc() (platform/rpc/client_credentials.h) first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "runink/barn/v1/key_value.pb.h"

namespace runink::sdk {

namespace v1 = runink::barn::v1;

struct ClientOptions {
  std::vector<std::string> endpoints;  // host:port of members; one suffices to find the others where they say who leads
  std::string trust_domain;
  std::string certificate_pem, key_pem;  // the client's own
  std::string authorities_pem;           // whom it believes

  int64_t timeout_nanos = 10'000'000'000;  // of calls that give no deadline
  size_t operations_max = 4096;            // under way or waiting, of all callers
  size_t bytes_max = 64 << 20;             // of their requests
  bool pack = true;                        // false: each operation is a unary call
  // false: writes carry no mark. One whose answer is lost is then unknown at once, instead of repeated.
  bool mark_writes = true;
  size_t sessions_max = 64;  // opened when they are needed, each for 256 writes under way
  // A member that answers nothing for so long, while it is asked something, is left for another one.
  int64_t silence_nanos = 3'000'000'000;
};

struct CallOptions {
  int64_t deadline_nanos = 0;  // of the steady clock; 0: ClientOptions::timeout_nanos from now
  // Where the client's bounds are reached: wait, until the deadline, instead of being refused at once. Not for
  // callbacks.
  bool wait_for_room = false;
};

template <typename T>
using Callback = std::function<void(Result<T>)>;

struct WatchHandlers {
  // Once: all events behind this index will come. May be empty.
  std::function<void(uint64_t index, uint64_t incarnation)> on_begin;
  // In order of indexes, none twice, none left out, all events of an index together; `through` is a bookmark.
  std::function<void(const v1::WatchResponse&)> on_changes;
  // Once, unless the watch or the client is destroyed first: why it cannot go on. barn.watch.compacted and
  // barn.watch.lost_future: read the keys, and watch from behind that reading. Nothing comes after it.
  std::function<void(const Status&)> on_end;
};

// A watch goes on until it is destroyed. Then nothing of it is called any more (on the client's own thread: nothing
// after the callback in which it was destroyed).
class Watch {
 public:
  virtual ~Watch() = default;
};

// A lease that is being kept: renewed at a third of its time to live. Destroying it ends that and leaves the lease to
// expire; BarnClient::revoke_lease() ends the lease. Any thread.
class Lease {
 public:
  virtual ~Lease() = default;
  virtual const v1::Token& token() const = 0;  // a fencing token: greater than those of all leases before
  // By the steady clock of this machine, a tenth of the time to live before the Barn may end it: whoever acts only
  // while this is true, and is not stopped between asking and acting, acts within the lease. For the rest there are
  // tokens.
  virtual bool held() const = 0;
  virtual int64_t held_until_nanos() const = 0;  // of the steady clock, if it is not renewed; 0: it is lost
};

class BarnClient {
 public:
  // Connects with the first operation. kInvalidArgument: no endpoint, or one that is none, or no certificate.
  static Result<std::unique_ptr<BarnClient>> create(ClientOptions options);
  virtual ~BarnClient() = default;

  // The mark of a request is the client's affair: one that is given is replaced. `done` is called once, on the client's
  // thread; but on the caller's, before this returns, where the request is refused at once (barn.not_sent).
  virtual void put(v1::PutRequest request, CallOptions options, Callback<v1::WriteResponse> done) = 0;
  virtual void remove(v1::DeleteRequest request, CallOptions options, Callback<v1::WriteResponse> done) = 0;
  virtual void remove_range(v1::DeleteRangeRequest request, CallOptions options, Callback<v1::WriteResponse> done) = 0;
  virtual void txn(v1::TxnRequest request, CallOptions options, Callback<v1::WriteResponse> done) = 0;
  // Linearizable, by the leader; `serializable` ones by any member, from what it has.
  virtual void get(v1::GetRequest request, CallOptions options, Callback<v1::GetResponse> done) = 0;
  virtual void range(v1::RangeRequest request, CallOptions options, Callback<v1::RangeResponse> done) = 0;
  virtual void grant_lease(v1::GrantLeaseRequest request, CallOptions options,
                           Callback<v1::GrantLeaseResponse> done) = 0;
  virtual void keep_lease(v1::KeepLeaseRequest request, CallOptions options,
                          Callback<v1::KeepLeaseResponse> done) = 0;  // renews it once
  virtual void revoke_lease(v1::RevokeLeaseRequest request, CallOptions options, Callback<v1::WriteResponse> done) = 0;

  // Content that is too large for a value: 8 MiB at most. Put: a majority has it durably. What hash and size to put
  // under a key, and to ask for: chunk_value.h. What comes back has been compared with the hash. barn.chunk.unknown
  // (kNotFound): no member that answers has it.
  virtual void put_chunk(std::string bytes, CallOptions options, Callback<v1::PutChunkResponse> done) = 0;
  virtual void get_chunk(v1::GetChunkRequest chunk, CallOptions options, Callback<std::string> done) = 0;

  // The same, waiting for the answer. kFailedPrecondition on the client's own thread.
  Result<v1::WriteResponse> put(v1::PutRequest request, CallOptions options = {});
  Result<v1::WriteResponse> remove(v1::DeleteRequest request, CallOptions options = {});
  Result<v1::WriteResponse> remove_range(v1::DeleteRangeRequest request, CallOptions options = {});
  Result<v1::WriteResponse> txn(v1::TxnRequest request, CallOptions options = {});
  Result<v1::GetResponse> get(v1::GetRequest request, CallOptions options = {});
  Result<v1::RangeResponse> range(v1::RangeRequest request, CallOptions options = {});
  Result<v1::GrantLeaseResponse> grant_lease(v1::GrantLeaseRequest request, CallOptions options = {});
  Result<v1::KeepLeaseResponse> keep_lease(v1::KeepLeaseRequest request, CallOptions options = {});
  Result<v1::WriteResponse> revoke_lease(v1::RevokeLeaseRequest request, CallOptions options = {});
  Result<v1::PutChunkResponse> put_chunk(std::string bytes, CallOptions options = {});
  Result<std::string> get_chunk(v1::GetChunkRequest chunk, CallOptions options = {});

  // Grants a lease and keeps it; waits for the grant. `on_lost` comes once, when it is not held any more, with the
  // reason; also when the client is destroyed. Not when the Lease is.
  virtual Result<std::unique_ptr<Lease>> hold_lease(int64_t ttl_micros, std::function<void(const Status&)> on_lost,
                                                    CallOptions options = {}) = 0;

  // From `from_index` on; 0: behind everything that was acknowledged before this call. Goes on over other members when
  // the one that serves it is gone, for as long as it takes. An `incarnation` heard together with the index makes sure
  // that a cluster restored in between is noticed.
  virtual std::unique_ptr<Watch> watch(v1::WatchRequest request, WatchHandlers handlers) = 0;

  struct Counters {
    uint64_t answers = 0, repeated = 0, connections = 0, packs = 0, sessions = 0;
  };
  virtual Counters counters() const = 0;

 protected:
  virtual bool on_own_thread() const = 0;
};

}  // namespace runink::sdk
