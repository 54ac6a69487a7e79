// Slots of sentences: which words may fill a slot, and what they say. Used by sentence_pattern.cc only.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "data/dsl/sentence_pattern.h"

namespace runink::dsl {

// Least and most words that a slot takes; most 0: any number.
std::pair<size_t, size_t> slot_words(SlotKind kind);

// Whether words [begin, end) can fill the slot, cheaply and without false refusals.
bool slot_accepts(SlotKind kind, const SentenceText& text, size_t begin, size_t end);

// How little one word looks like a part of what fills the slot, from 0 (well) to 1; `first`: it is the slot's first.
double slot_misfit(SlotKind kind, const SentenceText& text, size_t word, bool first);

// Reads what the words say; false when they are not what the slot takes after all.
bool read_slot(const PatternElement& slot, const SentenceText& text, size_t begin, size_t end, Capture* out);

}  // namespace runink::dsl
