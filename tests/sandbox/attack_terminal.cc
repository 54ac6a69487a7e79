// The caller's terminal (L16), which is descriptor 0: input typed into it, or taken as one's own.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>

#include "attack.h"

int main() {
  refuse_to_be_host_root();
  if (!isatty(0)) {
    std::puts("descriptor 0 is no terminal");
    return 2;
  }
  char letter = 'x';
  attempt("TIOCSTI", ioctl(0, TIOCSTI, &letter) == 0);
  attempt("TIOCSTI with high bits", syscall(SYS_ioctl, 0, TIOCSTI | 0x1'0000'0000UL, &letter) == 0);
  char code = 2;
  attempt("TIOCLINUX", ioctl(0, TIOCLINUX, &code) == 0);
  attempt("TIOCLINUX with high bits", syscall(SYS_ioctl, 0, TIOCLINUX | 0x1'0000'0000UL, &code) == 0);
  attempt("TIOCSCTTY", ioctl(0, TIOCSCTTY, 1) == 0);
  for (const char* path : {"/dev/tty", "/dev/ptmx", "/dev/pts/ptmx", "/dev/console", "/dev/tty0"}) {
    attempt(path, open(path, O_RDWR | O_NOCTTY | O_CLOEXEC) >= 0);
  }
  // A leader of a session without a terminal that opens one gets it, unless it is somebody's already.
  (void)!open("/proc/self/fd/0", O_RDWR | O_CLOEXEC);
  attempt("a controlling terminal", tcgetsid(0) == getsid(0));
  return verdict();
}
