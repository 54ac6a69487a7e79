#include "platform/os/terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string_view>

namespace runink::os {

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

int terminal_width(int descriptor, int otherwise) {
  if (const char* columns = ::getenv("COLUMNS")) {
    const int width = ::atoi(columns);
    if (width >= 10 && width <= 10'000) return width;
  }
  struct winsize size = {};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col >= 10) return size.ws_col;
  return otherwise;
}

bool is_dumb_terminal() {
  const char* term = ::getenv("TERM");
  return term != nullptr && std::string_view(term) == "dumb";
}

bool colour_wanted(int descriptor) {
  const char* no_color = ::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  if (is_dumb_terminal()) return false;
  return is_terminal(descriptor);
}

}  // namespace runink::os
