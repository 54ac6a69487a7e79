#include "client/cli/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "platform/os/terminal.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

const char* escape_of(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kBold:
      return "\x1b[1m";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kRed:
      return "\x1b[31m";
    case Style::kGreen:
      return "\x1b[32m";
    case Style::kYellow:
      return "\x1b[33m";
    case Style::kBlue:
      return "\x1b[34m";
    case Style::kCyan:
      return "\x1b[36m";
  }
  return "";
}

std::string styled(Style style, std::string_view text, bool colour) {
  if (!colour || style == Style::kPlain) return std::string(text);
  return fmt::format("{}{}\x1b[0m", escape_of(style), text);
}

// Text of several lines, every line after the first indented, so that a message never looks like two.
std::string indent_rest(std::string_view text, std::string_view indent) {
  std::string out;
  for (char c : text) {
    out += c;
    if (c == '\n') out += indent;
  }
  return out;
}

// Whether a detail is the rendered diagnostic of which the message is the short form: both begin with the same
// "file:line:column: ".
bool told_by_details(const Status& status) {
  size_t end = status.message().find(": ");
  if (end == std::string::npos) return false;
  const std::string start = status.message().substr(0, end) + ": error: ";
  for (const std::string& detail : status.details()) {
    if (detail.starts_with(start)) return true;
  }
  return false;
}

}  // namespace

Console::Console(std::FILE* out, std::FILE* err) : out_(out), err_(err) {}

Console Console::of_process() {
  Console console(stdout, stderr);
  console.out_is_terminal_ = os::is_terminal(STDOUT_FILENO);
  console.err_is_terminal_ = os::is_terminal(STDERR_FILENO);
  console.out_colour_ = os::colour_wanted(STDOUT_FILENO);
  console.err_colour_ = os::colour_wanted(STDERR_FILENO);
  if (console.out_is_terminal_) console.out_width_ = os::terminal_width(STDOUT_FILENO);
  if (console.err_is_terminal_) console.err_width_ = os::terminal_width(STDERR_FILENO);
  return console;
}

void Console::out(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), out_) < text.size() && out_error_ == 0) out_error_ = errno;
}

void Console::err(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), err_);
  std::fflush(err_);
}

void Console::say(std::string_view line) {
  if (!quiet_) err(std::string(line) + "\n");
}

void Console::warn(std::string_view line) {
  err(err_styled(Style::kYellow, "warning:") + " " + indent_rest(os::terminal_text(line), "  ") + "\n");
}

void Console::print_error(const Status& status) {
  if (status.ok()) return;
  // Diagnostics are whole stories of their own: the message would only repeat the first.
  std::string text;
  if (!told_by_details(status)) {
    text += err_styled(Style::kRed, "error:") + " " + indent_rest(escape_control(status.message(), true), "  ") + "\n";
  }
  for (const std::string& detail : status.details()) {
    text += os::terminal_text(detail) + (detail.ends_with('\n') ? "" : "\n");
  }
  for (const std::string& context : status.context()) {
    text += err_styled(Style::kDim, "  while:") + " " + escape_control(context) + "\n";
  }
  if (!status.hint().empty()) {
    text += err_styled(Style::kCyan, "  help:") + " " + indent_rest(os::terminal_text(status.hint()), "        ") + "\n";
  }
  if (!status.kind().empty() && status.kind() != "usage") {
    text += err_styled(Style::kDim, "  kind: " + status.kind()) + "\n";
  }
  err(text);
}

std::string Console::out_styled(Style style, std::string_view text) const { return styled(style, text, out_colour_); }
std::string Console::err_styled(Style style, std::string_view text) const { return styled(style, text, err_colour_); }

void Console::set_colour(std::string_view mode) {
  if (mode == "always") out_colour_ = err_colour_ = true;
  if (mode == "never") out_colour_ = err_colour_ = false;
}

Status Console::flush() {
  errno = 0;
  if (std::fflush(out_) != 0 || std::ferror(out_)) {
    const int now = errno ? errno : EIO;
    const int error = out_error_ != 0 ? out_error_ : now;  // the first: what fails later may have another reason
    out_error_ = 0;
    std::clearerr(out_);
    Status status = from_errno(error, "write to standard output");
    return error == EPIPE ? std::move(status).with_kind("output.closed") : status;
  }
  return {};
}

}  // namespace runink::cli
