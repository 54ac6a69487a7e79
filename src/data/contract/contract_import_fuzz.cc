// Any bytes as a document of another standard, as a sample record and as a record to redact: no crash, no hang; what is
// imported or inferred parses.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "data/contract/exchange.h"
#include "data/contract/infer.h"
#include "data/contract/parse.h"
#include "data/contract/redact.h"

namespace {

void import_text(const std::string& text) {
  using namespace runink::contract;
  for (const auto& imported : {import_odcs(text, "fuzz.yaml"), import_json_schema(text, "fuzz.json")}) {
    if (!imported.ok()) continue;
    runink::Diagnostics diagnostics;
    const auto source = std::make_shared<runink::SourceText>("fuzz.contract", imported->text);
    const auto parsed = parse_contracts(source, map_loader({}), diagnostics);
    RUNINK_CHECK(!diagnostics.has_errors() && !parsed.contracts.empty());
  }
}

void infer_text(const std::string& text) {
  using namespace runink::contract;
  Inferrer inferrer;
  (void)inferrer.add_json(text);
  (void)inferrer.add_json("{\"x\":" + text + "}");
  (void)inferrer.add_json("{\"" + text + "\":1}");
  RUNINK_CHECK(parse_contract_text(inferrer.contract_text()).ok());
}

// The value of the protected field is whatever the bytes are: none of what they mark may come out.
void redact_text(const std::string& text) {
  using namespace runink::contract;
  static const auto contract = *parse_contract_text("contract C { string a [[pii]]; string b.c [[pii, mask(\"hash\")]]; }");
  static const RecordRedactor redactor(*contract, {}, {"key"});
  (void)redactor.json(text);
  (void)redactor.csv(text, {"a", "x"});
  for (const std::string& record : {"{\"a\":\"SECRET\"" + text, "{\"b\":{\"c\":[\"SECRET\"" + text, "{\"a\":{\"" + text + "\":\"SECRET\"}}"}) {
    // Bytes that hold the word themselves, or that end the object before the word, prove nothing.
    if (text.find("SECRET") != std::string::npos || text.find_first_of("\"\\") != std::string::npos) continue;
    RUNINK_CHECK(redactor.json(record).find("SECRET") == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  import_text(text);
  infer_text(text);
  redact_text(text);
  return 0;
}
