// The launcher: it owns slices from their first process to their last, and does what its owner asks (protocol.h).
//
// One thread, which waits for nothing but events: what takes time is done by the slices' own processes. Starts come
// first; slices for the pools are parked when there is nothing else to do.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::launcher {

struct ServerOptions {
  os::Fd owner;             // a connected socket
  std::string listen_path;  // for the next owner; empty: it ends with this one
  int64_t outlive_micros = 0;
};

// Serves until it is told to stop or has no owner any more; then ends all slices. An error is one of its beginning.
Status serve(ServerOptions options);

}  // namespace runink::launcher
