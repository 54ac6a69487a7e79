#include "client/local/data_file.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "data/columnar/ipc.h"
#include "data/connectors/record_writer.h"
#include "data/connectors/source.h"
#include "platform/os/temp.h"

namespace runink::local {

namespace {

using connectors::ByteSource;
using connectors::Compression;
using contract::SampleForm;

enum class Form { kNdjson, kCsv, kTsv, kArrow };

// Without the ending that names a compression.
std::string unpacked_name(const std::string& path) {
  std::string name = to_lower_ascii(path);
  for (const char* ending : {".gz", ".zst"}) {
    if (name.ends_with(ending)) name.resize(name.size() - std::strlen(ending));
  }
  return name;
}

std::optional<Form> form_of_name(const std::string& path) {
  const std::string name = unpacked_name(path);
  for (const auto& [ending, form] :
       {std::pair(".csv", Form::kCsv), std::pair(".tsv", Form::kTsv), std::pair(".ndjson", Form::kNdjson),
        std::pair(".jsonl", Form::kNdjson), std::pair(".json", Form::kNdjson), std::pair(".arrow", Form::kArrow),
        std::pair(".arrows", Form::kArrow), std::pair(".ipc", Form::kArrow)}) {
    if (name.ends_with(ending)) return form;
  }
  return std::nullopt;
}

Form form_of_bytes(std::string_view first) {
  if (first.starts_with("ARROW1") || first.starts_with("\xFF\xFF\xFF\xFF")) return Form::kArrow;
  if (first.starts_with("\xEF\xBB\xBF")) first.remove_prefix(3);
  first = trim(first);
  return first.starts_with('{') || first.starts_with('[') ? Form::kNdjson : Form::kCsv;
}

struct OpenedFile {
  std::string name;  // for messages
  Form form = Form::kNdjson;
  contract::ByteReader bytes;
};

Result<OpenedFile> open_data(const DataFile& file) {
  OpenedFile out;
  out.name = file.path == "-" ? "standard input" : file.path;
  std::shared_ptr<ByteSource> source = RUNINK_TRY(connectors::open_unpacked(file.path));
  auto first = std::make_shared<std::string>(64, '\0');
  first->resize(RUNINK_TRY(source->read(first->data(), first->size())));
  const auto by_name = file.path == "-" ? std::nullopt : form_of_name(file.path);
  if (file.format == "ndjson")
    out.form = Form::kNdjson;
  else if (file.format == "csv")
    out.form = Form::kCsv;
  else if (file.format == "tsv")
    out.form = Form::kTsv;
  else if (file.format == "arrow")
    out.form = Form::kArrow;
  else if (!file.format.empty())
    return invalid_argument("data is ndjson, csv, tsv or arrow, not \"{}\"", file.format);
  else
    out.form = by_name ? *by_name : form_of_bytes(*first);
  out.bytes = [source, first, at = size_t{0}](char* into, size_t size) mutable -> Result<size_t> {
    const size_t early = std::min(size, first->size() - at);
    std::memcpy(into, first->data() + at, early);
    at += early;
    return early + RUNINK_TRY(source->read(into + early, size - early));
  };
  return out;
}

// Record batches as NDJSON text, for those who read text.
contract::ByteReader arrow_as_text(contract::ByteReader bytes) {
  struct State {
    explicit State(contract::ByteReader b) : reader(std::move(b)) {}
    columnar::IpcReader reader;
    std::unique_ptr<connectors::RecordWriter> writer;
    columnar::Buffer text;
    size_t at = 0;
    bool ended = false;
  };
  auto state = std::make_shared<State>(std::move(bytes));
  return [state](char* into, size_t size) -> Result<size_t> {
    State& s = *state;
    size_t filled = 0;
    while (filled < size) {
      if (s.at == s.text.size()) {
        if (s.ended) break;
        s.at = 0;
        s.text.resize(0);
        if (s.writer == nullptr) {
          connectors::WriterOptions options;
          options.schema = RUNINK_TRY(s.reader.schema());
          s.writer = RUNINK_TRY(connectors::make_record_writer(options));
        }
        auto batch = RUNINK_TRY(s.reader.next());
        s.ended = !batch.has_value();
        if (batch) RUNINK_RETURN_IF_ERROR(s.writer->append(*batch, s.text));
        continue;
      }
      const size_t n = std::min(size - filled, s.text.size() - s.at);
      std::memcpy(into + filled, s.text.view().data() + s.at, n);
      s.at += n;
      filled += n;
    }
    return filled;
  };
}

// What contract/infer.h reads: text.
Result<std::pair<OpenedFile, SampleForm>> open_as_text(const DataFile& file) {
  OpenedFile opened = RUNINK_TRY(open_data(file));
  SampleForm form = SampleForm::kNdjson;
  if (opened.form == Form::kArrow) opened.bytes = arrow_as_text(std::move(opened.bytes));
  if (opened.form == Form::kCsv) form = SampleForm::kCsv;
  if (opened.form == Form::kTsv) form = SampleForm::kTsv;
  return std::pair(std::move(opened), form);
}

// A column is masked as the field of its name is; one that holds the fields of a struct, as its strictest.
std::vector<std::pair<size_t, contract::Mask>> masks_for(const columnar::Schema& schema,
                                                         const contract::Contract& contract,
                                                         const contract::Reader& reader) {
  std::vector<std::pair<size_t, contract::Mask>> out;
  for (size_t i = 0; i < schema.size(); ++i) {
    const std::string& name = schema.field(i).name;
    for (const auto& field : contract.fields) {
      const auto mask = contract::mask_for(field, reader);
      if (!mask) continue;
      if (field.name == name)
        out.emplace_back(i, *mask);
      else if (field.name.starts_with(name + ".") || name.starts_with(field.name + "."))
        out.emplace_back(i, contract::Mask{});
      else
        continue;
      break;
    }
  }
  return out;
}

Result<uint64_t> redact_arrow(const contract::Contract& contract, OpenedFile opened, const contract::Reader& who,
                              const contract::MaskKey& key, const std::function<Status(std::string_view)>& write) {
  columnar::IpcReader reader(std::move(opened.bytes));
  const columnar::SchemaPtr schema = RUNINK_TRY(reader.schema());
  const auto masks = masks_for(*schema, contract, who);
  std::vector<columnar::Field> fields = schema->fields();
  for (const auto& [column, mask] : masks) {
    fields[column].type = contract::masked_type(fields[column].type, mask);
    fields[column].nullable = fields[column].nullable || mask.method == contract::MaskMethod::kNull;
    fields[column].format.clear();
  }
  const auto masked_schema = std::make_shared<const columnar::Schema>(std::move(fields));
  columnar::IpcWriter writer(masked_schema, write);
  RUNINK_RETURN_IF_ERROR(writer.write_schema());
  uint64_t records = 0;
  for (;;) {
    auto batch = RUNINK_TRY(reader.next());
    if (!batch) break;
    for (const auto& [column, mask] : masks) {
      batch->columns[column] = contract::mask_column(batch->columns[column], schema->field(column), mask, key);
    }
    batch->schema = masked_schema;
    batch->origin = nullptr;
    records += static_cast<uint64_t>(batch->rows);
    RUNINK_RETURN_IF_ERROR(writer.write_batch(*batch));
  }
  RUNINK_RETURN_IF_ERROR(writer.finish());
  return records;
}

}  // namespace

Result<RereadableFile> make_rereadable(const DataFile& file) {
  RereadableFile out{file, {}};
  if (file.path != "-" && (!file.format.empty() || form_of_name(file.path))) return out;
  OpenedFile opened = RUNINK_TRY(open_data(file));
  out.file.format = opened.form == Form::kArrow ? "arrow" : opened.form == Form::kNdjson ? "ndjson" : "csv";
  if (file.path != "-") return out;
  out.folder = RUNINK_TRY(os::TempFolder::create("", "runink-input-"));
  out.file.path = out.folder.file("input");
  os::AtomicFile kept = RUNINK_TRY(os::AtomicFile::create(out.file.path, 0600));
  std::string piece(size_t{256} << 10, '\0');
  for (;;) {
    const size_t size = RUNINK_TRY(opened.bytes(piece.data(), piece.size()));
    if (size == 0) break;
    RUNINK_RETURN_IF_ERROR(kept.write(std::string_view(piece).substr(0, size)));
  }
  RUNINK_RETURN_IF_ERROR(kept.publish());
  return out;
}

Result<contract::DataProfile> profile_data(const DataFile& file, const contract::InferOptions& options) {
  auto [opened, form] = RUNINK_TRY(open_as_text(file));
  auto profile = contract::profile_bytes(opened.name, std::move(opened.bytes), form, options);
  if (profile.ok() && opened.form == Form::kArrow) profile->from_text = false;
  return profile;
}

Result<std::string> infer_contract(const DataFile& file, const contract::InferOptions& options) {
  auto [opened, form] = RUNINK_TRY(open_as_text(file));
  return contract::infer_contract_from_bytes(opened.name, std::move(opened.bytes), form, options);
}

Result<uint64_t> redact_data(const contract::Contract& contract, const DataFile& file, const contract::Reader& reader,
                             const contract::MaskKey& key, const std::function<Status(std::string_view)>& write) {
  OpenedFile opened = RUNINK_TRY_CONTEXT(open_data(file), "redact " + file.path);
  if (opened.form == Form::kArrow) {
    const std::string context = "redact " + opened.name;
    return RUNINK_TRY_CONTEXT(redact_arrow(contract, std::move(opened), reader, key, write), context);
  }
  const char separator = opened.form == Form::kCsv ? ',' : opened.form == Form::kTsv ? '\t' : '\0';
  uint64_t records = 0;
  RUNINK_RETURN_IF_ERROR(
      contract::redact_bytes(contract, opened.name, std::move(opened.bytes), separator, reader, key, write, &records));
  return records;
}

Result<uint64_t> redact_data_to(const std::string& out_path, const contract::Contract& contract, const DataFile& file,
                                const contract::Reader& reader, const contract::MaskKey& key) {
  const Compression compression = out_path.ends_with(".gz")    ? Compression::kGzip
                                  : out_path.ends_with(".zst") ? Compression::kZstd
                                                               : Compression::kNone;
  os::AtomicFile out = RUNINK_TRY_CONTEXT(os::AtomicFile::create(out_path), "redact " + file.path);
  columnar::Buffer packed;
  const uint64_t records = RUNINK_TRY(redact_data(contract, file, reader, key, [&](std::string_view text) -> Status {
    if (compression == Compression::kNone) return out.write(text);
    packed.resize(0);
    RUNINK_RETURN_IF_ERROR(connectors::compress(compression, text, packed));
    return out.write(packed.view());
  }));
  RUNINK_RETURN_IF_ERROR(out.sync());
  RUNINK_RETURN_IF_ERROR(out.publish());
  return records;
}

}  // namespace runink::local
