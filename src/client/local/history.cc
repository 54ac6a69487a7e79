#include "client/local/history.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "data/contract/history.h"
#include "data/contract/parse.h"
#include "data/contract/redact.h"
#include "data/contract/text_records.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr const char* kMaskedWholly = "**** (masked wholly: ";

// Names of the columns of a CSV source, from its first record; empty where it cannot be read any more.
std::vector<std::string> header_of(const Project& project, const std::string& source, char separator) {
  Result<contract::RecordFile> file = contract::RecordFile::open(os::join_path(project.root(), source), true);
  std::string record;
  if (!file.ok()) return {};
  Result<bool> read = file->next(record);
  std::vector<contract::CsvCell> cells;
  if (!read.ok() || !*read || !contract::split_csv(record, separator, cells)) return {};
  std::vector<std::string> names;
  for (const contract::CsvCell& cell : cells) names.push_back(cell.text);
  return names;
}

// Whether the source still is the file that the record was read from: then its header is the one it was read by.
bool still_there(const Project& project, const ledger::DeadLetter& letter) {
  if (letter.offset < 0) return false;
  Result<os::Fd> fd = os::open_file(os::join_path(project.root(), letter.source));
  if (!fd.ok()) return false;
  const auto info = os::file_info(*fd);
  if (!info.ok() || info->modified_nanos / 1000 > letter.time_micros || ::lseek(fd->get(), letter.offset, SEEK_SET) != letter.offset) return false;
  std::string bytes(letter.record.size(), '\0');
  for (size_t at = 0; at < bytes.size();) {
    Result<size_t> got = os::read_some(*fd, bytes.data() + at, bytes.size() - at);
    if (!got.ok() || *got == 0) return false;
    at += *got;
  }
  return bytes == letter.record;
}

}  // namespace

Result<ledger::Ledger> open_ledger_to_read(const Project& project, std::vector<std::string>* notes) {
  ledger::Ledger as_it_is = RUNINK_TRY(ledger::Ledger::open_existing(project.root()));
  auto settled = project.open_ledger(notes);
  const Code code = settled.status().code();
  if (code != Code::kResourceExhausted && code != Code::kPermissionDenied) return settled;
  if (notes != nullptr) {
    notes->push_back(fmt::format("what ended runs have left cannot be settled now ({}); runi gc frees room",
                                 escape_control(settled.status().message())));
  }
  return as_it_is;
}

Result<std::string> last_plan_of(const Project& project, const std::string& feature) {
  ledger::Ledger ledger = RUNINK_TRY(ledger::Ledger::open_existing(project.root()));
  ledger::RunFilter filter;
  filter.feature = feature;
  filter.parents_only = true;
  filter.limit = 20;
  for (const ledger::RunRecord& listed : RUNINK_TRY(ledger.list_runs(filter))) {
    Result<ledger::RunRecord> run = ledger.load_run(listed.id);
    if (run.ok() && !run->plan_json.empty()) return std::move(run->plan_json);
  }
  return not_found("{} has not run yet", feature);
}

Result<RunFamily> load_family(const ledger::Ledger& ledger, const std::string& words) {
  RunFamily family;
  const std::string id = RUNINK_TRY(ledger.find_run(words));
  family.run = RUNINK_TRY(ledger.load_run(id));
  ledger::RunFilter filter;
  filter.parent_id = id;
  family.children = RUNINK_TRY(ledger.list_runs(filter));
  std::reverse(family.children.begin(), family.children.end());
  return family;
}

LetterMasker::LetterMasker(const Project& project, bool reveal) : project_(project), reveal_(reveal) {}

// Every contract of the project, working files first, then releases: letters name theirs by hash.
void LetterMasker::load_contracts() {
  loaded_ = true;
  auto add = [&](const std::string& path) {
    Result<std::string> text = os::read_file(path);
    if (!text.ok()) return;
    Diagnostics ignored;
    auto source = std::make_shared<const SourceText>(path, std::move(*text));
    for (const contract::ContractPtr& contract :
         contract::parse_contracts(source, contract::file_loader(), ignored).contracts) {
      contracts_.emplace(contract->hash, contract);
    }
  };
  Result<std::vector<std::string>> files = os::glob(project_.root() + "/contracts/**/*.contract");
  if (files.ok()) {
    for (const std::string& path : *files) add(path);
  }
  files = os::glob(project_.root() + "/contracts/*.contract");
  if (files.ok()) {
    for (const std::string& path : *files) add(path);
  }
}

std::string LetterMasker::shown_cells(const ledger::DeadLetter& letter, const contract::RecordRedactor& redactor) const {
  if (!still_there(project_, letter)) return kMaskedWholly + std::string("its source does not hold it any more)");
  const char separator = letter.source.find(".tsv") != std::string::npos ? '\t' : ',';
  const std::vector<std::string> names = header_of(project_, letter.source, separator);
  if (names.empty() || !redactor.lost_in(names).empty()) return kMaskedWholly + std::string("its columns are not known for certain)");
  return redactor.csv(letter.record, names, separator);
}

std::string LetterMasker::shown(const ledger::DeadLetter& letter) {
  if (reveal_ || (letter.contract_hash.empty() && letter.pii.empty())) return letter.record;
  if (letter.contract_hash.empty()) return kMaskedWholly + std::string("it holds fields with pii, and has no contract)");
  if (!loaded_) load_contracts();
  auto found = contracts_.find(letter.contract_hash);
  if (found == contracts_.end()) {
    return kMaskedWholly + std::string("the contract ") + letter.contract + " with hash " +
           letter.contract_hash.substr(0, 12) + " is not in this project)";
  }
  contract::Reader reader;
  reader.roles = project_.config().held_roles;
  Result<std::string> key = project_.existing_key();
  contract::RecordRedactor redactor(*found->second, reader, contract::MaskKey{key.ok() ? *key : ""});
  redactor.mask_wholly(letter.pii);
  if (!redactor.masks_anything()) return letter.record;
  if (letter.record.starts_with('{')) return redactor.json(letter.record);
  return shown_cells(letter, redactor);
}

}  // namespace runink::local
