#include "data/contract/canonical.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "platform/crypto/digest.h"

namespace runink::contract {

using columnar::TypeId;

namespace {

bool is_plain_word(std::string_view word) {
  if (word.empty() || (word[0] >= '0' && word[0] <= '9')) return false;
  for (const char c : word) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

// Whole: everything, to be read again. Hashed: only what the hash covers, with lists whose order means nothing sorted.
enum class Form { kWhole, kHashed };

class Printer {
 public:
  explicit Printer(Form form) : form_(form) {}

  std::string print(const Contract& contract) {
    header(contract);
    for (const auto& field : contract.fields) {
      out_ += "  ";
      print_field(field);
      out_ += '\n';
    }
    print_rules(contract);
    out_ += "}\n";
    return std::move(out_);
  }

  std::string type(const ContractField& field) {
    print_type(field.type, field.elements);
    return std::move(out_);
  }

  std::vector<std::string> attributes(const Contract& contract) const {
    std::vector<std::string> list;
    if (whole()) {
      if (contract.version) list.push_back(text_attribute("version", contract.version->to_string()));
      if (!contract.owner.empty()) list.push_back(text_attribute("owner", contract.owner));
      if (!contract.description.empty()) list.push_back(text_attribute("description", contract.description));
    }
    if (!contract.classification.empty()) list.push_back(text_attribute("classification", contract.classification));
    if (whole()) {
      if (!contract.tags.empty()) list.push_back(list_attribute("tags", contract.tags));
      if (contract.max_records) list.push_back(fmt::format("max_records({})", *contract.max_records));
    }
    if (contract.open) list.push_back("open");
    return list;
  }

  std::vector<std::string> attributes(const ContractField& field) const {
    std::vector<std::string> list;
    if (field.required && !field.key) list.push_back("required");
    if (field.unique) list.push_back("unique");
    if (field.key) list.push_back("key");
    if (field.min && field.max) {
      list.push_back(fmt::format("range({}, {})", value_text(*field.min, field), value_text(*field.max, field)));
    } else if (field.min) {
      list.push_back(fmt::format("min({})", value_text(*field.min, field)));
    } else if (field.max) {
      list.push_back(fmt::format("max({})", value_text(*field.max, field)));
    }
    if (field.length_min || field.length_max) list.push_back(length_attribute(field));
    if (!field.pattern.empty()) list.push_back(text_attribute("pattern", field.pattern));
    if (!field.one_of.empty()) list.push_back(one_of_attribute(field));
    if (!field.format.empty()) list.push_back(text_attribute("format", field.format));
    if (!field.zone.empty()) list.push_back(text_attribute("zone", field.zone));
    if (field.default_value) list.push_back(fmt::format("default({})", value_text(*field.default_value, field)));
    if (field.coerce) list.push_back("coerce");
    if (field.pii) list.push_back(field.pii_kind.empty() ? "pii" : text_attribute("pii", field.pii_kind));
    if (!field.access.empty()) list.push_back(list_attribute("access", field.access));
    if (!field.mask.empty()) list.push_back(text_attribute("mask", field.mask));
    if (whole()) words_for_people(field, list);
    return list;
  }

 private:
  bool whole() const { return form_ == Form::kWhole; }

  static std::string text_attribute(std::string_view name, std::string_view text) {
    return fmt::format("{}({})", name, quote_text(text));
  }
  static std::string list_attribute(std::string_view name, const std::vector<std::string>& texts) {
    std::vector<std::string> quoted;
    for (const auto& text : texts) quoted.push_back(quote_text(text));
    return fmt::format("{}({})", name, join(quoted, ", "));
  }

  void header(const Contract& contract) {
    const auto list = attributes(contract);
    if (!list.empty()) out_ += "[[" + join(list, ", ") + "]]\n";
    out_ += whole() ? "contract " + name_text(contract.name) + " {\n" : std::string("contract {\n");
  }

  void print_type(const DataType& type, const std::vector<ContractField>& members) {
    switch (type.id()) {
      case TypeId::kEnum: {
        std::vector<std::string> labels;
        for (const auto& label : type.labels()) labels.push_back(is_plain_word(label) ? label : quote_text(label));
        out_ += "enum(" + join(labels, ", ") + ")";
        break;
      }
      case TypeId::kList:
        out_ += "list<";
        print_type(type.element(), members);
        out_ += ">";
        break;
      case TypeId::kStruct:
        out_ += "struct {";
        for (const auto& member : members) {
          out_ += ' ';
          print_field(member);
        }
        out_ += " }";
        break;
      default:
        out_ += type.to_string();
    }
  }

  void print_field(const ContractField& field) {
    print_type(field.type, field.elements);
    out_ += " " + name_text(field.name);
    const auto list = attributes(field);
    if (!list.empty()) out_ += " [[" + join(list, ", ") + "]]";
    out_ += ";";
  }

  static void words_for_people(const ContractField& field, std::vector<std::string>& list) {
    if (!field.lineage.empty()) list.push_back(text_attribute("lineage", field.lineage));
    if (!field.description.empty()) list.push_back(text_attribute("description", field.description));
    if (!field.unit.empty()) list.push_back(text_attribute("unit", field.unit));
    if (!field.tags.empty()) list.push_back(list_attribute("tags", field.tags));
    if (!field.glossary.empty()) list.push_back(text_attribute("glossary", field.glossary));
  }

  static std::string length_attribute(const ContractField& field) {
    if (field.length_min && field.length_max && *field.length_min == *field.length_max) {
      return fmt::format("length({})", *field.length_min);
    }
    return fmt::format("length({}, {})",
                       field.length_min   ? std::to_string(*field.length_min)
                       : field.length_max ? "0"
                                          : "*",
                       field.length_max ? std::to_string(*field.length_max) : "*");
  }

  std::string one_of_attribute(const ContractField& field) const {
    std::vector<Value> values = field.one_of;
    if (!whole()) {
      std::sort(values.begin(), values.end(),
                [](const Value& a, const Value& b) { return columnar::compare_values(a, b) < 0; });
    }
    std::vector<std::string> texts;
    for (const auto& value : values) texts.push_back(value_text(value, field));
    return "one_of(" + join(texts, ", ") + ")";
  }

  void print_rules(const Contract& contract) {
    std::vector<std::string> lines;
    for (const auto& check : contract.checks) {
      std::string line = fmt::format("  check {}: {}", name_text(check.name), check.canonical);
      if (whole() && !check.description.empty())
        line += " [[" + text_attribute("description", check.description) + "]]";
      lines.push_back(line + ";\n");
    }
    const size_t checks = lines.size();
    for (const auto& quality : contract.qualities) {
      std::vector<std::string> list;
      if (quality.severity == QualitySeverity::kWarn) list.push_back(text_attribute("severity", "warn"));
      if (whole() && !quality.description.empty()) list.push_back(text_attribute("description", quality.description));
      std::string line = fmt::format("  quality {}: {}", name_text(quality.name), quality.canonical);
      if (!list.empty()) line += " [[" + join(list, ", ") + "]]";
      lines.push_back(line + ";\n");
    }
    if (!whole()) {
      std::sort(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(checks));
      std::sort(lines.begin() + static_cast<std::ptrdiff_t>(checks), lines.end());
    }
    for (const auto& line : lines) out_ += line;
  }

  Form form_;
  std::string out_;
};

}  // namespace

std::string canonical_text(const Contract& contract) { return Printer(Form::kWhole).print(contract); }

std::string hashed_text(const Contract& contract) {
  // The first line is the version of this format: a change of spelling must never look like a change of a contract.
  return "runink contract 1\n" + Printer(Form::kHashed).print(contract);
}

std::string contract_hash(const Contract& contract) { return crypto::sha256_hex(hashed_text(contract)); }

std::vector<std::string> attribute_texts(const ContractField& field) { return Printer(Form::kWhole).attributes(field); }
std::vector<std::string> attribute_texts(const Contract& contract) {
  return Printer(Form::kWhole).attributes(contract);
}

std::string type_text(const ContractField& field) { return Printer(Form::kWhole).type(field); }

std::string value_text(const Value& value, const ContractField& field) {
  const std::string text = columnar::value_to_display(field.type, value);
  if (field.type.is_numeric() || field.type.id() == TypeId::kBool) return text;
  if (field.type.id() == TypeId::kEnum && is_plain_word(text)) return text;
  return quote_text(text);
}

std::string quote_text(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"') {
      out += "\\\"";
    } else if (c == '\\') {
      // A backslash that does not begin one of the language's own escapes stands for itself, as in "\d+".
      const bool plain = i + 1 < text.size() &&
                         std::string_view("ntr\"\\/u").find(text[i + 1]) == std::string_view::npos &&
                         static_cast<unsigned char>(text[i + 1]) >= 0x20;
      out += plain ? "\\" : "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04x}", byte);
    } else if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[++i]));  // a C1 control
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string name_text(std::string_view name) {
  std::vector<std::string> parts;
  for (const auto part : split(name, '.')) {
    parts.push_back(is_plain_word(part) ? std::string(part) : fmt::format("`{}`", part));
  }
  return join(parts, ".");
}

}  // namespace runink::contract
