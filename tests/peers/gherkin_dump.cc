// Parses many feature texts and prints one line of JSON for each, for a comparison with the official parser.
//
// Standard input is a sequence of `<bytes>\n<that many bytes>`. An answer is {"tree":…}, or
// {"error":{"line":L,"message":"…"},"lines":[…]} with the first error and the lines of all. An accepted text is also
// formatted: "fmt" is "good", or says what is wrong with the result.
#include <fmt/format.h>

#include <iostream>
#include <string>

#include "base/text.h"
#include "data/dsl/format.h"
#include "data/dsl/gherkin.h"
#include "data/dsl/gherkin_dump.h"

namespace {

using runink::Diagnostics;
using runink::Severity;
using runink::SourceText;
using runink::dsl::Document;
using runink::dsl::DumpPlaces;

// What is wrong with the formatted text: it must parse to the same tree, and formatting it again must change nothing.
std::string_view judge_format(const Document& document) {
  Diagnostics diagnostics;
  const auto once = runink::dsl::format_feature(document.source, &diagnostics);
  if (!once) return "refused";
  const auto source = std::make_shared<const SourceText>("x.dsl", *once);
  const auto again = runink::dsl::parse_feature(source, &diagnostics);
  if (!again) return "does not parse";
  if (dump_json(*again, DumpPlaces::kNo) != dump_json(document, DumpPlaces::kNo)) return "another tree";
  return runink::dsl::format_feature(source, &diagnostics) == once ? "good" : "not idempotent";
}

std::string answer(std::string text) {
  Diagnostics diagnostics;
  const auto document =
      runink::dsl::parse_feature(std::make_shared<const SourceText>("x.dsl", std::move(text)), &diagnostics);
  if (document) {
    return fmt::format("{{\"tree\":{},\"fmt\":\"{}\"}}", runink::dsl::dump_json(*document), judge_format(*document));
  }
  std::string first, lines;
  for (const auto& d : diagnostics.list()) {
    if (d.severity != Severity::kError) continue;
    if (first.empty()) {
      first = fmt::format("{{\"line\":{},\"message\":{}}}", d.location.line, runink::json_quote(d.message));
    } else {
      lines += ',';
    }
    lines += std::to_string(d.location.line);
  }
  return fmt::format("{{\"error\":{},\"lines\":[{}]}}", first, lines);
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  std::string length;
  while (std::getline(std::cin, length)) {
    std::string text(std::stoul(length), '\0');
    if (!std::cin.read(text.data(), static_cast<std::streamsize>(text.size()))) return 1;
    std::cout << answer(std::move(text)) << '\n';
  }
  return 0;
}
