// The tree of a contract file as written, before names are resolved. Internal to this module.
#pragma once

#include <string>
#include <vector>

#include "base/diagnostic.h"

namespace runink::contract {

struct ArgumentSyntax {
  std::string text;  // a string's content, or the characters as written, trimmed
  bool quoted = false;
  Span span;
};

struct AttributeSyntax {
  std::string name;
  Span name_span;
  bool parentheses = false;
  std::vector<ArgumentSyntax> arguments;
};

struct FieldSyntax;

struct TypeSyntax {
  enum class Kind { kNamed, kDecimal, kEnum, kList, kStruct };
  Kind kind = Kind::kNamed;
  std::string name;  // kNamed: "int32" or a struct's name
  Span span;
  int precision = 0, scale = 0;
  std::vector<ArgumentSyntax> labels;
  std::vector<TypeSyntax> element;   // kList: one
  std::vector<FieldSyntax> members;  // kStruct
};

struct FieldSyntax {
  TypeSyntax type;
  std::string name;  // may be dotted
  Span name_span;
  std::vector<AttributeSyntax> attributes;
};

struct RuleSyntax {
  bool is_quality = false;
  std::string name;
  Span name_span;
  Span expression;  // in the file's text, trimmed
  std::vector<AttributeSyntax> attributes;
};

struct StructSyntax {
  std::string name;
  Span name_span;
  std::vector<FieldSyntax> fields;
};

struct ContractSyntax {
  std::string name;
  Span name_span;
  std::vector<AttributeSyntax> attributes;
  std::vector<FieldSyntax> fields;
  std::vector<RuleSyntax> rules;
};

struct ImportSyntax {
  std::string path;
  Span span;
};

struct FileSyntax {
  SourceTextPtr source;
  std::vector<ImportSyntax> imports;
  std::vector<StructSyntax> structs;
  std::vector<ContractSyntax> contracts;
};

inline constexpr size_t kFileBytesMax = size_t{4} << 20;
inline constexpr size_t kFilesMax = 64;
inline constexpr int kImportDepthMax = 16;
inline constexpr int kTypeDepthMax = 16;
inline constexpr size_t kColumnsMax = 4096;
inline constexpr size_t kRulesMax = 4096;
inline constexpr size_t kDiagnosticsMax = 100;

// Reads a whole file's declarations; reports what does not parse and goes on at the next declaration.
FileSyntax parse_syntax(const SourceTextPtr& source, Diagnostics& diagnostics);

}  // namespace runink::contract
