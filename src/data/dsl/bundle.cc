#include "data/dsl/bundle.h"

#include <algorithm>

namespace runink::dsl {
namespace {

// All of a source that what is inferred from it depends on.
std::string source_key(const plan::Source& source) {
  const plan::Dialect& d = source.dialect;
  return fmt::format("{}\n{}\n{}\n{}{}{}{}{}{}\n{}", source.locator, source.format, source.compression, d.delimiter,
                     d.quote, static_cast<int>(d.escape), static_cast<int>(d.comment), d.header, d.trim, d.null_text);
}

}  // namespace

CompileEnvironment recording(CompileEnvironment environment, std::shared_ptr<Bundle> bundle) {
  bundle->project_root = environment.project_root;
  bundle->step_folder = environment.step_folder;
  bundle->allow_unenforced = environment.allow_unenforced;
  if (environment.load) {
    environment.load = [load = std::move(environment.load), bundle](const std::string& path) -> Result<std::string> {
      Result<std::string> text = load(path);
      const auto same = [&](const Bundle::File& file) { return file.path == path; };
      if (text.ok() && std::none_of(bundle->files.begin(), bundle->files.end(), same)) {
        bundle->files.push_back({path, *text});
      }
      return text;
    };
  }
  if (environment.infer_schema) {
    environment.infer_schema = [infer = std::move(environment.infer_schema),
                                bundle](const plan::Source& source) -> Result<columnar::Schema> {
      Result<columnar::Schema> schema = infer(source);
      if (schema.ok()) bundle->inferred.push_back({source_key(source), *schema});
      return schema;
    };
  }
  return environment;
}

Result<plan::Plan> compile_bundle(const Bundle& bundle, const std::string& scenario) {
  CompileEnvironment environment;
  environment.load = [&](const std::string& path) -> Result<std::string> {
    for (const Bundle::File& file : bundle.files) {
      if (file.path == path) return file.text;
    }
    return not_found("{} is not in the bundle", path);
  };
  environment.infer_schema = [&](const plan::Source& source) -> Result<columnar::Schema> {
    const std::string key = source_key(source);
    for (const Bundle::Inferred& inferred : bundle.inferred) {
      if (inferred.source == key) return inferred.schema;
    }
    return not_found("the columns of {} are not in the bundle", source.locator);
  };
  environment.project_root = bundle.project_root;
  environment.step_folder = bundle.step_folder;
  environment.allow_unenforced = bundle.allow_unenforced;
  environment.only = scenario;
  Diagnostics diagnostics;
  auto text = std::make_shared<SourceText>(bundle.feature_path, bundle.feature_text);
  Result<plan::Plan> plan = compile_feature(std::move(text), environment, &diagnostics);
  if (plan.ok()) return plan;
  const Status failed = plan.status();
  Status status = data_loss("the bundle of {} does not compile: {}", bundle.feature_path, failed.message());
  for (const std::string& line : failed.details()) status = std::move(status).with_detail(line);
  return status;
}

}  // namespace runink::dsl
