#include "data/dsl/sentence_pattern.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/check.h"
#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/sentence_slots.h"

namespace runink::dsl {
namespace {

constexpr size_t kLongestWord = 24;

uint64_t word_bit(std::string_view lower) {
  uint64_t h = 1469598103934665603ull;
  for (const unsigned char c : lower) h = (h ^ c) * 1099511628211ull;
  return uint64_t{1} << ((h ^ (h >> 29)) & 63);
}

bool is_word_byte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80); }

// For each position that opens a quote or bracket which is closed later, the position of what closes it; else 0.
std::vector<uint32_t> find_closers(std::string_view text) {
  std::vector<uint32_t> closer(text.size(), 0);
  std::vector<uint32_t> open;  // brackets
  size_t dead[128] = {};       // a quote character that was not closed from here on: no need to look again
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool apostrophe = c == '\'' && i > 0 && is_word_byte(text[i - 1]);
    if ((c == '"' || c == '`' || (c == '\'' && !apostrophe)) && dead[static_cast<int>(c)] == 0) {
      size_t j = i + 1;
      while (j < text.size() && text[j] != c) j += (text[j] == '\\' && c != '`') ? 2 : 1;
      if (j < text.size()) {
        closer[i] = static_cast<uint32_t>(j);
        i = j;
      } else {
        dead[static_cast<int>(c)] = 1;
      }
    } else if (c == '(' || c == '[') {
      open.push_back(static_cast<uint32_t>(i));
    } else if (c == ')' || c == ']') {
      const char wanted = c == ')' ? '(' : '[';
      if (!open.empty() && text[open.back()] == wanted) {
        closer[open.back()] = static_cast<uint32_t>(i);
        open.pop_back();
      }
    }
  }
  return closer;
}

}  // namespace

