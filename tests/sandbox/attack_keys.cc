// Keys (L18): those of the session it was started from, of its user, and of the host.
//
// attack_keys DESCRIPTION: of a key of the type "user" in the caller's session keyring.
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack.h"

namespace {

long keyctl(int command, long a, const void* b = nullptr, const void* c = nullptr, long d = 0) {
  return syscall(SYS_keyctl, command, a, b, c, d);
}

}  // namespace

int main(int argc, char** argv) {
  refuse_to_be_host_root();
  if (argc < 2) return 2;
  for (const int ring : {KEY_SPEC_SESSION_KEYRING, KEY_SPEC_USER_KEYRING, KEY_SPEC_USER_SESSION_KEYRING,
                         KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_THREAD_KEYRING}) {
    const std::string name = "keyring " + std::to_string(ring);
    const long key = keyctl(KEYCTL_SEARCH, ring, "user", argv[1]);
    attempt("find the key in " + name, key > 0);
    char bytes[64];
    if (key > 0) attempt("read the key", keyctl(KEYCTL_READ, key, bytes, reinterpret_cast<void*>(sizeof bytes)) > 0);
    attempt("describe " + name, keyctl(KEYCTL_DESCRIBE, ring, bytes, reinterpret_cast<void*>(sizeof bytes)) > 0);
    attempt("add a key to " + name, syscall(SYS_add_key, "user", "attack", "x", 1, ring) > 0);
  }
  attempt("request the key", syscall(SYS_request_key, "user", argv[1], nullptr, 0) > 0);
  attempt("join a session keyring by name", keyctl(KEYCTL_JOIN_SESSION_KEYRING, reinterpret_cast<long>("_ses")) > 0);
  for (const char* path : {"/proc/keys", "/proc/key-users"}) attempt(path, access(path, R_OK) == 0);
  return verdict();
}
