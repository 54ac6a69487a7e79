// The contract language: text to Contract, with diagnostics that say where and what to do.
//
//   file      := { import | struct | contract }
//   import    := "import" STRING ";"                                  relative to the folder of the importing file
//   struct    := "struct" NAME "{" { field } "}" [";"]
//   contract  := [ attributes ] "contract" NAME "{" { field | check | quality } "}" [";"]
//   field     := type NAME [ attributes ] ";"                         NAME may be dotted: `string billing.city;`
//   type      := WORD | "decimal" "(" p "," s ")" | "enum" "(" label { "," label } ")" | "list" "<" type ">"
//              | NAME of a struct | "struct" "{" { field } "}"
//   check     := "check" NAME ":" expression [ attributes ] ";"
//   quality   := "quality" NAME ":" expression [ attributes ] ";"
//   attributes:= "[[" attribute { "," attribute } "]]"               several groups may follow each other
//   attribute := NAME [ "(" argument { "," argument } ")" ]
//
// Comments are // and /* */. An imported file gives its structs; its contracts are not contracts of the importing one.
// Names with other characters are written in backquotes: `string `First name`;`.
//
// Bounds (beyond them an error, never a crash): 4 MiB per file, 64 files, import depth 16, nesting of types 16, 4096
// columns, 4096 checks and qualities.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/diagnostic.h"
#include "base/status.h"
#include "data/contract/contract.h"

namespace runink::contract {

// Gives the text of a file by the path the user knows it by. kNotFound when there is none. Called again for the same
// path only by another parse.
using TextLoader = std::function<Result<std::string>(const std::string& path)>;

// Reads files of the machine; relative paths start at `root` ("" is the working directory).
TextLoader file_loader(std::string root = {});
// Knows only these texts (tests, bundles).
TextLoader map_loader(std::vector<std::pair<std::string, std::string>> texts);

struct ParsedFile {
  std::vector<ContractPtr> contracts;  // empty when there was any error
  std::vector<std::string> files;      // every file read: this one first
  std::vector<std::string> structs;    // names declared in this file itself
};

// Goes on after an error and reports them all (up to about a hundred).
ParsedFile parse_contracts(const SourceTextPtr& text, const TextLoader& loader, Diagnostics& diagnostics);

// A reference as written in `@contract("contracts/flight.contract")`: a path, then `#Name` if the file declares more
// than one contract.
struct ContractReference {
  std::string path, name;  // name may be empty
};
ContractReference split_reference(std::string_view reference);

// The contract that a reference means. Errors of the text are kInvalidArgument with the rendered diagnostics as
// details; a file that is not there is kNotFound; `#Name` missing or unknown names what there is. Warnings go to
// `warnings` if given.
Result<ContractPtr> load_contract(std::string_view reference, const TextLoader& loader,
                                  Diagnostics* warnings = nullptr);

// One contract from a text in memory without imports; for tests and for texts that Runink itself wrote.
Result<ContractPtr> parse_contract_text(std::string_view text, std::string path = "contract",
                                        Diagnostics* warnings = nullptr);

// All types and attributes with one line of help each, for `runi`'s reference and completion.
struct WordHelp {
  std::string name, use, help;
};
const std::vector<WordHelp>& type_words();
const std::vector<WordHelp>& field_attributes();
const std::vector<WordHelp>& contract_attributes();

}  // namespace runink::contract
