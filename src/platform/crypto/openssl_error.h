// What OpenSSL's error queue of this thread says, in words. Taking it empties the queue.
#pragma once

#include <string>

namespace runink::crypto {

std::string take_openssl_error();  // "no reason given" where the queue is empty

}  // namespace runink::crypto
