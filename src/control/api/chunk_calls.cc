#include "control/api/chunk_calls.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "platform/crypto/digest.h"

namespace runink::api {
namespace {

Result<crypto::Digest256> hash_of(const std::string& bytes) {
  crypto::Digest256 hash;
  if (bytes.size() != hash.size()) return invalid_argument("a SHA-256 has {} bytes, not {}", hash.size(), bytes.size());
  std::memcpy(hash.data(), bytes.data(), hash.size());
  return hash;
}

Result<barn::ChunkReference> reference_of(const std::string& hash, uint64_t size) {
  if (size > kChunkBytesMax) return invalid_argument("a chunk of {} bytes; {} are the most", size, kChunkBytesMax);
  return barn::ChunkReference{RUNINK_TRY(hash_of(hash)), size};
}

Status no_room(Status status) {
  if (status.code() != Code::kResourceExhausted || !status.kind().empty()) return status;
  return std::move(status).with_kind("barn.no_space").with_hint("make space on this member's disk, and put it again");
}

}  // namespace

// What both directions have in common, on the loop: a place among those that are open, and a number among the calls.
// Deletes itself when gRPC has done with it.
template <typename Reactor>
class ChunkCalls::Stream : public Reactor {
 public:
  // `what` is said of one that was cancelled.
  Stream(ChunkCalls& owner, size_t& open, size_t limit, const char* what)
      : owner_(owner), alive_(owner.calls_.alive()), what_(what), open_(open), limit_(limit) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void OnCancel() final {
    owner_.loop_.post([this] {
      if (!over()) answer(cancelled("the {} was cancelled", what_));
    });
  }
  void OnDone() final {
    owner_.loop_.post([this] {
      gone();
      delete this;
    });
  }

 protected:
  ~Stream() override = default;

  // In a constructor: nothing is to be done for this caller.
  void refuse(const Status& status) {
    finished_ = true;
    this->Finish(to_grpc(status));
  }
  void begin_later(const grpc::CallbackServerContext& context, std::function<void()> work) {
    owner_.loop_.post([this, deadline = deadline_nanos(context), work = std::move(work)] { begin(deadline, work); });
  }
  bool over() const { return finished_ || !*alive_; }
  // As what OpenCalls make of it.
  void answer(Status status) { owner_.calls_.finish(id_, std::move(status)); }

  ChunkCalls& owner_;
  const std::shared_ptr<bool> alive_;
  const std::shared_ptr<bool> here_ = std::make_shared<bool>(true);
  bool finished_ = false;

 private:
  // A chunk's call is never UNKNOWN, so it is none of the writes.
  void begin(int64_t deadline, const std::function<void()>& work) {
    if (!*alive_) return finish(stopping(false));
    if (owner_.chunks_ == nullptr)
      return finish(Status(Code::kUnimplemented, "this member keeps no chunks").with_kind("barn.chunk.none"));
    if (open_ >= limit_) {
      return finish(resource_exhausted("{} chunks are under way here, and that is the limit", open_)
                        .with_kind("barn.busy")
                        .with_hint("try again a little later"));
    }
    ++open_;
    counted_ = true;
    id_ = owner_.calls_.begin(false, deadline, [this, here = here_](const Status& status) {
      if (*here) finish(status);
    });
    work();
  }
  // The last of it, in a task of the loop behind all others.
  void gone() {
    if (*alive_) {
      if (counted_) --open_;
      owner_.calls_.close(id_);
    }
    *here_ = false;
  }
  void finish(const Status& status) {
    if (!std::exchange(finished_, true)) this->Finish(to_grpc(status));
  }

  const char* const what_;
  size_t& open_;
  const size_t limit_;
  uint64_t id_ = 0;
  bool counted_ = false;
};

// One read is under way at a time. Between its start and the task that takes note of its end, what was gathered belongs
// to gRPC's thread, which hashes it; otherwise to the loop.
class ChunkCalls::Upload final : public Stream<grpc::ServerReadReactor<v1::PutChunkRequest>> {
 public:
  Upload(ChunkCalls& owner, grpc::CallbackServerContext* context, const Status& refused, v1::PutChunkResponse* response)
      : Stream(owner, owner.puts_, owner.limits_.puts, "upload"), response_(response) {
    if (!refused.ok()) {
      owner.calls_.note_refused();
      refuse(refused);
      return;
    }
    begin_later(*context, [this] { ask_leader(); });
  }

