// Contracts in and out of two standards: ODCS v3.1.0 (Open Data Contract Standard, YAML) and JSON Schema 2020-12.
//
// What both sides can say is carried over without loss. What only Runink can say travels in the standard's own room for
// extensions (customProperties of ODCS, `x-runink-…` keywords of JSON Schema), so that a contract comes back with an
// equal hash. What the other side cannot say, or what we cannot, is listed in `not_carried`, one sentence each.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/contract/contract.h"

namespace runink::contract {

struct Exchanged {
  std::string text;                      // of the exported file, or of the contract file that was imported
  std::vector<std::string> not_carried;  // sentences: what the target cannot express
};

struct ExportOptions {
  // False: only words of the standard itself. Then `not_carried` lists all that differs when the text is read back.
  bool extensions = true;
};

Result<Exchanged> export_odcs(const Contract& contract, const ExportOptions& options = {});
Result<Exchanged> export_json_schema(const Contract& contract, const ExportOptions& options = {});

// Text of a contract file (one contract; several for an ODCS file with several schema objects). It always parses
// without errors; input that is not of the standard is kInvalidArgument with the place.
Result<Exchanged> import_odcs(std::string_view yaml, const std::string& path);
Result<Exchanged> import_json_schema(std::string_view json, const std::string& path);

// YAML as JSON text, scalars typed as YAML 1.2's core schema has them. For tests and for tools that read only JSON.
Result<std::string> yaml_as_json(std::string_view yaml);

}  // namespace runink::contract
