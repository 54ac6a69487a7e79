// Released versions of contracts, kept with the project as canonical text: contracts/history/NAME/VERSION.contract.
//
// A released file is never changed: releasing the same version again is OK only if the text is the same.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/contract/contract.h"
#include "data/contract/diff.h"

namespace runink::contract {

struct ReleasedVersion {
  Version version;
  std::string path;  // of the file
};

class History {
 public:
  // `project_root`: the folder that holds contracts/. No file is touched until a call below.
  explicit History(std::string project_root);

  std::string path_of(const std::string& name, const Version& version) const;
  // Ascending; empty when nothing was released. A file whose name is no version is an error that names it.
  Result<std::vector<ReleasedVersion>> versions(const std::string& name) const;
  Result<std::vector<std::string>> names() const;  // contracts with at least one release, sorted
  Result<ContractPtr> load(const std::string& name, const Version& version) const;
  Result<ContractPtr> load_highest(const std::string& name) const;  // kNotFound when nothing was released

  struct Release {
    std::string path;
    bool already_there = false;  // the same text had been released before
    std::optional<Version> previous;
    ContractDiff diff;  // against `previous`; empty for the first
  };
  // Refuses: no version (kFailedPrecondition), the version with other content (kAlreadyExists), a version not higher
  // than the highest, a bump smaller than the changes require (kFailedPrecondition, kind "contract.bump").
  Result<Release> release(const Contract& contract) const;

 private:
  Status never_released(const std::string& name) const;
  std::string root_;
};

// How many rules the contract states: field rules, checks, unique and key. Not that records can be read and values are
// of their types, and not its quality rules, which are counted apart.
size_t count_rules(const Contract& contract);

// `runi contract catalog`: every contract of a project.
struct CatalogEntry {
  std::string name, path;  // path#Name where the file has several
  std::string version, hash, owner, description, classification;
  std::string released;                         // highest released version; empty: none
  size_t fields = 0, rules = 0, qualities = 0;  // rules as count_rules() has it
  std::vector<std::string> pii_fields;
  std::vector<std::string> tags;
  struct Term {
    std::string field, glossary;
  };
  std::vector<Term> glossary;
  std::string error;  // of a contract that does not parse: first line; other members are then empty
};
Result<std::vector<CatalogEntry>> catalog(const std::string& project_root);

}  // namespace runink::contract
