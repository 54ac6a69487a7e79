#include "data/contract/redact.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/builder.h"
#include "data/columnar/text.h"
#include "data/expr/mask.h"

namespace runink::contract {

using columnar::TypeId;

const std::vector<std::string>& mask_words() {
  static const std::vector<std::string> words = {"all",  "first1",   "last4", "email", "length",
                                                 "hash", "tokenise", "null",  "year"};
  return words;
}

Result<Mask> parse_mask(std::string_view text) {
  if (text == "all") return Mask{MaskMethod::kAll};
  if (text == "email") return Mask{MaskMethod::kEmail};
  if (text == "length") return Mask{MaskMethod::kLength};
  if (text == "hash") return Mask{MaskMethod::kHash};
  if (text == "tokenise" || text == "tokenize") return Mask{MaskMethod::kTokenise};
  if (text == "null") return Mask{MaskMethod::kNull};
  if (text == "year") return Mask{MaskMethod::kYear};
  for (const auto& [word, method] : {std::pair("first", MaskMethod::kFirst), std::pair("last", MaskMethod::kLast)}) {
    if (!text.starts_with(word)) continue;
    const std::string_view digits = text.substr(std::string_view(word).size());
    uint32_t count = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size() && count >= 1 && count <= 64) {
      return Mask{method, count};
    }
    return invalid_argument("\"{}\" needs a number from 1 to 64 of characters to show", escape_control(text))
        .with_hint(fmt::format("mask(\"{}4\")", word));
  }
  auto status = invalid_argument("there is no masking method \"{}\"", escape_control(text));
  const auto near = nearest(text, mask_words());
  return std::move(status).with_hint(near.empty() ? "methods: " + join(mask_words(), ", ")
                                                  : fmt::format("did you mean {}?", near[0]));
}

std::string mask_name(const Mask& mask) {
  switch (mask.method) {
    case MaskMethod::kAll:
      return "all";
    case MaskMethod::kFirst:
      return fmt::format("first{}", mask.count);
    case MaskMethod::kLast:
      return fmt::format("last{}", mask.count);
    case MaskMethod::kEmail:
      return "email";
    case MaskMethod::kLength:
      return "length";
    case MaskMethod::kHash:
      return "hash";
    case MaskMethod::kTokenise:
      return "tokenise";
    case MaskMethod::kNull:
      return "null";
    case MaskMethod::kYear:
      return "year";
  }
  return "all";
}

namespace {

bool any_member_protected(const ContractField& field) {
  for (const auto& member : field.elements) {
    if (member.pii || !member.mask.empty() || !member.access.empty() || any_member_protected(member)) return true;
  }
  return false;
}

// A mask made ready for many values.
class Masker {
 public:
  Masker(const Mask& mask, const MaskKey& key) : mask_(mask), key_(key) {
    const bool keyed = mask.method == MaskMethod::kHash || mask.method == MaskMethod::kTokenise;
    if (keyed && key.bytes.empty()) mask_.method = MaskMethod::kAll;
    const bool by_expr = mask_.method == MaskMethod::kFirst || mask_.method == MaskMethod::kLast ||
                         mask_.method == MaskMethod::kEmail || mask_.method == MaskMethod::kLength;
    auto method = expr::MaskMethod::parse(by_expr ? mask_name(mask_) : "all");
    RUNINK_CHECK(method.ok());  // parse_mask() lets through only what expr knows
    method_ = std::move(method).value();
  }

  void append(std::string_view text, std::string& out) const {
    switch (mask_.method) {
      case MaskMethod::kHash:
        out += expr::keyed_hash(key_.bytes, text);
        return;
      case MaskMethod::kTokenise:
        out += expr::keyed_token(key_.bytes, text);
        return;
      case MaskMethod::kNull:
        return;
      case MaskMethod::kYear:
        if (begins_with_year(text)) {
          out += text.substr(0, 4);
        } else {
          method_.apply(text, out);
        }
        return;
      default:
        method_.apply(text, out);
    }
  }

