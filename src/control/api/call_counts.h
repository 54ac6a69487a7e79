// Counts every call of a gRPC server by its method and by the code that it was answered with, wherever in the server
// the answer came from. Threads: any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace grpc::experimental {
class ServerInterceptorFactoryInterface;
}

namespace runink::api {

inline constexpr size_t kCodes = 17;  // base/status.h
using ByCode = std::array<uint64_t, kCodes>;

class CallCounts {
 public:
  using Cell = std::array<std::atomic<uint64_t>, kCodes>;

  // "/runink.barn.v1.KeyValue/Put" is counted as "KeyValue/Put". Good for as long as this is.
  Cell* of(std::string_view method);
  std::map<std::string, ByCode> get() const;

  // For grpc::ServerBuilder; keeps `counts` alive.
  static std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> interceptor(
      std::shared_ptr<CallCounts> counts);

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Cell, std::less<>> cells_;
};

}  // namespace runink::api
