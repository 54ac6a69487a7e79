// Recursive descent over the declarations of a contract file. Names are resolved later (resolver.cc).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/nearest.h"
#include "base/text.h"
#include "data/contract/lexer.h"
#include "data/contract/parse.h"
#include "data/contract/syntax.h"

namespace runink::contract {
namespace {

bool is_type_word(std::string_view name) {
  const auto& words = type_words();
  return std::any_of(words.begin(), words.end(), [name](const WordHelp& word) { return word.name == name; });
}

class SyntaxParser {
 public:
  SyntaxParser(const SourceTextPtr& source, Diagnostics& diagnostics)
      : source_(*source), diagnostics_(diagnostics), lexer_(*source, diagnostics) {
    file_.source = source;
    advance();
  }

  FileSyntax parse() {
    std::vector<AttributeSyntax> attributes;
    while (token_.kind != TokenKind::kEnd && diagnostics_.list().size() < kDiagnosticsMax) {
      if (token_.is(';')) {
        advance();
      } else if (at_attributes()) {
        if (!parse_attributes(attributes)) recover_declaration();
      } else {
        const bool takes_attributes = token_.is_word("contract");
        if (!attributes.empty() && !takes_attributes) {
          error(attributes[0].name_span, "contract.syntax", "these attributes stand before nothing that takes them")
              .help.push_back(
                  "attributes in front of a declaration are those of a contract: [[…]] contract Name { … }");
          attributes.clear();
        }
        if (!parse_declaration(attributes)) recover_declaration();
        attributes.clear();
      }
    }
    if (!attributes.empty()) {
      error(attributes[0].name_span, "contract.syntax", "no contract follows these attributes");
    }
    return std::move(file_);
  }

 private:
  void advance() { token_ = lexer_.next(); }
  Diagnostic& error(Span span, std::string code, std::string message) {
    return diagnostics_.error(source_, span, std::move(code), std::move(message));
  }
  std::string found() const {
    switch (token_.kind) {
      case TokenKind::kEnd:
        return "the end of the file";
      case TokenKind::kString:
        return "a string";
      default:
        return fmt::format("\"{}\"", escape_control(token_.text));
    }
  }
  Diagnostic& expected(std::string_view what) {
    return error(token_.span, "contract.syntax", fmt::format("expected {} but found {}", what, found()));
  }
  // A character that the lexer already complained about gets no second complaint.
  bool fail(std::string_view what, std::string help = {}) {
    if (token_.kind == TokenKind::kBad) return false;
    auto& diagnostic = expected(what);
    if (!help.empty()) diagnostic.help.push_back(std::move(help));
    return false;
  }
  bool expect(char c, std::string_view what) {
    if (!token_.is(c)) return fail(what);
    advance();
    return true;
  }
  // A semicolon that is missing at the end of a line is reported there, and parsing goes on with the next line.
  bool expect_semicolon(size_t end_of_previous, std::string_view after) {
    if (token_.is(';')) {
      advance();
      return true;
    }
    if (token_.kind == TokenKind::kBad) return false;
    const auto gap = std::string_view(source_.text())
                         .substr(end_of_previous, token_.span.offset - std::min(token_.span.offset, end_of_previous));
    if (gap.find('\n') != std::string_view::npos || token_.is('}')) {
      error({end_of_previous, 0}, "contract.syntax", fmt::format("a ; is missing after {}", after));
      return true;
    }
    expected(fmt::format("; after {}", after));
    return false;
  }

  // Cheaper than asking for the column: recovery asks this of every token.
  bool starts_line() const { return token_.span.offset == 0 || source_.text()[token_.span.offset - 1] == '\n'; }
  bool at_attributes() const { return token_.is('[') && source_.text().compare(token_.span.offset, 2, "[[") == 0; }

  // To the next word that begins a declaration at the start of a line, or the end.
  void recover_declaration() {
    while (token_.kind != TokenKind::kEnd) {
      const bool first = starts_line();
      if (first &&
          (token_.is_word("import") || token_.is_word("struct") || token_.is_word("contract") || at_attributes())) {
        return;
      }
      advance();
    }
  }
  // To just past the next ; or to the } that ends the body.
  void recover_member() {
    int depth = 0;
    while (token_.kind != TokenKind::kEnd) {
      if (token_.is(';') && depth == 0) {
        advance();
        return;
      }
      if (token_.is('{')) ++depth;
      if (token_.is('}')) {
        if (depth == 0) return;
        --depth;
      }
      const bool first = starts_line();
      if (first && (token_.is_word("struct") || token_.is_word("contract") || token_.is_word("import"))) return;
      advance();
    }
  }

