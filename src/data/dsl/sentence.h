// Sentences: the one registry of what a step may say.
//
// A sentence is an entry with a stable name and one or more patterns, the natural ways to say it. `runi steps` lists
// the registry, the compiler binds steps to it, lint and the guide quote it. Nothing is guessed: a text either matches
// exactly one sentence or is an error that names the nearest.
//
// Pattern language:
//   word              that word, ASCII case ignored               word,      a word with punctuation is one word
//   [a|b c]           one of these, or nothing                   (a|b c|d)  one of these
//   {name:kind}       a slot, see SlotKind; `{records}` is short for {records:noun}
// White space between words is any amount. A colon at the very end of a step's text is ignored.
//
// A slot of free text ends at the next fixed words of the pattern that stand outside quotes and brackets; the last such
// place is taken, so an expression may itself hold the word "on" or "to", and in quotes or brackets whatever it likes.
//
// Everything here is immutable after first use and safe from any thread. Binding takes time linear in the length of the
// text for each pattern tried; texts above kMaxSentenceBytes never match.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runink::dsl {

inline constexpr size_t kMaxSentenceBytes = 16384;

enum class SlotKind {
  kNoun,        // one to six bare words: "records", "the late flights", "flights of the year"
  kRest,        // words without quotes that mean nothing: "the feed"
  kField,       // route, billing.city, "route", `First name`
  kFields,      // route, "delay" and origin
  kExpression,  // text of an expression; parsed by the compiler
  kString,      // "…" (JSON-like escapes \" \\)
  kStrings,     // "a", "b" and "c"
  kName,        // a bare word or a string: a branch, an input
  kCount,       // 1000, 1,000, 1_000
  kNumber,      // 12, 12.5
  kPercent,     // 10%, 2.5 %
  kType,        // a type as in a contract: decimal(12,2)
  kKeys,        // delay descending, date (sort keys)
  kTerms,       // route and hour(date) as hour (expressions with names; a boolean `and` needs brackets)
  kPairs,       // a to b, c as d (renames)
};

enum class Attachment { kNone, kOptionalTable, kTable };

// What a sentence becomes; the compiler switches over it.
enum class Meaning {
  kSource,
  kScenarioOutput,
  kSinkOutput,
  kCheck,
  kKeep,
  kDropWhere,
  kSet,
  kSetMany,
  kSelect,
  kDropFields,
  kRename,
  kCast,
  kMask,
  kHash,
  kTokenise,
  kDeduplicate,
  kSort,
  kLimit,
  kSample,
  kUnion,
  kUnionScenario,
  kSplit,
  kSplitRejected,
  kBranch,
  kJoinInner,
  kJoinLeft,
  kJoinSemi,
  kJoinAnti,
  kGroup,
  kCount,
  kAggregate,
  kStep,
  kProgram,
  kWriteValid,
  kWriteBranch,
  kWriteRejected,
  kWriteRejectedByRule,
  kWriteRejectedBranch,
  kPassOn,
};

struct Sentence {
  std::string name;  // stable: "check", "filter.keep", "join.left"
  Meaning meaning;
  std::vector<std::string> patterns;  // the first is the one shown
  std::string help;                   // one or two sentences
  std::string example;                // a whole step or two, as in a feature file
  std::string becomes;                // the operator, by its kind_name, or what it is otherwise
  Attachment table = Attachment::kNone;
  std::string table_help;                // columns of the table
  std::vector<std::string> annotations;  // those that mean something on it beyond @requires and its like
};

const std::vector<Sentence>& sentences();
const Sentence* find_sentence(std::string_view name);
// The words of the sentence's example, without keyword, annotations and table.
std::string example_words(const Sentence& sentence);

struct Capture {
  std::string slot;
  SlotKind kind = SlotKind::kRest;
  std::string text;               // unquoted for kString, kField, kName; else as written, trimmed
  bool quoted = false;            // kField, kName: it was written in quotes
  size_t offset = 0, length = 0;  // of what was written, in the step's text, quotes included
  struct Item {
    std::string text, second;  // kFields, kStrings; kPairs (from, to); kKeys: second is "desc" or ""; kTerms:
                               // (expression, name or "")
    size_t offset = 0, length = 0;
  };
  std::vector<Item> items;
  uint64_t count = 0;  // kCount
  double number = 0;   // kNumber, kPercent (in percent)
};

struct BoundSentence {
  const Sentence* sentence = nullptr;
  size_t pattern = 0;
  std::vector<Capture> captures;
  const Capture* find(std::string_view slot) const;  // nullptr when the pattern has none
};

// The pattern as people read it: slots without their kinds, "{records} are sorted by {keys}".
std::string shown_pattern(std::string_view pattern);

// The reference of sentences, assertions and annotations as Markdown: docs/guide/sentences.md.
std::string sentences_as_markdown();

// The sentence that the text is, or none. Where several match (registry tests see to it that none do for what the
// registry documents), the one with more fixed words wins, then the earlier.
std::optional<BoundSentence> bind_sentence(std::string_view text);
// All that match, for the registry's own test.
std::vector<BoundSentence> bind_all(std::string_view text);

// What the text may have been meant to be, nearest first: the text with its words corrected and {slots} where something
// is missing, e.g. `records are checked against the contract`, `field "x" is set to {value}`.
std::vector<std::string> nearest_sentences(std::string_view text, size_t count = 3);

// The items that Assertions may hold, in the same pattern language.
struct AssertionSentence {
  std::string name;
  std::vector<std::string> patterns;
  std::string help, example;
};
const std::vector<AssertionSentence>& assertion_sentences();
struct BoundAssertion {
  const AssertionSentence* sentence = nullptr;
  std::vector<Capture> captures;
  const Capture* find(std::string_view slot) const;
};
std::optional<BoundAssertion> bind_assertion(std::string_view text);
std::vector<std::string> nearest_assertions(std::string_view text, size_t count = 3);

}  // namespace runink::dsl
