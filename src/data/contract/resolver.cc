#include "data/contract/resolver.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/nearest.h"
#include "base/text.h"
#include "data/contract/attributes.h"
#include "data/contract/canonical.h"
#include "data/contract/loader.h"
#include "data/contract/type_words.h"
#include "data/expr/ast.h"

namespace runink::contract {

using columnar::TypeId;

namespace {

// A struct whose types and attributes are resolved; members of struct types are nested.
struct ResolvedStruct {
  enum class State { kNew, kInProgress, kDone } state = State::kNew;
  const StructSyntax* syntax = nullptr;
  const SourceText* source = nullptr;
  struct FileScope* scope = nullptr;
  std::vector<ContractField> members;
  size_t leaves = 0;  // fields in it, at any depth
  int depth = 0;      // of nesting
  bool good = true;
};

struct FileScope {
  FileSyntax syntax;
  std::map<std::string, ResolvedStruct*> structs;  // visible in this file, by name
  std::vector<std::string> own;
  bool complete = false;
};

class Resolver {
 public:
  Resolver(const TextLoader& loader, Diagnostics& diagnostics) : loader_(loader), diagnostics_(diagnostics) {}

  ParsedFile resolve(const SourceTextPtr& source) {
    ParsedFile parsed;
    FileScope* scope = open_file(source, 0);
    for (const auto& declared : scope->syntax.structs) parsed.structs.push_back(declared.name);
    // Structs that no contract uses are checked as well: a file of structs alone must not hide errors.
    for (const auto& name : scope->own) resolve_struct(*scope->structs[name], 0);
    std::set<std::string> names;
    for (const auto& declared : scope->syntax.contracts) {
      if (!names.insert(declared.name).second) {
        diagnostics_.error(*source, declared.name_span, "contract.repeated_name",
                           fmt::format("there are two contracts named {}", declared.name));
        continue;
      }
      auto contract = resolve_contract(*scope, declared);
      if (contract) parsed.contracts.push_back(std::move(contract));
    }
    if (scope->syntax.contracts.empty() && scope->syntax.structs.empty() && !diagnostics_.has_errors()) {
      diagnostics_.error(*source, {0, 0}, "contract.empty", "this file declares nothing")
          .help.push_back("contract Name { string id [[required]]; }");
    }
    // What did not parse may have been a field or a rule: no contract of a text with errors is to be trusted.
    if (diagnostics_.has_errors()) parsed.contracts.clear();
    parsed.files = order_;
    return parsed;
  }

 private:
  // --- files ---------------------------------------------------------------------------------------------------------

  FileScope* open_file(const SourceTextPtr& source, int depth) {
    auto owned = std::make_unique<FileScope>();
    FileScope* scope = owned.get();
    files_[source->path()] = std::move(owned);
    order_.push_back(source->path());
    sources_.push_back(source);
    chain_.push_back(source->path());
    scope->syntax = parse_syntax(source, diagnostics_);
    for (const auto& import : scope->syntax.imports) import_file(*scope, import, depth);
    for (const auto& declared : scope->syntax.structs) declare_struct(*scope, declared);
    chain_.pop_back();
    scope->complete = true;
    return scope;
  }

  void import_file(FileScope& scope, const ImportSyntax& import, int depth) {
    const SourceText& source = *scope.syntax.source;
    const std::string path = path_beside(source.path(), import.path);
    const auto fail = [&](std::string message) -> Diagnostic& {
      return diagnostics_.error(source, import.span, "contract.import", std::move(message));
    };
    FileScope* imported = nullptr;
    if (const auto known = files_.find(path); known != files_.end()) {
      imported = known->second.get();
      if (!imported->complete) {
        std::string circle;
        for (auto at = std::find(chain_.begin(), chain_.end(), path); at != chain_.end(); ++at)
          circle += *at + " imports ";
        diagnostics_.error(source, import.span, "contract.import_cycle", "imports go round in a circle")
            .help.push_back(circle + path);
        return;
      }
    } else {
      if (depth + 1 >= kImportDepthMax) {
        fail(fmt::format("imports go more than {} deep", kImportDepthMax));
        return;
      }
      if (files_.size() >= kFilesMax) {
        fail(fmt::format("one contract imports at most {} files", kFilesMax));
        return;
      }
      auto text = loader_(path);
      if (!text.ok()) {
        auto& diagnostic =
            fail(fmt::format("cannot import \"{}\": {}", escape_control(import.path), text.status().message()));
        diagnostic.help.push_back("a path starts at the folder of the importing file");
        return;
      }
      imported = open_file(std::make_shared<SourceText>(path, std::move(text).value()), depth + 1);
    }
    for (const auto& [name, declared] : imported->structs) {
      const auto [at, added] = scope.structs.emplace(name, declared);
      if (!added && at->second != declared) {
        fail(fmt::format("this import brings a second struct named {}", name))
            .help.push_back(fmt::format("the first is declared in {}",
                                        locate(*at->second->source, at->second->syntax->name_span).to_string()));
      }
    }
  }

