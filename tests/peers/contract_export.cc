// Prints each contract of the files given, one JSON object a line, as the other standards have it: for contracts.mjs.
// The ODCS document is read back from the YAML that a user would get.
#include <cstdio>

#include "base/text.h"
#include "data/contract/exchange.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"

using namespace runink;
using namespace runink::contract;

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string path = argv[i];
    auto text = os::read_file(path);
    if (!text.ok()) return 1;
    Diagnostics diagnostics;
    const auto parsed = parse_contracts(std::make_shared<SourceText>(path, *text), file_loader(), diagnostics);
    if (diagnostics.has_errors()) return 1;
    for (const auto& contract : parsed.contracts) {
      for (const bool extensions : {true, false}) {
        const auto odcs = export_odcs(*contract, {extensions});
        const auto schema = export_json_schema(*contract, {extensions});
        if (!odcs.ok() || !schema.ok()) return 1;
        const auto odcs_json = yaml_as_json(odcs->text);
        if (!odcs_json.ok()) return 1;
        std::string flat = schema->text;
        for (char& c : flat) c = c == '\n' ? ' ' : c;
        std::printf("{\"name\":%s,\"odcs\":%s,\"schema\":%s}\n", json_quote(contract->name).c_str(), odcs_json->c_str(), flat.c_str());
      }
    }
  }
  return 0;
}
