// Any bytes as a contract file: no crash, no hang, and what parses is canonical.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "data/contract/canonical.h"
#include "data/contract/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace runink;
  const std::string text(reinterpret_cast<const char*>(data), size);
  Diagnostics diagnostics;
  const auto parsed = contract::parse_contracts(std::make_shared<SourceText>("fuzz.contract", text),
                                                contract::map_loader({{"fuzz2.contract", text}}), diagnostics);
  for (const auto& one : parsed.contracts) {
    const std::string canonical = contract::canonical_text(*one);
    const auto again = contract::parse_contract_text(canonical);
    RUNINK_CHECK(again.ok());
    RUNINK_CHECK(contract::canonical_text(**again) == canonical);
    RUNINK_CHECK((*again)->hash == one->hash);
  }
  (void)diagnostics.render();
  return 0;
}
