// What breaks one rule: typed values, and for what no typed value can say (a wrong type, a record that is none) texts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "client/local/synth.h"

namespace runink::local {

// Values of the rule's column that break this rule; those that break no other rule of the field first. Null is one for
// `required`. Empty for checks and rules across rows, for types and records, and where no value breaks it.
std::vector<columnar::Value> breaking_values(const contract::Contract& contract, int rule, int64_t now_micros);

// The next value above (direction 1) or below (-1): by one of the last digit, by a second, by a day where the field's
// text says no more; a float far away. None where the type ends there, and for types without order.
std::optional<columnar::Value> neighbour(const contract::ContractField& field, const columnar::Value& value,
                                         int direction);

// Changes the text of good records.
class TextBreaker {
 public:
  TextBreaker(contract::ContractPtr contract, connectors::DataFormat format, const connectors::CsvDialect& csv);

  // Whether text of this format can break the rule: of a type, or "record".
  bool breaks(int rule) const;
  // `record`: a good one as a writer wrote it, with its line break. Empty where this record has no place to change (a
  // nested value that is null).
  std::string broken(int rule, std::string_view record) const;

 private:
  std::string broken_record(std::string_view record) const;
  std::string cell(std::string_view text) const;
  bool json() const { return format_ == connectors::DataFormat::kNdjson; }

  contract::ContractPtr contract_;
  connectors::DataFormat format_;
  connectors::CsvDialect csv_;
  std::vector<std::string> replacements_;  // per rule: JSON text, or the bytes of a CSV cell; empty: none
};

// Where the value at a path of member names (and "[0]" for the first element) stands in JSON text without white space
// between tokens. Length 0: it is not there.
Span find_json_value(std::string_view json, const std::vector<std::string>& path);

}  // namespace runink::local
