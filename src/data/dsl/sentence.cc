#include "data/dsl/sentence.h"

#include <algorithm>

#include "base/text.h"
#include "data/dsl/sentence_list.h"
#include "data/dsl/sentence_pattern.h"

namespace runink::dsl {
namespace {

template <typename Entry>
std::vector<FlatPattern> flatten(const std::vector<Entry>& entries) {
  std::vector<FlatPattern> out;
  for (size_t i = 0; i < entries.size(); ++i) {
    for (size_t p = 0; p < entries[i].patterns.size(); ++p) flatten_pattern(entries[i].patterns[p], i, p, &out);
  }
  // More fixed words first: the more particular reading wins. The sort is stable, so the earlier entry wins a tie.
  std::stable_sort(out.begin(), out.end(),
                   [](const FlatPattern& a, const FlatPattern& b) { return a.fixed_words > b.fixed_words; });
  return out;
}

const std::vector<FlatPattern>& sentence_patterns() {
  static const std::vector<FlatPattern> kPatterns = flatten(sentences());
  return kPatterns;
}

const std::vector<FlatPattern>& assertion_patterns() {
  static const std::vector<FlatPattern> kPatterns = flatten(assertion_sentences());
  return kPatterns;
}

// Offsets of captures count from the trimmed text; makes them count from the text given.
void shift(std::vector<Capture>* captures, size_t by) {
  for (Capture& c : *captures) {
    c.offset += by;
    for (auto& item : c.items) item.offset += by;
  }
}

const Capture* find_capture(const std::vector<Capture>& captures, std::string_view slot) {
  for (const Capture& c : captures) {
    if (c.slot == slot) return &c;
  }
  return nullptr;
}

}  // namespace

const std::vector<Sentence>& sentences() {
  static const std::vector<Sentence> kSentences = make_sentences();
  return kSentences;
}

const std::vector<AssertionSentence>& assertion_sentences() {
  static const std::vector<AssertionSentence> kSentences = make_assertion_sentences();
  return kSentences;
}

const Sentence* find_sentence(std::string_view name) {
  for (const Sentence& s : sentences()) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

std::string example_words(const Sentence& sentence) {
  for (const auto line : split(sentence.example, '\n')) {
    const std::string_view text = trim(line);
    if (text.empty() || text[0] == '@' || text[0] == '|') continue;
    return std::string(text.substr(text.find(' ') + 1));
  }
  return "";
}

std::string shown_pattern(std::string_view pattern) {
  std::string out;
  bool in_kind = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '{') in_kind = false;
    if (c == ':' && pattern.find('}', i) < pattern.find('{', i)) in_kind = true;
    if (c == '}') in_kind = false;
    if (!in_kind) out += c;
  }
  return out;
}

const Capture* BoundSentence::find(std::string_view slot) const { return find_capture(captures, slot); }
const Capture* BoundAssertion::find(std::string_view slot) const { return find_capture(captures, slot); }

std::optional<BoundSentence> bind_sentence(std::string_view text) {
  if (text.size() > kMaxSentenceBytes) return std::nullopt;
  const SentenceText split = split_sentence(text);
  for (const FlatPattern& pattern : sentence_patterns()) {
    auto captures = match_pattern(pattern, split);
    if (!captures) continue;
    shift(&*captures, static_cast<size_t>(split.text.data() - text.data()));
    return BoundSentence{&sentences()[pattern.owner], pattern.pattern, std::move(*captures)};
  }
  return std::nullopt;
}

std::vector<BoundSentence> bind_all(std::string_view text) {
  std::vector<BoundSentence> out;
  if (text.size() > kMaxSentenceBytes) return out;
  const SentenceText split = split_sentence(text);
  for (const FlatPattern& pattern : sentence_patterns()) {
    if (auto captures = match_pattern(pattern, split)) {
      out.push_back({&sentences()[pattern.owner], pattern.pattern, std::move(*captures)});
    }
  }
  return out;
}

std::vector<std::string> nearest_sentences(std::string_view text, size_t count) {
  return nearest_readings(sentence_patterns(), split_sentence(text.substr(0, 1000)), count);
}

std::optional<BoundAssertion> bind_assertion(std::string_view text) {
  if (text.size() > kMaxSentenceBytes) return std::nullopt;
  const SentenceText split = split_sentence(text);
  for (const FlatPattern& pattern : assertion_patterns()) {
    if (auto captures = match_pattern(pattern, split)) {
      return BoundAssertion{&assertion_sentences()[pattern.owner], std::move(*captures)};
    }
  }
  return std::nullopt;
}

std::vector<std::string> nearest_assertions(std::string_view text, size_t count) {
  return nearest_readings(assertion_patterns(), split_sentence(text.substr(0, 1000)), count);
}

}  // namespace runink::dsl
