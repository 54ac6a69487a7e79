// Reads the attributes of one declaration: looks each up, and hands those that may stand there, with a right number of
// arguments and for the first time, to a callback. Internal to this module.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "data/contract/attributes.h"

namespace runink::contract {

class AttributeReader {
 public:
  AttributeReader(const SourceText& source, unsigned place, Diagnostics& diagnostics)
      : source_(source), place_(place), diagnostics_(diagnostics) {}

  template <typename Apply>
  void read(const std::vector<AttributeSyntax>& attributes, Apply apply) {
    std::set<AttributeId> seen;
    for (const auto& attribute : attributes) {
      const AttributeInfo* info = find(attribute);
      if (info == nullptr || !arguments_fit(*info, attribute)) continue;
      if (!seen.insert(info->id).second) {
        error(attribute.name_span, "contract.repeated_attribute", std::string(info->name) + " is given twice");
        continue;
      }
      apply(*info, attribute);
    }
  }

  Diagnostic& error(Span span, std::string code, std::string message) {
    return diagnostics_.error(source_, span, std::move(code), std::move(message));
  }
  Diagnostic& warning(Span span, std::string code, std::string message) {
    return diagnostics_.warning(source_, span, std::move(code), std::move(message));
  }

  // The argument as text; attributes for people and names of things want quotes. False: an error was reported.
  bool text_argument(const AttributeSyntax& attribute, size_t index, std::string& out);
  // All arguments as texts, each once.
  bool text_list(const AttributeSyntax& attribute, std::vector<std::string>& out);

 private:
  const AttributeInfo* find(const AttributeSyntax& attribute);
  bool arguments_fit(const AttributeInfo& info, const AttributeSyntax& attribute);

  const SourceText& source_;
  unsigned place_;
  Diagnostics& diagnostics_;
};

}  // namespace runink::contract
