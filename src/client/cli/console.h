// Where a command writes: standard output for what was asked for, standard error for everything said about it.
//
// A Console is made once by main (or by a test, over strings) and handed to each command through its Invocation. Text
// that comes from data or file names must pass escape_control() (base/text.h) before it is written; Renderer does so.
// Not thread-safe, except that a Progress may be drawn from its own thread (progress.h takes care of that).
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "base/status.h"

namespace runink::cli {

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kBlue, kCyan };

class Console {
 public:
  // Looks at the two streams of this process: terminal or not, width, NO_COLOR, TERM.
  static Console of_process();
  // Over streams of the caller's; no terminal, no colour, 80 columns.
  Console(std::FILE* out, std::FILE* err);

  // To standard output / standard error, exactly as given.
  void out(std::string_view text);
  void err(std::string_view text);
  // One line of news to standard error ("running on this machine"), unless --quiet.
  void say(std::string_view line);
  // "warning: …" to standard error, also with --quiet.
  void warn(std::string_view line);
  // The whole story of an error: "error: message", each context, details as they are, "help: hint", and the kind.
  void print_error(const Status& status);

  // The text with the style's escape codes where colour is on for that stream; the text alone elsewhere.
  std::string out_styled(Style style, std::string_view text) const;
  std::string err_styled(Style style, std::string_view text) const;

  bool quiet() const { return quiet_; }
  void set_quiet(bool quiet) { quiet_ = quiet; }
  // "auto", "always" or "never".
  void set_colour(std::string_view mode);

  bool out_is_terminal() const { return out_is_terminal_; }
  bool err_is_terminal() const { return err_is_terminal_; }
  bool out_colour() const { return out_colour_; }
  bool err_colour() const { return err_colour_; }
  int out_width() const { return out_width_; }  // columns
  int err_width() const { return err_width_; }
  std::FILE* out_stream() const { return out_; }
  std::FILE* err_stream() const { return err_; }

  // Flushes standard output; an error where what was written could not get out (full disk, closed pipe).
  Status flush();

 private:
  std::FILE* out_;
  std::FILE* err_;
  bool out_is_terminal_ = false, err_is_terminal_ = false;
  bool out_colour_ = false, err_colour_ = false;
  int out_width_ = 80, err_width_ = 80;
  bool quiet_ = false;
  int out_error_ = 0;  // errno of the first write that out() could not do
};

}  // namespace runink::cli
