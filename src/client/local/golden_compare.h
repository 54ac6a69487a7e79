// What is expected of a golden case compared with what came out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "client/local/stand_in_run.h"

namespace runink::local {

// rejected.ndjson as `--update` writes it.
std::string letters_text(const std::vector<CaseLetter>& letters, bool with_source);

struct LetterTexts {
  std::string expected, actual;
};
// Both sides line by line with the members that the expected file has (so a case may leave out `record` or `line`), in
// one order. An expected line that is no JSON object is an error naming file and line.
Result<LetterTexts> comparable_letters(std::string_view expected, const std::string& path, const std::vector<CaseLetter>& letters);

// Lines in byte order; of CSV the header stays first.
std::string sorted_lines(std::string_view text, bool has_header);

}  // namespace runink::local
