#include "client/local/sample.h"

#include <algorithm>
#include <memory>

#include "client/local/local_io.h"
#include "data/columnar/ipc.h"
#include "data/connectors/source.h"
#include "data/contract/infer.h"
#include "platform/os/file.h"

namespace runink::local {

namespace {

constexpr size_t kHeadBytes = size_t{4} << 20;

// The first bytes, up to the last line break among them.
contract::ByteReader head_of(std::unique_ptr<connectors::ByteSource> bytes) {
  std::shared_ptr<connectors::ByteSource> source = std::move(bytes);
  return [source, left = kHeadBytes](char* into, size_t size) mutable -> Result<size_t> {
    size_t n = RUNINK_TRY(source->read(into, std::min(size, left)));
    left -= n;
    if (left > 0 || n == 0) return n;
    const size_t end = std::string_view(into, n).rfind('\n');
    return end == std::string_view::npos ? n : end + 1;
  };
}

}  // namespace

Result<columnar::Schema> infer_schema(const plan::Source& source, const std::string& project_root) {
  const connectors::Locator locator = RUNINK_TRY(source_locator(source, project_root));
  const auto files = RUNINK_TRY(connectors::expand(locator));
  if (const auto info = os::file_info(files.front()); info.ok() && info->type == os::FileType::kFifo) {
    return failed_precondition("{} is a pipe: to look at its records would take them away", files.front())
        .with_hint("name a contract with @contract(\"contracts/….contract\")");
  }
  auto bytes = RUNINK_TRY(connectors::open_file_source(files.front(), locator.compression));
  if (locator.format == connectors::DataFormat::kArrow) {
    columnar::IpcReader reader([&](char* into, size_t size) { return bytes->read(into, size); });
    return *RUNINK_TRY_CONTEXT(reader.schema(), "read the schema of " + files.front());
  }
  const bool csv = locator.format == connectors::DataFormat::kCsv;
  const bool tabs = csv && locator.delimiter == '\t';
  contract::InferOptions options;
  options.max_records = 10'000;
  const auto form = !csv ? contract::SampleForm::kNdjson : tabs ? contract::SampleForm::kTsv : contract::SampleForm::kCsv;
  auto profile = contract::profile_bytes(files.front(), head_of(std::move(bytes)), form, options);
  if (!profile.ok()) return std::move(profile).status().with_context("infer the columns of " + files.front());
  std::vector<columnar::Field> fields;
  for (const auto& column : profile->columns) {
    columnar::DataType type = column.type;
    if (type.is_integer()) type = columnar::TypeId::kInt64;
    if (type.id() == columnar::TypeId::kEnum || type.id() == columnar::TypeId::kNull) type = columnar::TypeId::kString;
    fields.push_back({column.name, std::move(type), true, column.format, ""});
  }
  if (fields.empty()) {
    return failed_precondition("{} holds no record to infer columns from", files.front())
        .with_hint("name a contract with @contract(\"contracts/….contract\")");
  }
  return columnar::Schema(std::move(fields));
}

}  // namespace runink::local
