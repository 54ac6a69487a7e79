// Diagnostics: what is wrong in a text that a user wrote, where, and what to do.
//
// Every parser and checker of user text (contracts, features, expressions, settings) reports through these types, so
// all of them look alike:
//
//   features/clean.dsl:12:9: error: no sentence matches "records are cheked against the contract"
//     12 |     When records are cheked against the contract
//        |          ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
//     help: did you mean "records are checked against the contract"?
//
// Lines and columns count from 1; a column counts code points, as editors show them. Spans are byte offsets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink {

// A user's text and the path by which the user knows it. Immutable; shared by whatever points into it.
class SourceText {
 public:
  SourceText(std::string path, std::string text);

  const std::string& path() const { return path_; }
  const std::string& text() const { return text_; }

  struct Position {
    uint32_t line = 1, column = 1;
  };
  Position position(size_t offset) const;           // offset may equal the size (end of text)
  std::string_view line(uint32_t number) const;      // without its line break; empty past the end
  size_t line_start(uint32_t number) const;          // byte offset
  uint32_t line_count() const { return static_cast<uint32_t>(line_starts_.size()); }

 private:
  std::string path_, text_;
  std::vector<size_t> line_starts_;
};
using SourceTextPtr = std::shared_ptr<const SourceText>;

struct Span {
  size_t offset = 0, length = 0;
};

// A place in a user's text that outlives the parser: kept in plans and events for later messages.
struct Location {
  std::string file;
  uint32_t line = 0, column = 0;  // 0: the whole file
  std::string to_string() const;  // "file:line:column"
};
Location locate(const SourceText& text, Span span);

enum class Severity { kError, kWarning, kHint };

struct Diagnostic {
  Severity severity = Severity::kError;
  std::string code;     // stable dotted kind, e.g. "dsl.unknown_sentence"
  Location location;
  std::string message;
  std::string line_text;      // the line itself; may be empty when there is none
  uint32_t underline = 0;     // code points to underline from the column on; 0: just a caret
  std::vector<std::string> help;

  std::string render() const;  // as in the drawing above, several lines, no trailing newline, control bytes escaped
};

// Gathers diagnostics while a parser or checker goes on after the first.
class Diagnostics {
 public:
  // Returned by reference so that help may be appended: `d.error(text, span, "expr.type", "…").help.push_back("…")`.
  Diagnostic& error(const SourceText& text, Span span, std::string code, std::string message);
  Diagnostic& warning(const SourceText& text, Span span, std::string code, std::string message);
  Diagnostic& hint(const SourceText& text, Span span, std::string code, std::string message);
  void add(Diagnostic diagnostic) { list_.push_back(std::move(diagnostic)); }
  void append(Diagnostics other);

  bool has_errors() const;
  size_t error_count() const;
  bool empty() const { return list_.empty(); }
  const std::vector<Diagnostic>& list() const { return list_; }
  std::string render() const;  // all, each ended by a newline

  // OK without errors; else kInvalidArgument with the first error as message ("file:line:col: …") and each rendered
  // diagnostic as a detail.
  Status to_status() const;

 private:
  Diagnostic& add(Severity severity, const SourceText& text, Span span, std::string code, std::string message);
  std::vector<Diagnostic> list_;
};

}  // namespace runink
