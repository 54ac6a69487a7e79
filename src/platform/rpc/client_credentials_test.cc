#include "platform/rpc/client_credentials.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <cstdlib>

namespace runink::rpc {
namespace {

// Threads of gRPC may use OpenSSL while exit() runs: it has to work to the last handler. (After OpenSSL's own cleanup
// it refuses to begin again.)
void leave_with_openssl_in_order() {
  // Registered before OpenSSL is used, so it runs after what OpenSSL registers.
  std::atexit([] { ::_exit(OPENSSL_init_crypto(0, nullptr) == 1 ? 7 : 1); });
  prepare_grpc();
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) ::_exit(2);
  std::exit(0);
}

TEST(PrepareGrpcDeathTest, OpensslWorksUntilTheProcessIsGone) {
  EXPECT_EXIT(leave_with_openssl_in_order(), testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace runink::rpc
