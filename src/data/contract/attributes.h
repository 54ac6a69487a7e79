// What may stand in [[…]], and what it does to a field, a contract or a rule. Internal to this module; the list for
// people is in parse.h.
#pragma once

#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "data/contract/contract.h"
#include "data/contract/syntax.h"

namespace runink::contract {

enum class AttributeId {
  kRequired,
  kUnique,
  kKey,
  kMin,
  kMax,
  kRange,
  kLength,
  kPattern,
  kOneOf,
  kFormat,
  kZone,
  kDefault,
  kCoerce,
  kPii,
  kAccess,
  kMask,
  kLineage,
  kDescription,
  kUnit,
  kTags,
  kGlossary,  // of fields
  kVersion,
  kOwner,
  kClassification,
  kMaxRecords,
  kOpen,      // of contracts (description and tags as well)
  kSeverity,  // of qualities (description as well)
};

enum AttributePlace : unsigned {
  kOnField = 1,
  kOnStruct = 2,
  kOnContract = 4,
  kOnCheck = 8,
  kOnQuality = 16,
};

struct AttributeInfo {
  AttributeId id;
  const char* name;
  unsigned places;
  size_t arguments_min, arguments_max;
  const char* use;   // "range(min, max)"
  const char* help;  // one line
};
const std::vector<AttributeInfo>& attribute_table();

// Applies the attributes of one declaration, reporting what is unknown, misplaced, repeated, misused or contradictory.
// `place` is kOnField, or kOnStruct for a field of a struct type.
void apply_field_attributes(const FieldSyntax& syntax, const SourceText& source, unsigned place, ContractField& field,
                            Diagnostics& diagnostics);
void apply_contract_attributes(const ContractSyntax& syntax, const SourceText& source, Contract& contract,
                               Diagnostics& diagnostics);
void apply_check_attributes(const RuleSyntax& syntax, const SourceText& source, RowCheck& check,
                            Diagnostics& diagnostics);
void apply_quality_attributes(const RuleSyntax& syntax, const SourceText& source, QualityRule& quality,
                              Diagnostics& diagnostics);

// Rules that have no meaning inside a list (a struct may be used both as columns and inside lists).
// Empty when all is well, else the name of the attribute.
std::string attribute_not_for_members(const ContractField& field);

}  // namespace runink::contract
