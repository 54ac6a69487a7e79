// What nothing can be faster than, measured in the same run: what the kernel alone takes.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace runink::bench {

// Done within the time by one process for each processor, all of them together, a second.

// A process in all seven new namespaces that ends at once, reaped; its namespaces are gone before the next is made, as
// far as the kernel has it so.
Result<double> namespaces_per_second(int64_t nanos);
// posix_spawn of the program, reaped.
Result<double> spawns_per_second(const std::string& program, int64_t nanos);

}  // namespace runink::bench
