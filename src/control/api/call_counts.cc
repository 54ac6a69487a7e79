#include "control/api/call_counts.h"

#include <grpcpp/support/interceptor.h>
#include <grpcpp/support/server_interceptor.h>

namespace runink::api {
namespace {

namespace experimental = grpc::experimental;

constexpr size_t kMaxMethods = 64;  // they are those of the services; a stranger's words are not

class Interceptor final : public experimental::Interceptor {
 public:
  explicit Interceptor(CallCounts::Cell* cell) : cell_(cell) {}
  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(experimental::InterceptionHookPoints::PRE_SEND_STATUS)) {
      const auto code = static_cast<size_t>(methods->GetSendStatus().error_code());
      (*cell_)[code < kCodes ? code : 2].fetch_add(1, std::memory_order_relaxed);  // 2: UNKNOWN
    }
    methods->Proceed();
  }

 private:
  CallCounts::Cell* const cell_;
};

class Factory final : public experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(std::shared_ptr<CallCounts> counts) : counts_(std::move(counts)) {}
  experimental::Interceptor* CreateServerInterceptor(experimental::ServerRpcInfo* info) override {
    return new Interceptor(counts_->of(info->method() == nullptr ? "" : info->method()));
  }

 private:
  const std::shared_ptr<CallCounts> counts_;
};

}  // namespace

CallCounts::Cell* CallCounts::of(std::string_view method) {
  const size_t slash = method.rfind('/');
  const size_t dot = slash == std::string_view::npos ? slash : method.rfind('.', slash);
  if (dot != std::string_view::npos) method.remove_prefix(dot + 1);
  const std::lock_guard lock(mutex_);
  const auto found = cells_.find(method);
  if (found != cells_.end()) return &found->second;
  if (cells_.size() >= kMaxMethods) method = "other";
  return &cells_[std::string(method)];
}

std::map<std::string, ByCode> CallCounts::get() const {
  std::map<std::string, ByCode> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [method, cell] : cells_) {
    ByCode& counts = out[method];
    for (size_t code = 0; code < kCodes; ++code) counts[code] = cell[code].load(std::memory_order_relaxed);
  }
  return out;
}

std::unique_ptr<experimental::ServerInterceptorFactoryInterface> CallCounts::interceptor(
    std::shared_ptr<CallCounts> counts) {
  return std::make_unique<Factory>(std::move(counts));
}

}  // namespace runink::api