  bool parse_declaration(std::vector<AttributeSyntax>& attributes) {
    if (token_.is_word("import")) return parse_import();
    if (token_.is_word("struct")) return parse_struct();
    if (token_.is_word("contract")) return parse_contract(attributes);
    if (token_.kind == TokenKind::kBad) return false;
    if (token_.is('}')) {
      error(token_.span, "contract.syntax", "this } closes nothing");
      advance();
      return true;
    }
    auto& diagnostic = expected("import, struct, contract or [[attributes]]");
    if (token_.kind == TokenKind::kWord) {
      for (const auto& word : nearest(token_.text, {"import", "struct", "contract"})) {
        diagnostic.help.push_back(fmt::format("did you mean {}?", word));
      }
    }
    return false;
  }

  bool parse_import() {
    advance();
    if (token_.kind != TokenKind::kString) return fail("the path of a contract file", "import \"common.contract\";");
    ImportSyntax import{token_.text, token_.span};
    const size_t end = lexer_.position();
    advance();
    if (import.path.empty() || import.path.find('\0') != std::string::npos) {
      error(import.span, "contract.import", "an import needs the path of a file");
    } else {
      file_.imports.push_back(std::move(import));
    }
    return expect_semicolon(end, "an import");
  }

  bool parse_struct() {
    advance();
    StructSyntax declared;
    if (!parse_plain_name(declared.name, declared.name_span, "the name of the struct")) return false;
    if (!expect('{', "{ and the fields of the struct")) return false;
    const bool closed = parse_fields(declared.fields, nullptr, 0);
    file_.structs.push_back(std::move(declared));
    return closed;
  }

  bool parse_contract(std::vector<AttributeSyntax>& attributes) {
    advance();
    ContractSyntax declared;
    declared.attributes = std::move(attributes);
    if (!parse_plain_name(declared.name, declared.name_span, "the name of the contract")) return false;
    if (at_attributes() && !parse_attributes(declared.attributes)) return false;
    if (!expect('{', "{ and the fields of the contract")) return false;
    const bool closed = parse_fields(declared.fields, &declared.rules, 0);
    file_.contracts.push_back(std::move(declared));
    return closed;
  }

  bool parse_plain_name(std::string& name, Span& span, std::string_view what) {
    if (token_.kind != TokenKind::kWord) return fail(what);
    name = token_.text;
    span = token_.span;
    advance();
    return true;
  }

  // Up to and with the closing }. `rules` is null where checks have no place.
  bool parse_fields(std::vector<FieldSyntax>& fields, std::vector<RuleSyntax>* rules, int depth) {
    while (!token_.is('}')) {
      if (diagnostics_.list().size() >= kDiagnosticsMax) return false;
      if (token_.kind == TokenKind::kEnd) {
        expected("} at the end of the body");
        return false;
      }
      if (token_.is(';')) {
        advance();
        continue;
      }
      const bool first = starts_line();
      if (depth == 0 && first && (token_.is_word("contract") || token_.is_word("import"))) {
        error(token_.span, "contract.syntax", fmt::format("a }} is missing before this {}", token_.text));
        return true;
      }
      if (fields.size() > kColumnsMax || (rules != nullptr && rules->size() > kRulesMax)) {
        error(token_.span, "contract.too_large",
              fmt::format("a body has at most {} fields and {} rules", kColumnsMax, kRulesMax));
        return false;
      }
      if (!parse_member(fields, rules, depth)) recover_member();
    }
    advance();
    return true;
  }

  bool parse_member(std::vector<FieldSyntax>& fields, std::vector<RuleSyntax>* rules, int depth) {
    if (token_.is_word("check") || token_.is_word("quality")) {
      const Span keyword = token_.span;
      const std::string word = token_.text;
      const bool is_quality = token_.is_word("quality");
      advance();
      if (rules == nullptr) {
        error(keyword, "contract.syntax", fmt::format("a {} has no place in a struct", word))
            .help.push_back("write it in the contract, with the field's full name: billing.city");
        return false;
      }
      return parse_rule(is_quality, *rules);
    }
    if (token_.kind != TokenKind::kWord) {
      if (at_attributes()) {
        error(token_.span, "contract.syntax", "attributes of a field stand after its name")
            .help.push_back("int32 delay [[required]];");
        return false;
      }
      return fail("a field such as `int32 delay;`, a check or a quality");
    }
    FieldSyntax field;
    if (!parse_type(field.type, depth)) return false;
    if (field.type.kind == TypeSyntax::Kind::kNamed && (token_.is(';') || at_attributes())) {
      error(field.type.span, "contract.syntax", "a field needs a type and a name")
          .help.push_back(is_type_word(field.type.name) ? field.type.name + " name;"
                                                        : fmt::format("string {};", field.type.name));
      return false;
    }
    if (field.type.kind == TypeSyntax::Kind::kNamed && field.type.name == "struct" && token_.kind == TokenKind::kWord) {
      error(field.type.span, "contract.syntax", "a struct is declared outside of the contract")
          .help.push_back(
              "move it in front of the contract, or write its members in place: struct { string city; } billing;");
      return false;
    }
    if (!parse_field_name(field)) return false;
    size_t end = field.name_span.offset + field.name_span.length;
    while (at_attributes()) {
      if (!parse_attributes(field.attributes)) return false;
      end = attributes_end_;
    }
    fields.push_back(std::move(field));
    return expect_semicolon(end, "a field");
  }

