#include "client/local/sample.h"

#include "client/local/local_io.h"
#include "data/columnar/ipc.h"
#include "data/connectors/source.h"
#include "data/contract/infer.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::local {

Result<columnar::Schema> infer_schema(const plan::Source& source, const std::string& project_root) {
  const connectors::Locator locator = RUNINK_TRY(source_locator(source, project_root));
  const auto files = RUNINK_TRY(connectors::expand(locator));
  auto bytes = RUNINK_TRY(connectors::open_file_source(files.front(), locator.compression));
  if (locator.format == connectors::DataFormat::kArrow) {
    columnar::IpcReader reader([&](char* into, size_t size) { return bytes->read(into, size); });
    return *RUNINK_TRY_CONTEXT(reader.schema(), "read the schema of " + files.front());
  }
  std::string head(size_t{4} << 20, '\0');
  head.resize(RUNINK_TRY(bytes->read(head.data(), head.size())));
  if (head.size() == size_t{4} << 20) {
    if (const size_t end = head.rfind('\n'); end != std::string::npos) head.resize(end + 1);
  }
  const bool csv = locator.format == connectors::DataFormat::kCsv;
  const bool tabs = csv && locator.delimiter == '\t';
  os::TempFolder folder = RUNINK_TRY(os::TempFolder::create(""));
  const std::string path = folder.file(csv ? tabs ? "head.tsv" : "head.csv" : "head.ndjson");
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(path, head, 0600));
  contract::InferOptions options;
  options.max_records = 10'000;
  const auto form = !csv ? contract::SampleForm::kNdjson : tabs ? contract::SampleForm::kTsv : contract::SampleForm::kCsv;
  auto profile = contract::profile_file(path, form, options);
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