  void OnReadDone(bool ok) override {
    const Status taken = ok ? take() : Status();
    owner_.loop_.post([this, ok, taken] {
      if (over()) return;
      if (!taken.ok()) return answer(taken);
      if (!ok) return answer(cancelled("the upload ended after {} of {} bytes", bytes_.size(), reference_.size));
      if (bytes_.size() < reference_.size) return StartRead(&request_);
      put();
    });
  }

 private:
  // Whoever leads puts the chunk itself: then a reference to it can be proposed without putting it once more.
  void ask_leader() {
    owner_.replica_.read([this, alive = alive_, here = here_](const Status& leads) {
      if (!*alive || !*here || finished_) return;
      if (!leads.ok()) return answer(leads);
      StartRead(&request_);
    });
  }
  Status take() {
    if (!begun_) {
      begun_ = true;
      reference_ = RUNINK_TRY(reference_of(request_.hash(), request_.size()));
      bytes_.reserve(reference_.size);
    }
    const std::string& piece = request_.data();
    if (piece.size() > kChunkPieceBytes)
      return invalid_argument("a piece of {} bytes; {} are the most", piece.size(), kChunkPieceBytes);
    if (piece.size() > reference_.size - bytes_.size())
      return invalid_argument("more than the {} bytes that the chunk was said to have", reference_.size);
    if (piece.empty() && bytes_.size() < reference_.size) return invalid_argument("an empty piece of a chunk");
    sha_.update(piece);
    bytes_ += piece;
    if (bytes_.size() < reference_.size || sha_.finish() == reference_.hash) return {};
    return invalid_argument("the chunk is not what its hash says").with_kind("barn.chunk.wrong_hash");
  }
  void put() {
    owner_.chunks_->put(std::move(bytes_), [this, alive = alive_, here = here_](Result<barn::ChunkReference> stored) {
      if (!*alive || !*here || finished_) return;
      if (!stored.ok()) return answer(no_room(stored.status()));
      response_->set_hash(stored->hash.data(), stored->hash.size());
      response_->set_size(stored->size);
      answer(Status());
    });
  }

  v1::PutChunkResponse* const response_;
  v1::PutChunkRequest request_;
  bool begun_ = false;
  barn::ChunkReference reference_;
  crypto::Sha256 sha_;
  std::string bytes_;
};

class ChunkCalls::Download final : public Stream<grpc::ServerWriteReactor<v1::GetChunkPiece>> {
 public:
  Download(ChunkCalls& owner, grpc::CallbackServerContext* context, const Status& refused,
           const v1::GetChunkRequest* request)
      : Stream(owner, owner.gets_, owner.limits_.gets, "download") {
    Status status = refused;
    if (!status.ok()) owner.calls_.note_refused();
    if (status.ok()) {
      auto reference = reference_of(request->hash(), request->size());
      reference.ok() ? void(reference_ = *reference) : void(status = reference.status());
    }
    status.ok() ? begin_later(*context, [this] { get(); }) : refuse(status);
  }
  void OnWriteDone(bool ok) override {
    owner_.loop_.post([this, ok] {
      if (over()) return;
      if (!ok) return answer(unavailable("the stream broke"));
      next();
    });
  }

 private:
  void get() {
    owner_.chunks_->get(reference_, [this, alive = alive_, here = here_](Result<std::string> bytes) {
      if (!*alive || !*here || finished_) return;
      if (bytes.ok() && bytes->size() != reference_.size)
        bytes =
            not_found("chunk {} has {} bytes, not {}", crypto::hex(reference_.hash), bytes->size(), reference_.size);
      if (bytes.status().code() == Code::kNotFound)
        return answer(std::move(bytes).status().with_kind("barn.chunk.unknown"));
      if (!bytes.ok()) return answer(bytes.status());
      bytes_ = std::move(*bytes);
      next();
    });
  }
  void next() {
    if (given_ == bytes_.size()) return answer(Status());
    piece_.set_data(bytes_.data() + given_, std::min(kChunkPieceBytes, bytes_.size() - given_));
    given_ += piece_.data().size();
    StartWrite(&piece_);
  }

  barn::ChunkReference reference_;
  std::string bytes_;
  size_t given_ = 0;
  v1::GetChunkPiece piece_;
};

grpc::ServerReadReactor<v1::PutChunkRequest>* ChunkCalls::put(grpc::CallbackServerContext* context,
                                                              const Status& refused, v1::PutChunkResponse* response) {
  return new Upload(*this, context, refused, response);
}
grpc::ServerWriteReactor<v1::GetChunkPiece>* ChunkCalls::get(grpc::CallbackServerContext* context,
                                                             const Status& refused,
                                                             const v1::GetChunkRequest* request) {
  return new Download(*this, context, refused, request);
}

}  // namespace runink::api
