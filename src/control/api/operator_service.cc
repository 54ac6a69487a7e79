#include "control/api/operator_service.h"

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "control/api/calls.h"
#include "runink/barn/v1/cluster.grpc.pb.h"

namespace runink::api {

namespace {

namespace v1 = barn::v1;
using Export = std::function<Result<barn::DumpInfo>(const barn::ByteSink&)>;

class BackupStream;

class Service final : public OperatorService, public v1::Operator::CallbackService {
 public:
  Service(net::EventLoop& loop, std::string trust_domain, OperatorHandlers handlers,
          std::function<std::string(uint64_t)> api_address)
      : loop_(loop),
        trust_domain_(std::move(trust_domain)),
        handlers_(std::move(handlers)),
        api_address_(std::move(api_address)),
        calls_(loop, [this](runink::Status status) { return with_leader(std::move(status)); }) {}
  ~Service() override { end(); }
  grpc::Service* service() override { return this; }
  void end() override;

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context, const v1::StatusRequest*,
                                   v1::StatusResponse* response) override {
    return call<v1::StatusResponse>(context, false, response, [this](auto done) { handlers_.status(std::move(done)); });
  }
  grpc::ServerUnaryReactor* Directory(grpc::CallbackServerContext* context, const v1::DirectoryRequest*,
                                      v1::DirectoryResponse* response) override {
    return call<v1::DirectoryResponse>(
        context, false, response, [this](auto done) { handlers_.directory(std::move(done)); }, crypto::Role::kBarn);
  }
  grpc::ServerUnaryReactor* Members(grpc::CallbackServerContext* context, const v1::MembersRequest*,
                                    v1::MembersResponse* response) override {
    return call<v1::MembersResponse>(context, false, response,
                                     [this](auto done) { handlers_.members(std::move(done)); });
  }
  grpc::ServerUnaryReactor* AddMember(grpc::CallbackServerContext* context, const v1::AddMemberRequest* request,
                                      v1::AddMemberResponse* response) override {
    return call<v1::AddMemberResponse>(context, true, response,
                                       [this, request](auto done) { handlers_.add_member(*request, std::move(done)); });
  }
  grpc::ServerUnaryReactor* RemoveMember(grpc::CallbackServerContext* context, const v1::RemoveMemberRequest* request,
                                         v1::ChangeResponse* response) override {
    return call<v1::ChangeResponse>(context, true, response, [this, request](auto done) {
      handlers_.remove_member(request->node(), std::move(done));
    });
  }
  grpc::ServerUnaryReactor* PromoteMember(grpc::CallbackServerContext* context, const v1::PromoteMemberRequest* request,
                                          v1::ChangeResponse* response) override {
    return call<v1::ChangeResponse>(context, true, response, [this, request](auto done) {
      handlers_.promote_member(request->node(), std::move(done));
    });
  }
  grpc::ServerUnaryReactor* TransferLeadership(grpc::CallbackServerContext* context, const v1::TransferRequest* request,
                                               v1::TransferResponse* response) override {
    return call<v1::TransferResponse>(
        context, true, response, [this, request](auto done) { handlers_.transfer(request->node(), std::move(done)); });
  }
  grpc::ServerUnaryReactor* TakeSnapshot(grpc::CallbackServerContext* context, const v1::SnapshotRequest*,
                                         v1::SnapshotResponse* response) override {
    return call<v1::SnapshotResponse>(context, true, response,
                                      [this](auto done) { handlers_.snapshot(std::move(done)); });
  }
  grpc::ServerWriteReactor<v1::BackupPiece>* Backup(grpc::CallbackServerContext* context,
                                                    const v1::BackupRequest*) override;

  // The operator, and whoever has the other role.
  runink::Status may_call(const grpc::CallbackServerContext& context, crypto::Role also = crypto::Role::kUser) const {
    const Result<crypto::Identity> who = caller(context, trust_domain_);
    RUNINK_RETURN_IF_ERROR(status_of(Result<crypto::Identity>(who)));
    if (who->role == crypto::Role::kUser && who->name == kOperator) return {};
    if (also != crypto::Role::kUser && who->role == also) return {};
    return permission_denied("{} may not do this: only the user {} may", who->uri(), kOperator);
  }
  net::EventLoop& loop() { return loop_; }
  OpenCalls& calls() { return calls_; }
  const OperatorHandlers& handlers() const { return handlers_; }
  void adopt(BackupStream* stream) {
    const std::lock_guard lock(mutex_);
    streams_.insert(stream);
  }
  void drop(BackupStream* stream) {
    const std::lock_guard lock(mutex_);
    streams_.erase(stream);
  }