  bool parse_field_name(FieldSyntax& field) {
    if (token_.kind != TokenKind::kWord) return fail("the name of the field");
    field.name = token_.text;
    field.name_span = token_.span;
    advance();
    while (token_.is('.')) {
      advance();
      if (token_.kind != TokenKind::kWord) return fail("the rest of the name after the dot");
      field.name += "." + token_.text;
      field.name_span.length = token_.span.offset + token_.span.length - field.name_span.offset;
      advance();
    }
    return true;
  }

  bool parse_rule(bool is_quality, std::vector<RuleSyntax>& rules) {
    RuleSyntax rule;
    rule.is_quality = is_quality;
    const std::string_view word = is_quality ? "quality" : "check";
    if (token_.is(':')) {
      error(token_.span, "contract.syntax", fmt::format("this {} needs a name", word))
          .help.push_back(fmt::format("{} distinct_airports: origin != destination;", word));
      return false;
    }
    if (!parse_plain_name(rule.name, rule.name_span, fmt::format("the name of the {}", word))) return false;
    if (!token_.is(':')) return fail(fmt::format(": and an expression after the name of the {}", word));
    lexer_.seek(token_.span.offset + 1);
    rule.expression = lexer_.raw_until(";}");
    advance();
    if (rule.expression.length == 0) return fail(fmt::format("the expression of the {}", word));
    size_t end = rule.expression.offset + rule.expression.length;
    while (at_attributes()) {
      if (!parse_attributes(rule.attributes)) return false;
      end = attributes_end_;
    }
    rules.push_back(std::move(rule));
    return expect_semicolon(end, fmt::format("the {}", word));
  }

  bool parse_attributes(std::vector<AttributeSyntax>& attributes) {
    const Span open = token_.span;
    advance();
    advance();  // both brackets
    if (token_.is(']')) {
      error(open, "contract.syntax", "these attributes are empty");
    }
    while (!token_.is(']')) {
      if (attributes.size() > 256) {
        error(token_.span, "contract.too_large", "at most 256 attributes");
        return false;
      }
      AttributeSyntax attribute;
      if (token_.kind != TokenKind::kWord) return fail("the name of an attribute");
      attribute.name = token_.text;
      attribute.name_span = token_.span;
      advance();
      if (token_.is('(') && !parse_arguments(attribute)) return false;
      attributes.push_back(std::move(attribute));
      if (token_.is(',')) {
        advance();
        continue;
      }
      if (!token_.is(']')) return fail(", or ]] after an attribute");
    }
    advance();
    if (!token_.is(']')) return fail("]] at the end of the attributes");
    attributes_end_ = token_.span.offset + 1;
    advance();
    return true;
  }

  bool parse_arguments(AttributeSyntax& attribute) {
    attribute.parentheses = true;
    lexer_.seek(token_.span.offset + 1);
    advance();
    if (token_.is(')')) {
      advance();
      return true;
    }
    while (true) {
      if (attribute.arguments.size() >= 4096) {
        error(token_.span, "contract.too_large", "an attribute takes at most 4096 arguments");
        return false;
      }
      ArgumentSyntax argument;
      if (!parse_argument(argument)) return false;
      attribute.arguments.push_back(std::move(argument));
      if (token_.is(',')) {
        advance();
        continue;
      }
      if (token_.is(')')) break;
      return fail(", or ) after an argument");
    }
    advance();
    return true;
  }

  bool parse_argument(ArgumentSyntax& argument) {
    if (token_.kind == TokenKind::kBad) return false;
    if (token_.kind == TokenKind::kString) {
      argument = {token_.text, true, token_.span};
      advance();
      return true;
    }
    lexer_.seek(token_.span.offset);
    argument.span = lexer_.raw_until(",)]");
    argument.text = source_.text().substr(argument.span.offset, argument.span.length);
    advance();
    if (argument.text.empty()) return fail("an argument");
    return true;
  }

