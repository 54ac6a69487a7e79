// The built-in sentences themselves, as data. Callers use sentence.h.
#pragma once

#include <vector>

#include "data/dsl/sentence.h"

namespace runink::dsl {

std::vector<Sentence> make_sentences();
std::vector<AssertionSentence> make_assertion_sentences();

}  // namespace runink::dsl