 private:
  template <typename Response>
  grpc::ServerUnaryReactor* call(grpc::CallbackServerContext* context, bool write, Response* response,
                                 std::function<void(OperatorHandlers::Done<Response>)> work,
                                 crypto::Role also = crypto::Role::kUser) {
    if (const runink::Status refused = may_call(*context, also); !refused.ok()) return calls_.refuse(context, refused);
    return calls_.start(context, write, [this, response, work = std::move(work)](uint64_t id) {
      work([this, alive = calls_.alive(), response, id](Result<Response> answer) {
        if (!*alive || !calls_.is_open(id)) return;
        if (answer.ok()) response->Swap(&*answer);
        calls_.finish(id, answer.ok() ? runink::Status() : answer.status());
      });
    });
  }
  runink::Status with_leader(runink::Status status) const {
    if (status.kind() != "barn.not_leader" || status.details().size() != 1) return status;
    const std::string address = api_address_(std::strtoull(status.details()[0].c_str(), nullptr, 10));
    return address.empty() ? std::move(status) : std::move(status).with_detail(address);
  }

  net::EventLoop& loop_;
  const std::string trust_domain_;
  const OperatorHandlers handlers_;
  const std::function<std::string(uint64_t)> api_address_;
  OpenCalls calls_;
  std::mutex mutex_;
  std::set<BackupStream*> streams_;
};

// One backup on its way out: a thread writes the dump, piece by piece as gRPC takes them, and waits in between.
class BackupStream final : public grpc::ServerWriteReactor<v1::BackupPiece> {
 public:
  BackupStream(Service& service, const runink::Status& refused) : service_(service) {
    if (!refused.ok()) {
      service.calls().note_refused();
      Finish(to_grpc(refused));
      return;
    }
    service_.adopt(this);
    adopted_ = true;
    service_.loop().post([this, alive = service_.calls().alive()] {
      if (!*alive) return Finish(to_grpc(stopping(false)));
      // The handler may never answer (its member has failed), and this be gone when it does.
      waiting_ = std::make_shared<bool>(true);
      service_.handlers().backup([this, alive, waiting = waiting_](Result<Export> write) {
        if (!*alive || !std::exchange(*waiting, false)) return;
        if (!write.ok()) return Finish(to_grpc(service_.calls().dressed(write.status())));
        // Once it runs, nothing here is touched any more: it ends the call, which may be gone at once.
        std::thread([this, write = std::move(*write)]() mutable { run(std::move(write)); }).detach();
      });
    });
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    broken_ = broken_ || !ok;
    changed_.notify_all();
  }
  void OnCancel() override { stop(); }
  void stop() {
    const std::lock_guard lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }
  // On the loop, when the service ends: whether nobody but this has to end the call, and doing so.
  bool waits() const { return waiting_ && *waiting_; }
  void give_up() {
    *waiting_ = false;
    Finish(to_grpc(stopping(false)));
  }
  // May come on the writing thread itself.
  void OnDone() override {
    if (adopted_) service_.drop(this);
    delete this;
  }

 private:
  void run(Export write) {
    const Result<barn::DumpInfo> info = write([this](std::string_view bytes) { return send(bytes); });
    runink::Status status = status_of(Result<barn::DumpInfo>(info));
    if (status.ok()) status = flush();
    write = nullptr;  // with the state that it holds: nothing of this is left when the call has ended
    Finish(to_grpc(status));
  }
  runink::Status send(std::string_view bytes) {
    gathered_.append(bytes);
    return gathered_.size() < kPieceBytes ? runink::Status() : flush();
  }
  runink::Status flush() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !writing_ || broken_; });
    if (broken_) return cancelled("the backup was given up by its reader");
    piece_.set_data(std::exchange(gathered_, {}));
    writing_ = true;
    lock.unlock();
    StartWrite(&piece_);
    lock.lock();
    changed_.wait(lock, [this] { return !writing_ || broken_; });
    return broken_ ? cancelled("the backup was given up by its reader") : runink::Status();
  }

  static constexpr size_t kPieceBytes = 256 << 10;
  Service& service_;
  bool adopted_ = false;
  std::shared_ptr<bool> waiting_;  // the loop's: for what writes the dump
  std::string gathered_;
  v1::BackupPiece piece_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool writing_ = false, broken_ = false;
};

grpc::ServerWriteReactor<v1::BackupPiece>* Service::Backup(grpc::CallbackServerContext* context,
                                                           const v1::BackupRequest*) {
  return new BackupStream(*this, may_call(*context));
}

void Service::end() {
  if (!*calls_.alive()) return;
  calls_.end();
  std::vector<BackupStream*> waiting;
  {
    const std::lock_guard lock(mutex_);
    for (BackupStream* stream : streams_) {
      stream->stop();
      if (stream->waits()) waiting.push_back(stream);
    }
  }
  for (BackupStream* stream : waiting) stream->give_up();
}

}  // namespace

std::unique_ptr<OperatorService> OperatorService::create(net::EventLoop& loop, std::string trust_domain,
                                                         OperatorHandlers handlers,
                                                         std::function<std::string(uint64_t)> api_address) {
  return std::make_unique<Service>(loop, std::move(trust_domain), std::move(handlers), std::move(api_address));
}

}  // namespace runink::api
