// One chunk on its way to the leader or from any member: tries, and tries again, until its deadline. A try leaves
// nothing behind that the next one could not be made beside, so none is ever "unknown".
//
// All on the loop.
#pragma once

#include <memory>
#include <string>

#include "client/sdk/chunk_stream.h"
#include "client/sdk/endpoints.h"
#include "client/sdk/unary_call.h"
#include "platform/crypto/digest.h"

namespace runink::sdk {

struct ChunkWork {
  v1::GetChunkRequest chunk;                 // hash and size, of either direction
  std::shared_ptr<const std::string> bytes;  // to be put; nullptr: to be got
  int64_t deadline_nanos = 0;
  std::function<void(Result<std::string>)> done;  // empty where it was put
};

class ChunkTransfer {
 public:
  // Its deadline runs from here on. `done` of the work comes once, while this is there; it may be called within start()
  // and stop(), and this must outlive the turn in which it is.
  ChunkTransfer(Context& context, ChunkWork work);
  ~ChunkTransfer();
  ChunkTransfer(const ChunkTransfer&) = delete;
  ChunkTransfer& operator=(const ChunkTransfer&) = delete;

  void start(const std::string& leader);  // the leader's address, if it is known
  void stop();                            // the client is being destroyed: `done` is called

 private:
  bool puts() const { return work_.bytes != nullptr; }
  void connect();
  void open_later(const std::string& address, int64_t pause_nanos);
  void open(const std::string& address);
  void on_piece(const std::string& piece);
  void on_ended(const Status& status, bool by_member);
  Status check_received();
  void elsewhere(const Status& why);
  void leave();
  void watch_for_silence();
  void finish(Result<std::string> result);
  Status unanswered() const;

  Context& context_;
  ChunkWork work_;
  Endpoints endpoints_;
  std::string address_;
  ChunkStream* stream_ = nullptr;
  std::shared_ptr<UnaryCall> probe_;
  net::EventLoop::TimerId deadline_timer_ = 0, pause_timer_ = 0, silence_timer_ = 0;
  int64_t heard_nanos_ = 0, pause_nanos_ = 0;
  bool started_ = false;
  bool heard_ = false;  // from the member that is being tried
  Status refusal_;      // of a member, the last
  std::string received_;
  crypto::Sha256 sha_;
};

}  // namespace runink::sdk