  void declare_struct(FileScope& scope, const StructSyntax& declared) {
    const SourceText& source = *scope.syntax.source;
    if (is_reserved_word(declared.name)) {
      diagnostics_.error(source, declared.name_span, "contract.reserved_name",
                         fmt::format("{} is a word of the language", declared.name));
      return;
    }
    auto owned = std::make_unique<ResolvedStruct>();
    owned->syntax = &declared;
    owned->source = &source;
    owned->scope = &scope;
    const auto [at, added] = scope.structs.emplace(declared.name, owned.get());
    if (!added) {
      diagnostics_
          .error(source, declared.name_span, "contract.repeated_name",
                 fmt::format("there are two structs named {}", declared.name))
          .help.push_back(fmt::format("the first is declared in {}",
                                      locate(*at->second->source, at->second->syntax->name_span).to_string()));
      return;
    }
    scope.own.push_back(declared.name);
    structs_.push_back(std::move(owned));
  }

  // --- types ---------------------------------------------------------------------------------------------------------

  void resolve_struct(ResolvedStruct& declared, int depth) {
    if (declared.state == ResolvedStruct::State::kDone) return;
    declared.state = ResolvedStruct::State::kInProgress;
    struct_chain_.push_back(&declared);
    resolve_members(*declared.scope, declared.syntax->fields, depth, declared.members, declared.leaves, declared.depth,
                    declared.good);
    if (declared.syntax->fields.empty()) {
      diagnostics_.error(*declared.source, declared.syntax->name_span, "contract.empty", "a struct needs a field");
      declared.good = false;
    }
    struct_chain_.pop_back();
    declared.state = ResolvedStruct::State::kDone;
  }

  void resolve_members(FileScope& scope, const std::vector<FieldSyntax>& syntaxes, int depth,
                       std::vector<ContractField>& members, size_t& leaves, int& deepest, bool& good) {
    const SourceText& source = *scope.syntax.source;
    for (const auto& syntax : syntaxes) {
      ContractField member;
      size_t count = 0;
      int below = 0;
      if (!resolve_field(scope, syntax, depth, member, count, below)) {
        good = false;
        continue;
      }
      leaves += count;
      deepest = std::max(deepest, below);
      if (leaves > kColumnsMax) {
        diagnostics_.error(source, syntax.name_span, "contract.too_large",
                           fmt::format("a record has at most {} fields", kColumnsMax));
        good = false;
        return;
      }
      if (!name_is_free(members, member, source, syntax)) {
        good = false;
        continue;
      }
      members.push_back(std::move(member));
    }
  }

  bool name_is_free(const std::vector<ContractField>& members, const ContractField& member, const SourceText& source,
                    const FieldSyntax& syntax) {
    for (const auto& other : members) {
      if (other.name == member.name) {
        diagnostics_
            .error(source, syntax.name_span, "contract.repeated_name",
                   fmt::format("there are two fields named {}", member.name))
            .help.push_back("the first is at " + other.location.to_string());
        return false;
      }
    }
    return true;
  }

  bool resolve_field(FileScope& scope, const FieldSyntax& syntax, int depth, ContractField& field, size_t& leaves,
                     int& deepest) {
    const SourceText& source = *scope.syntax.source;
    if (diagnostics_.list().size() >= kDiagnosticsMax) return false;  // enough was said
    field.name = syntax.name;
    field.location = locate(source, syntax.name_span);
    if (!resolve_type(scope, syntax.type, depth, field.type, field.elements, leaves, deepest)) return false;
    resolved_fields_ += leaves;
    if (resolved_fields_ > kResolvedFieldsMax) {
      if (resolved_fields_ - leaves <= kResolvedFieldsMax) {
        diagnostics_.error(
            source, syntax.name_span, "contract.too_large",
            fmt::format("all structs and contracts of a file together have at most {} fields", kResolvedFieldsMax));
      }
      return false;
    }
    const unsigned place = field.type.id() == TypeId::kStruct ? kOnStruct : kOnField;
    apply_field_attributes(syntax, source, place, field, diagnostics_);
    return true;
  }

