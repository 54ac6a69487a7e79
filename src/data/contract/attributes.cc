#include "data/contract/attributes.h"

#include <fmt/format.h>

#include <charconv>

#include "data/contract/attribute_reader.h"
#include "data/contract/canonical.h"

namespace runink::contract {

void apply_contract_attributes(const ContractSyntax& syntax, const SourceText& source, Contract& contract,
                               Diagnostics& diagnostics) {
  AttributeReader reader(source, kOnContract, diagnostics);
  reader.read(syntax.attributes, [&](const AttributeInfo& info, const AttributeSyntax& attribute) {
    std::string text;
    switch (info.id) {
      case AttributeId::kVersion: {
        if (!reader.text_argument(attribute, 0, text)) break;
        Version version;
        if (Version::parse(text, &version)) {
          contract.version = version;
        } else {
          reader
              .error(attribute.arguments[0].span, "contract.version",
                     fmt::format("{} is not a version", quote_text(text)))
              .help.push_back("three numbers: version(\"1.2.0\")");
        }
        break;
      }
      case AttributeId::kOwner:
        reader.text_argument(attribute, 0, contract.owner);
        break;
      case AttributeId::kDescription:
        reader.text_argument(attribute, 0, contract.description);
        break;
      case AttributeId::kClassification:
        reader.text_argument(attribute, 0, contract.classification);
        break;
      case AttributeId::kTags:
        reader.text_list(attribute, contract.tags);
        break;
      case AttributeId::kOpen:
        contract.open = true;
        break;
      case AttributeId::kMaxRecords: {
        const auto& argument = attribute.arguments[0];
        uint64_t value = 0;
        const char* end = argument.text.data() + argument.text.size();
        const auto parsed = std::from_chars(argument.text.data(), end, value);
        if (argument.quoted || parsed.ec != std::errc() || parsed.ptr != end || value == 0) {
          reader.error(argument.span, "contract.literal", "max_records is a whole number above 0");
        } else {
          contract.max_records = value;
        }
        break;
      }
      default:
        break;
    }
  });
}

void apply_check_attributes(const RuleSyntax& syntax, const SourceText& source, RowCheck& check,
                            Diagnostics& diagnostics) {
  AttributeReader reader(source, kOnCheck, diagnostics);
  reader.read(syntax.attributes, [&](const AttributeInfo&, const AttributeSyntax& attribute) {
    reader.text_argument(attribute, 0, check.description);
  });
}

void apply_quality_attributes(const RuleSyntax& syntax, const SourceText& source, QualityRule& quality,
                              Diagnostics& diagnostics) {
  AttributeReader reader(source, kOnQuality, diagnostics);
  reader.read(syntax.attributes, [&](const AttributeInfo& info, const AttributeSyntax& attribute) {
    std::string text;
    if (!reader.text_argument(attribute, 0, text)) return;
    if (info.id == AttributeId::kDescription) {
      quality.description = std::move(text);
    } else if (text == "warn" || text == "error") {
      quality.severity = text == "warn" ? QualitySeverity::kWarn : QualitySeverity::kError;
    } else {
      reader.error(attribute.arguments[0].span, "contract.severity", fmt::format("{} is no severity", quote_text(text)))
          .help.push_back("severity(\"warn\") or severity(\"error\")");
    }
  });
}

}  // namespace runink::contract
