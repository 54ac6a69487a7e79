// "Did you mean …?": the candidates nearest to a misspelt word or sentence.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runink {

// Damerau-Levenshtein distance (adjacent transposition counts 1), over bytes, ASCII case ignored.
size_t edit_distance(std::string_view a, std::string_view b);

// At most `count` candidates, nearest first, that are near enough to be worth naming (distance at most a third of
// the longer length, or one is a prefix of the other); ties in the order given.
std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates, size_t count = 1);

// `count` nearest whatever their distance, for sentences where something must be offered.
std::vector<std::string> nearest_any(std::string_view word, const std::vector<std::string>& candidates, size_t count);

}  // namespace runink