  // `members` receives the fields of a struct, or of the struct that a list holds.
  bool resolve_type(FileScope& scope, const TypeSyntax& syntax, int depth, DataType& type,
                    std::vector<ContractField>& members, size_t& leaves, int& deepest) {
    leaves = 1;
    const SourceText& source = *scope.syntax.source;
    if (depth > kTypeDepthMax) {
      diagnostics_.error(source, syntax.span, "contract.too_deep",
                         fmt::format("types nest at most {} deep", kTypeDepthMax));
      return false;
    }
    switch (syntax.kind) {
      case TypeSyntax::Kind::kDecimal:
        type = DataType::decimal(syntax.precision, syntax.scale);
        return true;
      case TypeSyntax::Kind::kEnum:
        return resolve_enum(source, syntax, type);
      case TypeSyntax::Kind::kList: {
        DataType element;
        if (!resolve_type(scope, syntax.element[0], depth + 1, element, members, leaves, deepest)) return false;
        deepest += 1;
        for (const auto& member : members) {
          if (!check_list_member(source, syntax, member)) return false;
        }
        type = DataType::list(std::move(element));
        return true;
      }
      case TypeSyntax::Kind::kStruct: {
        bool good = true;
        leaves = 0;
        resolve_members(scope, syntax.members, depth + 1, members, leaves, deepest, good);
        if (syntax.members.empty()) {
          diagnostics_.error(source, syntax.span, "contract.empty", "a struct needs a field");
          return false;
        }
        deepest += 1;
        type = struct_type(members);
        return good;
      }
      case TypeSyntax::Kind::kNamed:
        return resolve_named(scope, syntax, depth, type, members, leaves, deepest);
    }
    return false;
  }

  static DataType struct_type(const std::vector<ContractField>& members) {
    std::vector<columnar::Field> fields;
    for (const auto& member : members) {
      fields.push_back({member.name, member.type, member.nullable(), member.format, member.zone});
    }
    return DataType::structure(std::move(fields));
  }

  bool resolve_enum(const SourceText& source, const TypeSyntax& syntax, DataType& type) {
    std::vector<std::string> labels;
    std::set<std::string_view> seen;
    for (const auto& label : syntax.labels) {
      if (label.text.empty()) {
        diagnostics_.error(source, label.span, "contract.type", "a value of an enum must not be empty");
        return false;
      }
      if (!seen.insert(label.text).second) {
        diagnostics_.error(source, label.span, "contract.repeated_value",
                           fmt::format("the enum has {} twice", quote_text(label.text)));
        continue;
      }
      labels.push_back(label.text);
    }
    type = DataType::enumeration(std::move(labels));
    return true;
  }

  bool resolve_named(FileScope& scope, const TypeSyntax& syntax, int depth, DataType& type,
                     std::vector<ContractField>& members, size_t& leaves, int& deepest) {
    for (const auto& [word, id] : plain_types()) {
      if (syntax.name == word) {
        type = id;
        return true;
      }
    }
    const SourceText& source = *scope.syntax.source;
    const auto found = scope.structs.find(syntax.name);
    if (found == scope.structs.end()) {
      unknown_type(scope, syntax);
      return false;
    }
    ResolvedStruct& declared = *found->second;
    if (declared.state == ResolvedStruct::State::kInProgress) {
      std::string circle;
      for (auto at = std::find(struct_chain_.begin(), struct_chain_.end(), &declared); at != struct_chain_.end();
           ++at) {
        circle += (*at)->syntax->name + " holds ";
      }
      diagnostics_.error(source, syntax.span, "contract.recursive_struct", "a struct cannot hold itself")
          .help.push_back(circle + declared.syntax->name);
      return false;
    }
    resolve_struct(declared, depth + 1);
    if (!declared.good) return false;
    if (depth + declared.depth > kTypeDepthMax) {
      diagnostics_.error(source, syntax.span, "contract.too_deep",
                         fmt::format("types nest at most {} deep", kTypeDepthMax));
      return false;
    }
    members = declared.members;
    leaves = declared.leaves;
    deepest = declared.depth + 1;
    type = struct_type(members);
    return true;
  }

