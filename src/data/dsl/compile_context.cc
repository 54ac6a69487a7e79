#include "data/dsl/compile_context.h"

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"

namespace runink::dsl {
namespace {

constexpr size_t kMostErrors = 100;

}  // namespace

CompileContext::CompileContext(const Document& document, const CompileEnvironment& environment,
                               Diagnostics* diagnostics)
    : source_(document.source), environment_(environment), diagnostics_(diagnostics) {}

Diagnostic& CompileContext::error(Span span, std::string code, std::string message) {
  return diagnostics_->error(*source_, span, std::move(code), std::move(message));
}

Diagnostic& CompileContext::warning(Span span, std::string code, std::string message) {
  return diagnostics_->warning(*source_, span, std::move(code), std::move(message));
}

bool CompileContext::give_up() {
  const auto& list = diagnostics_->list();
  for (; seen_ < list.size(); ++seen_) {
    if (list[seen_].severity == Severity::kError)
      errors_.insert(list[seen_].location.to_string() + list[seen_].message);
  }
  return too_large_ || errors_.size() >= kMostErrors;
}

void CompileContext::count_facts(const std::vector<plan::ColumnInfo>& columns, Span span) {
  if (too_large_) return;
  for (const auto& c : columns) facts_ += 1 + c.lineage.size() + c.pii.size();
  const CompileLimits& limits = environment_.limits;
  if (columns.size() > limits.columns) {
    too_large_ = true;
    error(span, "dsl.too_large",
          fmt::format("records would have {} fields here; {} are the most", human_count(columns.size()),
                      human_count(limits.columns)));
  } else if (facts_ > limits.column_facts) {
    too_large_ = true;
    error(span, "dsl.too_large", "the fields of all steps up to here are more than one plan can follow")
        .help.push_back("divide the feature into several files, or drop fields early");
  }
}

plan::ContractPtr CompileContext::contract(const std::string& reference, Span span) {
  const auto known = contracts_.find(reference);
  if (known != contracts_.end()) return known->second;
  plan::ContractPtr& slot = contracts_[reference];
  const contract::ContractReference parts = contract::split_reference(reference);
  const auto [entry, fresh] = files_.try_emplace(parts.path);
  LoadedFile& file = entry->second;
  if (fresh) {
    Result<std::string> text =
        environment_.load ? environment_.load(parts.path) : Result<std::string>(not_found("no files can be read here"));
    if (!text.ok()) {
      auto& d = error(span, "dsl.contract",
                      fmt::format("cannot read the contract {}: {}", parts.path, text.status().message()));
      if (!text.status().hint().empty())
        d.help.push_back(text.status().hint());
      else
        d.help.push_back("the path is from the project root");
      return nullptr;
    }
    Diagnostics own;
    file.parsed = contract::parse_contracts(std::make_shared<const SourceText>(parts.path, std::move(*text)),
                                            environment_.load, own);
    file.usable = !own.has_errors();
    diagnostics_->append(std::move(own));
    if (file.usable) {
      for (const auto& f : file.parsed.files) {
        if (std::find(plan.files.begin(), plan.files.end(), f) == plan.files.end()) plan.files.push_back(f);
      }
    }
  }
  if (!file.usable) return nullptr;  // said already
  std::vector<std::string> names;
  for (const auto& c : file.parsed.contracts) {
    names.push_back(c->name);
    if (parts.name == c->name) slot = c;
  }
  if (parts.name.empty() && names.size() == 1) slot = file.parsed.contracts[0];
  if (slot == nullptr) {
    if (names.empty()) {
      error(span, "dsl.contract", fmt::format("{} declares no contract", parts.path));
    } else if (parts.name.empty()) {
      error(span, "dsl.contract", fmt::format("{} declares several contracts: {}", parts.path, join(names, ", ")))
          .help.push_back(fmt::format("name one: \"{}#{}\"", parts.path, names[0]));
    } else {
      const auto near = nearest_any(parts.name, names, 1);
      error(span, "dsl.contract", fmt::format("{} has no contract `{}`", parts.path, parts.name))
          .help.push_back(fmt::format("did you mean \"{}#{}\"?", parts.path, near[0]));
    }
    return nullptr;
  }
  if (std::find(plan.contracts.begin(), plan.contracts.end(), slot) == plan.contracts.end())
    plan.contracts.push_back(slot);
  return slot;
}

std::optional<columnar::Schema> CompileContext::inferred(const plan::Source& source, Span span) {
  const auto d = source.dialect;
  const std::string key = fmt::format("{}\n{}\n{}\n{}{}{}{}{}\n{}", source.locator, source.format, source.compression,
                                      d.delimiter, d.quote, static_cast<int>(d.escape), d.header, d.trim, d.null_text);
  const auto known = schemas_.find(key);
  if (known != schemas_.end()) return known->second;
  std::optional<columnar::Schema>& slot = schemas_[key];
  if (!environment_.infer_schema) {
    error(span, "dsl.schema", fmt::format("the fields of {} are not known here", source.locator))
        .help.push_back("give it a contract: @contract(\"contracts/….contract\")");
    return slot;
  }
  Result<columnar::Schema> schema = environment_.infer_schema(source);
  if (!schema.ok()) {
    auto& e = error(span, "dsl.schema",
                    fmt::format("cannot tell the fields of {}: {}", source.locator, schema.status().to_string()));
    if (!schema.status().hint().empty()) e.help.push_back(schema.status().hint());
    e.help.push_back("a contract would say them without the file: @contract(\"contracts/….contract\")");
    return slot;
  }
  if (schema->size() == 0) {
    error(span, "dsl.schema", fmt::format("{} shows no fields", source.locator))
        .help.push_back("give it a contract: @contract(\"contracts/….contract\")");
    return slot;
  }
  slot = std::move(*schema);
  return slot;
}

expr::ExprPtr CompileContext::parse(const TextAt& text, const expr::ParseOptions& options, SourceTextPtr* parsed_text) {
  if (text.exact) {
    *parsed_text = source_;
    expr::ParseOptions own = options;
    own.table_cell = text.table_cell;
    return expr::parse(source_, text.span, *diagnostics_, own);
  }
  *parsed_text = std::make_shared<const SourceText>(source_->path(), text.text);
  Diagnostics own;
  auto tree = expr::parse(*parsed_text, Span{0, text.text.size()}, own, options);
  rehome(own, text);
  return tree;
}

void CompileContext::rehome(const Diagnostics& from, const TextAt& text) {
  for (const Diagnostic& d : from.list()) {
    Diagnostic& here =
        d.severity == Severity::kError ? error(text.span, d.code, d.message) : warning(text.span, d.code, d.message);
    here.help = d.help;
    here.help.push_back("the expression is: " + text.text);
  }
}

}  // namespace runink::dsl