  bool parse_type(TypeSyntax& type, int depth) {
    if (depth >= kTypeDepthMax) {
      error(token_.span, "contract.too_deep", fmt::format("types nest at most {} deep", kTypeDepthMax));
      return false;
    }
    if (token_.kind != TokenKind::kWord) return fail("a type");
    type.name = token_.text;
    type.span = token_.span;
    advance();
    if (type.name == "decimal") return parse_decimal(type);
    if (type.name == "enum") return parse_enum(type);
    if (type.name == "list") return parse_list(type, depth);
    if (type.name == "struct" && token_.is('{')) {
      type.kind = TypeSyntax::Kind::kStruct;
      advance();
      return parse_fields(type.members, nullptr, depth + 1);
    }
    if (token_.is('(')) {
      error(token_.span, "contract.syntax", fmt::format("the type {} takes no arguments", type.name));
      return false;
    }
    return true;
  }

  bool parse_decimal(TypeSyntax& type) {
    type.kind = TypeSyntax::Kind::kDecimal;
    const Span start = type.span;
    if (!token_.is('(')) {
      error(start, "contract.type", "decimal needs its digits")
          .help.push_back("decimal(12, 2): 12 digits, of which 2 after the point");
      return false;
    }
    advance();
    if (!parse_small_number(type.precision, "the number of digits")) return false;
    if (!expect(',', ", and the digits after the point")) return false;
    if (!parse_small_number(type.scale, "the number of digits after the point")) return false;
    type.span.length = token_.span.offset + 1 - type.span.offset;
    if (!expect(')', ") after the digits")) return false;
    if (type.precision < 1 || type.precision > 38) {
      error(type.span, "contract.type", fmt::format("a decimal has 1 to 38 digits, not {}", type.precision));
      type.precision = 38;
      type.scale = 0;
    } else if (type.scale > type.precision) {
      error(type.span, "contract.type",
            fmt::format("a decimal of {} digits cannot have {} after the point", type.precision, type.scale));
      type.scale = type.precision;
    }
    return true;
  }

  bool parse_small_number(int& number, std::string_view what) {
    if (token_.kind != TokenKind::kNumber) return fail(what);
    const auto end = token_.text.data() + token_.text.size();
    if (std::from_chars(token_.text.data(), end, number).ec != std::errc()) number = 1'000'000;
    advance();
    return true;
  }

  bool parse_enum(TypeSyntax& type) {
    type.kind = TypeSyntax::Kind::kEnum;
    if (!token_.is('(')) {
      error(type.span, "contract.type", "enum needs its values").help.push_back("enum(economy, business, \"N/A\")");
      return false;
    }
    lexer_.seek(token_.span.offset + 1);
    advance();
    while (true) {
      if (token_.kind == TokenKind::kBad) return false;
      if (token_.kind != TokenKind::kWord && token_.kind != TokenKind::kString) {
        return fail("a value of the enum, a word or a string");
      }
      if (type.labels.size() >= 65536) {
        error(token_.span, "contract.too_large", "an enum has at most 65536 values");
        return false;
      }
      type.labels.push_back({token_.text, token_.kind == TokenKind::kString, token_.span});
      advance();
      if (token_.is(',')) {
        advance();
        continue;
      }
      if (!token_.is(')')) return fail(", or ) after a value of the enum");
      type.span.length = token_.span.offset + 1 - type.span.offset;
      advance();
      return true;
    }
  }

  bool parse_list(TypeSyntax& type, int depth) {
    type.kind = TypeSyntax::Kind::kList;
    if (!token_.is('<')) {
      error(type.span, "contract.type", "list needs the type of its elements").help.push_back("list<string>");
      return false;
    }
    advance();
    type.element.emplace_back();
    if (!parse_type(type.element[0], depth + 1)) return false;
    type.span.length = token_.span.offset + 1 - type.span.offset;
    return expect('>', "> after the type of the elements");
  }

  const SourceText& source_;
  Diagnostics& diagnostics_;
  Lexer lexer_;
  Token token_;
  size_t attributes_end_ = 0;
  FileSyntax file_;
};

}  // namespace

FileSyntax parse_syntax(const SourceTextPtr& source, Diagnostics& diagnostics) {
  if (source->text().size() > kFileBytesMax) {
    diagnostics.error(*source, {0, 0}, "contract.too_large",
                      fmt::format("a contract file has at most {}; this one has {}", human_bytes(kFileBytesMax),
                                  human_bytes(source->text().size())));
    FileSyntax empty;
    empty.source = source;
    return empty;
  }
  return SyntaxParser(source, diagnostics).parse();
}

}  // namespace runink::contract