  void unknown_type(const FileScope& scope, const TypeSyntax& syntax) {
    std::vector<std::string> names;
    for (const auto& [word, id] : plain_types()) names.push_back(word);
    for (const char* word : {"decimal", "enum", "list", "struct"}) names.push_back(word);
    for (const auto& [name, declared] : scope.structs) names.push_back(name);
    auto& diagnostic = diagnostics_.error(*scope.syntax.source, syntax.span, "contract.unknown_type",
                                          fmt::format("there is no type {}", syntax.name));
    const std::string elsewhere = known_elsewhere(syntax.name);
    if (!elsewhere.empty()) {
      diagnostic.help.push_back(fmt::format("here that is {}", elsewhere));
      return;
    }
    for (const auto& near : nearest(syntax.name, names))
      diagnostic.help.push_back(fmt::format("did you mean {}?", near));
    if (diagnostic.help.empty()) {
      diagnostic.help.push_back("types: " + join(names, ", "));
      diagnostic.help.push_back("a struct must be declared in this file or in one that it imports");
    }
  }

  // A struct may be used both as columns and inside lists; some rules mean something only for columns.
  bool check_list_member(const SourceText& source, const TypeSyntax& list, const ContractField& member) {
    const std::string attribute = attribute_not_for_members(member);
    if (!attribute.empty()) {
      diagnostics_
          .error(source, list.span, "contract.misplaced_attribute",
                 fmt::format("{} of {} has no meaning inside a list", attribute, member.name))
          .help.push_back("it is declared at " + member.location.to_string());
      return false;
    }
    for (const auto& inner : member.elements) {
      if (!check_list_member(source, list, inner)) return false;
    }
    return true;
  }

  // --- contracts -----------------------------------------------------------------------------------------------------

  ContractPtr resolve_contract(FileScope& scope, const ContractSyntax& syntax) {
    const SourceText& source = *scope.syntax.source;
    const size_t errors_before = diagnostics_.error_count();
    auto contract = std::make_shared<Contract>();
    contract->name = syntax.name;
    contract->location = locate(source, syntax.name_span);
    contract->files = order_;
    apply_contract_attributes(syntax, source, *contract, diagnostics_);
    resolve_columns(scope, syntax, *contract);
    if (syntax.fields.empty() && !diagnostics_.has_errors()) {  // else its fields may be what did not parse
      diagnostics_.error(source, syntax.name_span, "contract.empty", "a contract needs a field");
    }
    const bool fields_good = diagnostics_.error_count() == errors_before;
    std::vector<columnar::Field> columns;
    for (const auto& field : contract->fields) {
      columns.push_back({field.name, field.type, field.nullable(), field.format, field.zone});
    }
    const auto schema = std::make_shared<columnar::Schema>(std::move(columns));
    std::set<std::string> names;
    for (const auto& rule : syntax.rules)
      resolve_rule(*scope.syntax.source, scope, rule, schema, fields_good, names, *contract);
    if (diagnostics_.error_count() != errors_before) return nullptr;
    derive(*contract);
    contract->hash = contract_hash(*contract);
    return contract;
  }

  void resolve_columns(FileScope& scope, const ContractSyntax& syntax, Contract& contract) {
    const SourceText& source = *scope.syntax.source;
    size_t total = 0;
    std::map<std::string, size_t> columns;  // by name
    for (const auto& field_syntax : syntax.fields) {
      ContractField field;
      size_t leaves = 0;
      int depth = 0;
      if (!resolve_field(scope, field_syntax, 0, field, leaves, depth)) continue;
      total += leaves;
      if (total > kColumnsMax) {
        diagnostics_.error(source, field_syntax.name_span, "contract.too_large",
                           fmt::format("a contract has at most {} columns", kColumnsMax));
        return;
      }
      const size_t first = contract.fields.size();
      flatten(std::move(field), contract.fields);
      for (size_t i = first; i < contract.fields.size(); ++i) {
        const auto [at, added] = columns.emplace(contract.fields[i].name, i);
        if (added) continue;
        diagnostics_
            .error(source, field_syntax.name_span, "contract.repeated_name",
                   fmt::format("there are two fields named {}", contract.fields[i].name))
            .help.push_back("the first is at " + contract.fields[at->second].location.to_string());
      }
    }
    // `a` and `a.b` cannot both be there: a record's `a` is either a value or an object.
    for (const auto& [name, index] : columns) {
      for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
        const auto whole = columns.find(name.substr(0, dot));
        if (whole == columns.end()) continue;
        Diagnostic diagnostic;
        diagnostic.code = "contract.repeated_name";
        diagnostic.location = contract.fields[index].location;
        diagnostic.message = fmt::format("{} is a field of its own and cannot also hold {}", whole->first, name);
        diagnostic.line_text = line_at(diagnostic.location);
        diagnostics_.add(std::move(diagnostic));
      }
    }
  }

  std::string line_at(const Location& location) const {
    for (const auto& source : sources_) {
      if (source->path() == location.file) return std::string(source->line(location.line));
    }
    return {};
  }

