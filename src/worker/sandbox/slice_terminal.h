// A slice's own terminal: a pty of a devpts instance that nobody else has. The caller's terminal never enters the
// slice; its other side (the master) leaves it, over a socket, to whoever asked for the slice.
//
//   TerminalChannel channel = RUNINK_TRY(make_terminal_channel());
//   start the slice with spec.terminal, and channel.theirs as its input, output and error
//   os::Fd master = RUNINK_TRY(receive_terminal(channel.ours));   // once the program runs
//
// See terminal_relay.h for what a caller at a terminal does with it.
#pragma once

#include "base/status.h"
#include "model/slice_spec.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

struct TerminalChannel {
  os::Fd ours, theirs;
};
Result<TerminalChannel> make_terminal_channel();

// What a started slice has sent: a terminal's master, close-on-exec. Does not wait: it was sent before the program ran.
Result<os::Fd> receive_terminal(const os::Fd& ours);

// For the process that becomes the program (see child.h for what it may not do), when it is its user already: whose the
// terminal then is. Opens one of that size, of the devpts at /dev/pts, and sends its master over `channel`. The
// terminal, close-on-exec, or minus an errno.
int open_slice_terminal(const model::SliceTerminal& size, int channel) noexcept;
// Makes it that of the session, which the caller leads. 0 or errno.
int take_slice_terminal(int terminal) noexcept;

}  // namespace runink::sandbox
