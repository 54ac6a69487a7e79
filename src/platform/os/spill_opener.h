// Where spill files come from in a process that may not make files itself: a slice is handed them.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::os {

// Called for each os::SpillFile instead of making one in its folder: a nameless file, to be read and written, empty.
// Any thread, several at once.
using SpillOpener = std::function<Result<Fd>()>;

// Once, before any thread could make a spill file.
void set_spill_opener(SpillOpener opener);

}  // namespace runink::os
