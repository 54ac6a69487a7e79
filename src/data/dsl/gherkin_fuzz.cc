// Fuzz target: any bytes as a feature file. What parses must also format, and mean the same afterwards.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "data/dsl/format.h"
#include "data/dsl/gherkin.h"
#include "data/dsl/gherkin_dump.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace runink;
  const auto source =
      std::make_shared<const SourceText>("fuzz.dsl", std::string(reinterpret_cast<const char*>(data), size));
  Diagnostics diagnostics;
  const auto document = dsl::parse_feature(source, &diagnostics);
  (void)diagnostics.render();
  if (document.has_value() == diagnostics.has_errors()) std::abort();
  if (!document) return 0;
  (void)dsl::dump_outline(*document);
  Diagnostics of_format;
  const auto once = dsl::format_feature(source, &of_format);  // itself compares the two trees
  if (!once) std::abort();
  const auto twice = dsl::format_feature(std::make_shared<const SourceText>("fuzz.dsl", *once), &of_format);
  if (twice != once) std::abort();
  return 0;
}
