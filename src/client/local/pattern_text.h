// Texts that match a pattern, made from the pattern.
//
// Understands the usual part of RE2's syntax: literals, escapes (\d \w \s \x41 \pL …), classes, '.', groups (also named
// ones and flags), alternation, repetition. Anchors and word borders count as empty, so a text can fail the pattern:
// whoever needs certainty matches it. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "client/local/synth_random.h"

namespace runink::local {

class PatternText {
 public:
  // kInvalidArgument for syntax that is not understood, or is no pattern.
  static Result<PatternText> parse(std::string_view pattern);
  ~PatternText();
  PatternText(PatternText&&) noexcept;

  // Any text. Unbounded repetitions are kept short.
  void append(SynthRandom& random, std::string& out) const;

  struct Node;
  // Texts of one fixed shape: always the same branch, every repetition a fixed number of times, so that number and text
  // belong to each other one to one.
  class Form {
   public:
    uint64_t capacity() const { return capacity_; }  // how many there are; UINT64_MAX where it is more
    // Text number `index`, below capacity().
    void append_at(uint64_t index, std::string& out) const;

   private:
    friend class PatternText;
    std::shared_ptr<const Node> root_;
    std::vector<const Node*> classes_;
    uint64_t capacity_ = 1;
  };
  // The shortest form with at least so many texts of an allowed length (code points), else the one with the most; where
  // no length is allowed, one of another length.
  Form form(uint64_t at_least, uint64_t length_min = 0, uint64_t length_max = UINT64_MAX) const;

 private:
  explicit PatternText(std::shared_ptr<const Node> root);
  std::shared_ptr<const Node> root_;
  std::vector<const Node*> fixed_;  // the only form there is; empty where there are several
};

}  // namespace runink::local