 private:
  static bool begins_with_year(std::string_view text) {
    if (text.size() < 6 || (text[4] != '-' && text[4] != '/' && text[4] != '.')) return false;
    return std::all_of(text.begin(), text.begin() + 4, [](char c) { return c >= '0' && c <= '9'; });
  }

  Mask mask_;
  const MaskKey& key_;
  expr::MaskMethod method_;
};

}  // namespace

std::optional<Mask> mask_of(const ContractField& field) {
  if (!field.mask.empty()) {
    auto mask = parse_mask(field.mask);
    if (mask.ok()) return *mask;
    return Mask{};  // a method that nobody knows masks wholly
  }
  if (field.pii || !field.access.empty() || any_member_protected(field)) return Mask{};
  return std::nullopt;
}

std::optional<Mask> mask_for(const ContractField& field, const Reader& reader) {
  if (reader.reveal) return std::nullopt;
  for (const auto& role : field.access) {
    if (std::find(reader.roles.begin(), reader.roles.end(), role) != reader.roles.end()) return std::nullopt;
  }
  return mask_of(field);
}

std::string mask_text(const Mask& mask, std::string_view text, const MaskKey& key) {
  std::string out;
  Masker(mask, key).append(text, out);
  return out;
}

columnar::DataType masked_type(const columnar::DataType& type, const Mask& mask) {
  return mask.method == MaskMethod::kNull ? type : columnar::DataType(TypeId::kString);
}

columnar::Column mask_column(const columnar::Column& column, const columnar::Field& field, const Mask& mask,
                             const MaskKey& key) {
  if (mask.method == MaskMethod::kNull) return columnar::make_null_column(column.type, column.length);
  const Masker masker(mask, key);
  // A year is read off the ISO form, whatever the field's own format puts first.
  auto formatted = columnar::FieldText::make(field);
  const columnar::FieldText text = mask.method != MaskMethod::kYear && formatted.ok() && field.type == column.type
                                       ? std::move(formatted).value()
                                       : columnar::FieldText(column.type);
  columnar::ColumnBuilder builder(DataType(TypeId::kString), column.length);
  std::string plain, masked;
  for (int64_t row = 0; row < column.length; ++row) {
    if (column.is_null(row)) {
      builder.append_null();
      continue;
    }
    plain.clear();
    masked.clear();
    text.append_plain(column, row, plain);
    masker.append(plain, masked);
    builder.append_text(masked);
  }
  return builder.finish();
}

Redaction redaction_for(const Contract& contract, const Reader& reader) {
  Redaction redaction;
  std::vector<columnar::Field> columns = contract.schema->fields();
  for (size_t i = 0; i < contract.fields.size(); ++i) {
    const auto mask = mask_for(contract.fields[i], reader);
    if (!mask) continue;
    redaction.columns.emplace_back(static_cast<int>(i), *mask);
    columns[i].type = masked_type(columns[i].type, *mask);
    if (mask->method == MaskMethod::kNull) {
      columns[i].nullable = true;
    } else {
      columns[i].format.clear();
      columns[i].zone.clear();
    }
  }
  redaction.schema =
      redaction.columns.empty() ? contract.schema : std::make_shared<columnar::Schema>(std::move(columns));
  return redaction;
}

columnar::Batch redact_batch(const columnar::Batch& batch, const Redaction& redaction, const MaskKey& key) {
  if (redaction.columns.empty()) return batch;
  columnar::Batch out = batch;
  out.origin = nullptr;
  for (const auto& [column, mask] : redaction.columns) {
    const auto at = static_cast<size_t>(column);
    out.columns[at] = mask_column(batch.columns[at], batch.schema->field(at), mask, key);
  }
  if (batch.schema->size() == redaction.schema->size()) {
    out.schema = redaction.schema;
  } else {  // an open contract's batch has columns after the contract's own
    std::vector<columnar::Field> columns = redaction.schema->fields();
    for (size_t i = columns.size(); i < batch.schema->size(); ++i) columns.push_back(batch.schema->field(i));
    out.schema = std::make_shared<columnar::Schema>(std::move(columns));
  }
  return out;
}

}  // namespace runink::contract