  // A field of a struct type becomes one column per member. What is said of the struct about protection, and words to
  // find it by, holds for each member that says nothing itself.
  static void flatten(ContractField field, std::vector<ContractField>& columns) {
    if (field.type.id() != TypeId::kStruct) {
      columns.push_back(std::move(field));
      return;
    }
    for (auto& member : field.elements) {
      member.name = field.name + "." + member.name;
      member.pii = member.pii || field.pii;
      if (member.pii_kind.empty()) member.pii_kind = field.pii_kind;
      if (member.access.empty()) member.access = field.access;
      if (member.mask.empty()) member.mask = field.mask;
      if (member.lineage.empty()) member.lineage = field.lineage;
      if (member.tags.empty()) member.tags = field.tags;
      flatten(std::move(member), columns);
    }
  }

  void resolve_rule(const SourceText& source, const FileScope& scope, const RuleSyntax& syntax, const SchemaPtr& schema,
                    bool fields_good, std::set<std::string>& names, Contract& contract) {
    const char* word = syntax.is_quality ? "quality" : "check";
    if (!names.insert(fmt::format("{} {}", word, syntax.name)).second) {
      diagnostics_.error(source, syntax.name_span, "contract.repeated_name",
                         fmt::format("there are two {} rules named {}", word, syntax.name));
      return;
    }
    const SourceTextPtr& text = scope.syntax.source;
    expr::ParseOptions parse_options;
    parse_options.comments = true;
    const expr::ExprPtr tree = expr::parse(text, syntax.expression, diagnostics_, parse_options);
    std::string written = source.text().substr(syntax.expression.offset, syntax.expression.length);
    const Location location = locate(source, syntax.name_span);
    expr::CheckOptions options;
    options.must_be_bool_for = syntax.is_quality ? "a quality rule" : "a check";
    if (syntax.is_quality) {
      QualityRule quality;
      quality.name = syntax.name;
      quality.text = std::move(written);
      quality.location = location;
      apply_quality_attributes(syntax, source, quality, diagnostics_);
      if (tree == nullptr || !fields_good) return;
      quality.canonical = expr::to_text(*tree);
      quality.expression = expr::check_aggregate(tree, text, expr::Scope(schema), {}, diagnostics_, options);
      if (quality.expression.valid()) contract.qualities.push_back(std::move(quality));
      return;
    }
    options.no_aggregates_because = "a check looks at one record at a time; `quality` looks at all of them";
    RowCheck check;
    check.name = syntax.name;
    check.text = std::move(written);
    check.location = location;
    apply_check_attributes(syntax, source, check, diagnostics_);
    if (tree == nullptr || !fields_good) return;
    check.canonical = expr::to_text(*tree);
    check.expression = expr::check(tree, text, expr::Scope(schema), diagnostics_, options);
    if (!check.expression.valid()) return;
    if (check.expression.columns().empty()) {
      diagnostics_.warning(source, syntax.expression, "contract.useless_rule",
                           "this check looks at no field of the record");
    }
    contract.checks.push_back(std::move(check));
  }

  const TextLoader& loader_;
  Diagnostics& diagnostics_;
  std::map<std::string, std::unique_ptr<FileScope>> files_;  // by path
  std::vector<std::string> order_;                           // paths in order of first use
  std::vector<SourceTextPtr> sources_;
  std::vector<std::string> chain_;  // of imports being read
  std::vector<std::unique_ptr<ResolvedStruct>> structs_;
  std::vector<ResolvedStruct*> struct_chain_;
  // Structs are copied into what uses them: this bounds the memory that a small malicious file can ask for.
  size_t resolved_fields_ = 0;
  static constexpr size_t kResolvedFieldsMax = 131072;
};

}  // namespace

ParsedFile parse_contracts(const SourceTextPtr& text, const TextLoader& loader, Diagnostics& diagnostics) {
  Diagnostics own;
  ParsedFile parsed = Resolver(loader, own).resolve(text);
  // Found in several passes, told in the order of the text, the file itself before what it imports.
  std::vector<Diagnostic> list = own.list();
  const auto place = [&parsed](const Diagnostic& diagnostic) {
    const auto file = std::find(parsed.files.begin(), parsed.files.end(), diagnostic.location.file);
    return std::tuple(file - parsed.files.begin(), diagnostic.location.line, diagnostic.location.column);
  };
  std::stable_sort(list.begin(), list.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  for (auto& diagnostic : list) diagnostics.add(std::move(diagnostic));
  return parsed;
}

}  // namespace runink::contract
