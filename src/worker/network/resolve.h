// From the names of endpoints to their addresses, as this host knows them.
#pragma once

#include "base/status.h"
#include "model/slice_network.h"

namespace runink::network {

// Fills in the addresses of every endpoint that is a name: all of them, as getaddrinfo(3) tells them, each once. A name
// that has none is kNotFound, one that nobody answers for kUnavailable: such a slice is not to be started.
//
// May take as long as the host's resolver takes: not for a thread that has other work. Not for a static program, where
// the C library would load its resolver's parts at run time.
Status resolve(model::SliceNetwork* network);

}  // namespace runink::network
