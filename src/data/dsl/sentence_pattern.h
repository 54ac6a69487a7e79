// Patterns of sentences: compiled, matched against texts, ranked by nearness. Used by sentence.cc only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dsl/sentence.h"

namespace runink::dsl {

// A step's text cut at white space that stands outside quotes and brackets. A quote or bracket that is never closed is
// an ordinary character. Views point into the text given.
struct SentenceText {
  struct Word {
    std::string_view text;   // as written
    std::string_view plain;  // without a trailing comma
    std::string lower;       // of `plain`, ASCII; empty for words longer than any word of a pattern
    size_t offset = 0;
  };
  std::string_view text;
  std::vector<Word> words;
  uint64_t word_mask = 0;  // one bit per word's hash
};
SentenceText split_sentence(std::string_view text);

struct PatternElement {
  bool is_slot = false;
  std::string word;  // lower case; or the slot's name
  SlotKind kind = SlotKind::kRest;
};

// One way to read a pattern, without options and alternatives left.
struct FlatPattern {
  size_t owner = 0;    // index of the sentence
  size_t pattern = 0;  // index of its pattern
  std::vector<PatternElement> elements;
  uint64_t word_mask = 0;
  size_t fixed_words = 0;
};

// Appends all readings of `pattern`. The pattern language is in sentence.h; a malformed pattern aborts (it is code).
void flatten_pattern(std::string_view pattern, size_t owner, size_t index, std::vector<FlatPattern>* out);

std::optional<std::vector<Capture>> match_pattern(const FlatPattern& pattern, const SentenceText& text);

// Texts that the sentence may have meant, nearest first, each once.
std::vector<std::string> nearest_readings(const std::vector<FlatPattern>& patterns, const SentenceText& text,
                                          size_t count);

}  // namespace runink::dsl
