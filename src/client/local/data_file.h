// Data files for commands that look at records one by one (contract infer, contract diff, contract redact): NDJSON,
// CSV, TSV or Arrow IPC, each plain, gzip or zstd, from a file or from standard input.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "data/contract/infer.h"
#include "data/contract/redact.h"
#include "platform/os/temp.h"

namespace runink::local {

struct DataFile {
  std::string path;    // "-": standard input
  std::string format;  // "ndjson", "csv", "tsv", "arrow"; empty: by the name's ending, else by the first bytes
};

// A data file that can be read more than once: standard input is kept (unpacked) in a folder of its own, and a form
// that the name does not tell is told.
struct RereadableFile {
  DataFile file;
  os::TempFolder folder;  // removed with it
};
Result<RereadableFile> make_rereadable(const DataFile& file);

Result<contract::DataProfile> profile_data(const DataFile& file, const contract::InferOptions& options);
Result<std::string> infer_contract(const DataFile& file, const contract::InferOptions& options);

// Writes the records in their own form (Arrow as an Arrow stream), unpacked, with protected fields masked. How many.
Result<uint64_t> redact_data(const contract::Contract& contract, const DataFile& file, const contract::Reader& reader,
                             const contract::MaskKey& key, const std::function<Status(std::string_view)>& write);
// The same into a file that is replaced atomically, compressed where its name ends in .gz or .zst.
Result<uint64_t> redact_data_to(const std::string& out_path, const contract::Contract& contract, const DataFile& file,
                                const contract::Reader& reader, const contract::MaskKey& key);

}  // namespace runink::local
