// Between a caller at a terminal and a slice with a terminal of its own: what the caller types goes in, what the slice
// prints comes out, and the caller's terminal is only ever written to and read from here.
//
//   TerminalRelay relay;
//   spec.terminal = TerminalRelay::size_of_caller();
//   RUNINK_RETURN_IF_ERROR(relay.prepare());            // relay.slice_end() is the slice's input, output and error
//   … the slice starts …
//   RUNINK_RETURN_IF_ERROR(relay.begin(0, 1));
//   until the slice has ended: poll(relay.wait_for(), and what else there is); relay.move(…)
//   relay.finish(…)                                      // also done by the destructor, then without waiting
//
// The caller's terminal, where its input is one, is in raw mode from begin() to the end: Ctrl-C, Ctrl-Z and Ctrl-D are
// bytes like any others, and mean what they mean at the slice's own terminal. It gets back the settings it had.
#pragma once

#include <poll.h>
#include <termios.h>

#include <array>
#include <optional>
#include <string>

#include "base/status.h"
#include "model/slice_spec.h"
#include "platform/os/fd.h"
#include "worker/sandbox/slice_terminal.h"

namespace runink::sandbox {

// One thread. Not to be moved once begun.
class TerminalRelay {
 public:
  using Waits = std::array<struct pollfd, 3>;  // entries with a descriptor below 0 are not waited for

  TerminalRelay() = default;
  TerminalRelay(const TerminalRelay&) = delete;
  TerminalRelay& operator=(const TerminalRelay&) = delete;
  ~TerminalRelay();

  // Of the first of 0, 1 and 2 that is a terminal; else 24 by 80.
  static model::SliceTerminal size_of_caller();

  Status prepare();
  int slice_end() const { return channel_.theirs.get(); }
  // Once the slice's program runs. `input` and `output` are the caller's; either may be something else than a terminal.
  Status begin(int input, int output);
  bool begun() const { return master_.valid(); }

  Waits wait_for() const;
  void move(const Waits& ready);

  void resize();  // the caller's terminal has another size (SIGWINCH)
  void resume();  // the caller was stopped and goes on (SIGCONT): its shell has changed the terminal's settings

  // When the slice has ended: gives out what it printed last, then restores the caller's terminal. A reader that does
  // not take it is waited for until `interrupt` can be read (-1: not at all).
  void finish(int interrupt);

 private:
  void restore();
  void take_input();
  void end_input();
  void take_output();
  void give_input();
  void give_output();

  TerminalChannel channel_;
  os::Fd master_;
  os::Fd kept_;                    // the slice's side: while nobody there has it open, the master would not wait
  int input_ = -1, output_ = -1;   // the caller's; -1 once it has ended
  os::Fd own_input_, own_output_;  // the same files, opened again so as not to block; else the caller's are used
  int terminal_ = -1;              // the caller's input where it is a terminal
  std::optional<struct termios> before_;
  std::string to_slice_, to_caller_;
  char last_ = '\n';  // byte of the input
};

}  // namespace runink::sandbox
