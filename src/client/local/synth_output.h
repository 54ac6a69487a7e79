// Where synthetic records and their labels go: a file that appears whole, or a stream of the caller's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "client/local/synth.h"
#include "data/columnar/buffer.h"
#include "data/connectors/locator.h"
#include "platform/os/temp.h"

namespace runink::local {

// What a name says about a file: "x.csv.gz" is CSV, packed. `format` (a word of @source, may be empty) counts for more.
// "-" is a stream: NDJSON unless `format` says another.
struct SynthForm {
  connectors::DataFormat format = connectors::DataFormat::kNdjson;
  connectors::Compression compression = connectors::Compression::kNone;
  connectors::CsvDialect csv;
};
Result<SynthForm> synth_form(const std::string& path, const std::string& format);

class SynthOutput {
 public:
  // Path "-": the bytes go to `stream`. Else the folder is made if absent, and a file that is there already is an error
  // unless `replace`. Destroyed before finish(), it leaves no file.
  static Result<SynthOutput> open(const std::string& path, connectors::Compression compression, bool replace,
                                  SynthWrite stream);
  Status write(std::string_view bytes);
  // The file appears under its name.
  Status finish();
  uint64_t written() const { return written_; }  // bytes, packed

 private:
  std::optional<os::AtomicFile> file_;
  SynthWrite stream_;
  connectors::Compression compression_ = connectors::Compression::kNone;
  columnar::Buffer packed_;
  uint64_t written_ = 0;
};

}  // namespace runink::local
