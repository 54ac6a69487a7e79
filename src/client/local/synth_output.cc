#include "client/local/synth_output.h"

#include "base/text.h"
#include "data/connectors/record_writer.h"
#include "platform/os/file.h"

namespace runink::local {

Result<SynthForm> synth_form(const std::string& path, const std::string& format) {
  connectors::LocatorOptions options;
  options.format = path == "-" && format.empty() ? "ndjson" : format;
  const connectors::Locator locator = RUNINK_TRY(connectors::parse_sink_locator(path, options));
  SynthForm form;
  form.format = locator.format;
  form.compression = locator.compression;
  form.csv.delimiter = locator.delimiter;
  return form;
}

Result<SynthOutput> SynthOutput::open(const std::string& path, connectors::Compression compression, bool replace,
                                      SynthWrite stream) {
  SynthOutput out;
  out.compression_ = compression;
  if (path == "-") {
    out.stream_ = std::move(stream);
    return out;
  }
  if (!replace && os::exists(path)) {
    return already_exists("{} is there already", escape_control(path))
        .with_hint("--force replaces it, another --out leaves it");
  }
  RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(path)));
  out.file_ = RUNINK_TRY(os::AtomicFile::create(path));
  return out;
}

Status SynthOutput::write(std::string_view bytes) {
  if (compression_ != connectors::Compression::kNone) {
    packed_.resize(0);
    RUNINK_RETURN_IF_ERROR(connectors::compress(compression_, bytes, packed_));
    bytes = packed_.view();
  }
  written_ += bytes.size();
  return file_ ? file_->write(bytes) : stream_(bytes);
}

Status SynthOutput::finish() { return file_ ? file_->publish() : Status(); }

}  // namespace runink::local