SentenceText split_sentence(std::string_view text) {
  SentenceText out;
  text = trim(text);
  if (text.size() > 1 && text.back() == ':') text = trim(text.substr(0, text.size() - 1));
  out.text = text;
  const std::vector<uint32_t> closer = find_closers(text);
  size_t i = 0;
  while (i < text.size()) {
    if (std::isspace(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    const size_t start = i;
    while (i < text.size() && !std::isspace(static_cast<unsigned char>(text[i]))) {
      i = closer[i] != 0 ? closer[i] + 1 : i + 1;
    }
    i = std::min(i, text.size());
    SentenceText::Word word;
    word.text = text.substr(start, i - start);
    word.plain =
        word.text.size() > 1 && word.text.back() == ',' ? word.text.substr(0, word.text.size() - 1) : word.text;
    if (word.plain.size() <= kLongestWord) word.lower = to_lower_ascii(word.plain);
    word.offset = start;
    if (!word.lower.empty()) out.word_mask |= word_bit(word.lower);
    out.words.push_back(std::move(word));
  }
  return out;
}

// ---- patterns -----------------------------------------------------------------------------------------------------

namespace {

SlotKind slot_kind(std::string_view word) {
  static const std::map<std::string_view, SlotKind> kKinds = {
      {"noun", SlotKind::kNoun},
      {"rest", SlotKind::kRest},
      {"field", SlotKind::kField},
      {"fields", SlotKind::kFields},
      {"expression", SlotKind::kExpression},
      {"string", SlotKind::kString},
      {"strings", SlotKind::kStrings},
      {"name", SlotKind::kName},
      {"count", SlotKind::kCount},
      {"number", SlotKind::kNumber},
      {"percent", SlotKind::kPercent},
      {"type", SlotKind::kType},
      {"keys", SlotKind::kKeys},
      {"pairs", SlotKind::kPairs},
      {"terms", SlotKind::kTerms},
  };
  const auto it = kKinds.find(word);
  RUNINK_CHECK(it != kKinds.end());
  return it->second;
}

using Readings = std::vector<std::vector<PatternElement>>;

// All patterns are read at every start of the program, so nothing is copied that can be moved.
Readings product(Readings left, const Readings& right) {
  constexpr size_t kUsualElements = 16;
  Readings out;
  out.reserve(left.size() * right.size());
  for (auto& a : left) {
    for (size_t b = 0; b < right.size(); ++b) {
      std::vector<PatternElement> reading;
      if (b + 1 == right.size()) {
        reading = std::move(a);
      } else {
        reading.reserve(std::max(kUsualElements, a.size() + right[b].size()));
        reading.assign(a.begin(), a.end());
      }
      reading.insert(reading.end(), right[b].begin(), right[b].end());
      out.push_back(std::move(reading));
    }
  }
  return out;
}

// Reads until `end` ("" at the top, "|]" or "|)" inside); leaves `at` on the ending character.
Readings read_pattern(std::string_view p, size_t* at, std::string_view end) {
  Readings out = {{}};
  while (*at < p.size() && end.find(p[*at]) == std::string_view::npos) {
    const char c = p[*at];
    if (c == ' ') {
      ++*at;
    } else if (c == '[' || c == '(') {
      Readings inner;
      do {
        ++*at;
        for (auto& r : read_pattern(p, at, c == '[' ? "|]" : "|)")) inner.push_back(std::move(r));
      } while (p[*at] == '|');
      if (c == '[') inner.push_back({});
      out = product(std::move(out), inner);
      ++*at;
    } else if (c == '{') {
      const size_t close = p.find('}', *at);
      RUNINK_CHECK(close != std::string_view::npos);
      const std::string_view slot = p.substr(*at + 1, close - *at - 1);
      const size_t colon = slot.find(':');
      PatternElement element;
      element.is_slot = true;
      element.word = std::string(slot.substr(0, colon));
      element.kind = colon == std::string_view::npos ? SlotKind::kNoun : slot_kind(slot.substr(colon + 1));
      for (auto& r : out) r.push_back(element);
      *at = close + 1;
    } else {
      const size_t start = *at;
      while (*at < p.size() && std::string_view(" [](){}|").find(p[*at]) == std::string_view::npos) ++*at;
      RUNINK_CHECK(*at > start);
      PatternElement element;
      element.word = to_lower_ascii(p.substr(start, *at - start));
      for (auto& r : out) r.push_back(element);
    }
  }
  RUNINK_CHECK(end.empty() || *at < p.size());
  return out;
}

}  // namespace

void flatten_pattern(std::string_view pattern, size_t owner, size_t index, std::vector<FlatPattern>* out) {
  size_t at = 0;
  for (auto& elements : read_pattern(pattern, &at, "")) {
    FlatPattern flat;
    flat.owner = owner;
    flat.pattern = index;
    for (const auto& e : elements) {
      if (e.is_slot) continue;
      flat.word_mask |= word_bit(e.word);
      ++flat.fixed_words;
    }
    flat.elements = std::move(elements);
    out->push_back(std::move(flat));
  }
}

// ---- matching -----------------------------------------------------------------------------------------------------

namespace {

// Backtracking over (element, word), each pair tried at most once: a pair that failed is remembered.
class Matcher {
 public:
  Matcher(const FlatPattern& pattern, const SentenceText& text)
      : pattern_(pattern), text_(text), ends_(pattern.elements.size(), 0) {}

  bool run() { return match(0, 0); }

  std::optional<std::vector<Capture>> captures() const {
    std::vector<Capture> out;
    size_t begin = 0;
    for (size_t e = 0; e < pattern_.elements.size(); ++e) {
      const PatternElement& element = pattern_.elements[e];
      if (element.is_slot) {
        Capture capture;
        if (!read_slot(element, text_, begin, ends_[e], &capture)) return std::nullopt;
        out.push_back(std::move(capture));
      }
      begin = ends_[e];
    }
    return out;
  }

 private:
  bool match(size_t e, size_t w) {
    const auto& elements = pattern_.elements;
    const size_t words = text_.words.size();
    if (e == elements.size()) return w == words;
    if (w >= words) return false;
    const PatternElement& element = elements[e];
    if (!element.is_slot) {
      if (text_.words[w].lower != element.word) return false;
      ends_[e] = w + 1;
      return match(e + 1, w + 1);
    }
    const size_t key = e * (words + 1) + w;
    if (!failed_.empty() && failed_[key]) return false;
    const auto [least, most] = slot_words(element.kind);
    const bool last = e + 1 == elements.size();
    const size_t furthest = std::min(words, most == 0 ? words : w + most);
    for (size_t end = furthest; end >= w + least; --end) {
      if (last && end != words) break;  // the last slot takes all that is left
      if (!last && !elements[e + 1].is_slot && (end >= words || text_.words[end].lower != elements[e + 1].word))
        continue;
      if (!slot_accepts(element.kind, text_, w, end)) continue;
      ends_[e] = end;
      if (match(e + 1, end)) return true;
    }
    if (failed_.empty()) failed_.resize(elements.size() * (words + 1));
    failed_[key] = true;
    return false;
  }

  const FlatPattern& pattern_;
  const SentenceText& text_;
  std::vector<size_t> ends_;
  std::vector<bool> failed_;
};

}  // namespace

std::optional<std::vector<Capture>> match_pattern(const FlatPattern& pattern, const SentenceText& text) {
  if ((pattern.word_mask & ~text.word_mask) != 0) return std::nullopt;
  if (pattern.elements.size() > text.words.size()) return std::nullopt;
  Matcher matcher(pattern, text);
  if (!matcher.run()) return std::nullopt;
  return matcher.captures();
}

// ---- nearness -----------------------------------------------------------------------------------------------------

namespace {

// How unlike two words are, from 0 (equal) to 1.
class WordDistance {
 public:
  double operator()(const std::string& fixed, size_t word, const SentenceText& text) {
    auto& row = cache_[fixed];
    if (row.empty()) row.assign(text.words.size(), -1);
    double& cached = row[word];
    if (cached < 0) {
      const std::string& lower = text.words[word].lower;
      const size_t longer = std::max(fixed.size(), lower.size());
      cached = lower.empty()
                   ? 1
                   : std::min(1.0, static_cast<double>(edit_distance(fixed, lower)) / static_cast<double>(longer));
      if (cached > 0.5) cached = 1;
    }
    return cached;
  }

 private:
  std::unordered_map<std::string, std::vector<double>> cache_;
};

struct Alignment {
  double cost = 0;
  std::string reading;
};

// Cheapest way to turn the words of the text into the pattern: words are replaced, left out or added, slots take words.
Alignment align(const FlatPattern& pattern, const SentenceText& text, WordDistance& distance) {
  enum Move : uint8_t { kNone, kTake, kSkipElement, kSkipWord, kTakeMore };
  const size_t n = pattern.elements.size(), m = text.words.size();
  constexpr double kMissing = 1, kTooMany = 0.8, kSlotFirst = 0.02, kSlotMore = 0.06;
  std::vector<double> cost((n + 1) * (m + 1), 1e9);
  std::vector<Move> move((n + 1) * (m + 1), kNone);
  const auto at = [&](size_t e, size_t w) { return e * (m + 1) + w; };
  cost[0] = 0;
  for (size_t e = 0; e <= n; ++e) {
    for (size_t w = 0; w <= m; ++w) {
      const size_t here = at(e, w);
      const auto offer = [&](double c, Move mv) {
        if (c < cost[here]) {
          cost[here] = c;
          move[here] = mv;
        }
      };
      if (w > 0) offer(cost[at(e, w - 1)] + kTooMany, kSkipWord);
      if (e == 0) continue;
      const PatternElement& element = pattern.elements[e - 1];
      offer(cost[at(e - 1, w)] + kMissing, kSkipElement);
      if (w == 0) continue;
      if (!element.is_slot) {
        offer(cost[at(e - 1, w - 1)] + 1.2 * distance(element.word, w - 1, text), kTake);
      } else {
        offer(cost[at(e - 1, w - 1)] + kSlotFirst + slot_misfit(element.kind, text, w - 1, true), kTake);
        if (slot_words(element.kind).second == 1) continue;
        // A noun takes no words that bind others together.
        const bool more = element.kind != SlotKind::kNoun || slot_accepts(element.kind, text, w - 1, w);
        if (more) offer(cost[at(e, w - 1)] + kSlotMore + slot_misfit(element.kind, text, w - 1, false), kTakeMore);
      }
    }
  }
  Alignment out;
  out.cost = cost[at(n, m)] + 0.001 * static_cast<double>(n);
  std::vector<std::string> reversed;
  size_t e = n, w = m;
  // What was written may be how this pattern begins: then the words that follow there cost next to nothing.
  constexpr double kBeginning = 0.3, kNextWord = 0.01;
  size_t fixed = 0;
  for (size_t first = 1; first < n; ++first) {
    fixed += pattern.elements[first - 1].is_slot ? 0 : 1;
    const double begun = cost[at(first, m)];
    const double whole = begun + kBeginning + kNextWord * static_cast<double>(n - first);
    if (fixed == 0 || begun > kBeginning || whole >= out.cost) continue;
    out.cost = whole;
    e = first;
  }
  for (size_t i = n; i > e; --i) {
    const PatternElement& element = pattern.elements[i - 1];
    reversed.push_back(element.is_slot ? "{" + element.word + "}" : element.word);
  }
  while (e > 0 || w > 0) {
    const Move mv = move[at(e, w)];
    const PatternElement* element = e > 0 ? &pattern.elements[e - 1] : nullptr;
    switch (mv) {
      case kSkipWord:
        --w;
        break;
      case kSkipElement:
        reversed.push_back(element->is_slot ? "{" + element->word + "}" : element->word);
        --e;
        break;
      case kTakeMore:
        reversed.emplace_back(text.words[w - 1].text);
        --w;
        break;
      case kTake:
        if (!element->is_slot)
          reversed.push_back(element->word);
        else if (slot_accepts(element->kind, text, w - 1, w))
          reversed.emplace_back(text.words[w - 1].text);
        else
          reversed.push_back("{" + element->word + "}");
        --e;
        --w;
        break;
      case kNone:
        return out;
    }
  }
  for (auto it = reversed.rbegin(); it != reversed.rend(); ++it) {
    if (!out.reading.empty()) out.reading += ' ';
    out.reading += *it;
  }
  return out;
}

}  // namespace

std::vector<std::string> nearest_readings(const std::vector<FlatPattern>& patterns, const SentenceText& whole,
                                          size_t count) {
  SentenceText text = whole;
  if (text.words.size() > 40) text.words.resize(40);
  WordDistance distance;
  // The best reading of each sentence, so that three suggestions are three sentences.
  std::map<size_t, Alignment> best;
  for (const auto& pattern : patterns) {
    Alignment a = align(pattern, text, distance);
    const auto [it, added] = best.try_emplace(pattern.owner, a);
    if (!added && a.cost < it->second.cost) it->second = std::move(a);
  }
  std::vector<const Alignment*> ranked;
  for (const auto& [owner, a] : best) ranked.push_back(&a);
  std::stable_sort(ranked.begin(), ranked.end(), [](auto* a, auto* b) { return a->cost < b->cost; });
  std::vector<std::string> out;
  for (const Alignment* a : ranked) {
    if (out.size() == count) break;
    if (equals_ignore_case(a->reading, whole.text)) continue;  // what was written helps nobody
    if (std::find(out.begin(), out.end(), a->reading) == out.end()) out.push_back(a->reading);
  }
  return out;
}

}  // namespace runink::dsl
