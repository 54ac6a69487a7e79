#include "worker/slice/stage_protocol.h"

#include <map>

#include "data/plan/to_json.h"
#include "platform/crypto/digest.h"
#include "worker/wire/codec.h"

// Each struct says its fields once, for both directions. wire/codec.h finds these functions in the namespaces of the
// structs, but not in unnamed ones, so they are static instead.
namespace runink::columnar {

static constexpr TypeId last_of(TypeId) { return TypeId::kStruct; }
static constexpr int kDeepest = 16;  // as the Arrow reader takes them

// Types are values without setters, so they travel in a form of their own.
struct TypeForm {
  TypeId id = TypeId::kNull;
  uint8_t precision = 0, scale = 0;
  std::vector<std::string> labels;
  std::vector<TypeForm> parts;  // the element of a list, the fields of a struct
  std::string name, format, zone;
  bool nullable = true;
};

template <typename Archive>
static void visit(Archive& archive, TypeForm& form) {
  auto& [id, precision, scale, labels, parts, name, format, zone, nullable] = form;
  archive(id, precision, scale, labels, parts, name, format, zone, nullable);
}

static TypeForm form_of(const Field& field) {
  TypeForm form;
  form.id = field.type.id();
  form.name = field.name;
  form.format = field.format;
  form.zone = field.zone;
  form.nullable = field.nullable;
  if (form.id == TypeId::kDecimal) {
    form.precision = static_cast<uint8_t>(field.type.precision());
    form.scale = static_cast<uint8_t>(field.type.scale());
  } else if (form.id == TypeId::kEnum) {
    form.labels = field.type.labels();
  } else if (form.id == TypeId::kList) {
    form.parts.push_back(form_of({.name = "", .type = field.type.element()}));
  } else if (form.id == TypeId::kStruct) {
    for (const Field& part : field.type.fields()) form.parts.push_back(form_of(part));
  }
  return form;
}

static bool make_field(const TypeForm& form, Field* out, int depth = 0) {
  if (depth > kDeepest) return false;
  out->name = form.name;
  out->format = form.format;
  out->zone = form.zone;
  out->nullable = form.nullable;
  std::vector<Field> parts(form.parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!make_field(form.parts[i], &parts[i], depth + 1)) return false;
  }
  switch (form.id) {
    case TypeId::kDecimal:
      if (form.precision < 1 || form.precision > 38 || form.scale > form.precision) return false;
      out->type = DataType::decimal(form.precision, form.scale);
      return parts.empty();
    case TypeId::kEnum:
      if (form.labels.empty()) return false;
      out->type = DataType::enumeration(form.labels);
      return parts.empty();
    case TypeId::kList:
      if (parts.size() != 1) return false;
      out->type = DataType::list(parts[0].type);
      return true;
    case TypeId::kStruct:
      out->type = DataType::structure(std::move(parts));
      return true;
    default:
      out->type = form.id;
      return parts.empty();
  }
}

template <typename Archive>
static void visit(Archive& archive, Schema& schema) {
  std::vector<TypeForm> forms;
  for (const Field& field : schema.fields()) forms.push_back(form_of(field));
  archive(forms);
  if constexpr (std::is_same_v<Archive, wire::Decoder>) {
    std::vector<Field> fields(forms.size());
    for (size_t i = 0; i < forms.size(); ++i) {
      if (!make_field(forms[i], &fields[i])) archive.fail();
    }
    schema = Schema(std::move(fields));
  }
}

}  // namespace runink::columnar

namespace runink {
template <typename Archive>
static void visit(Archive& archive, Location& location) {
  auto& [file, line, column] = location;
  archive(file, line, column);
}
}  // namespace runink

namespace runink::dsl {
template <typename Archive>
static void visit(Archive& archive, Bundle::File& file) {
  auto& [path, text] = file;
  archive(path, text);
}
template <typename Archive>
static void visit(Archive& archive, Bundle::Inferred& inferred) {
  auto& [source, schema] = inferred;
  archive(source, schema);
}
template <typename Archive>
static void visit(Archive& archive, Bundle& bundle) {
  auto& [feature_path, feature_text, files, inferred, project_root, step_folder, allow_unenforced] = bundle;
  archive(feature_path, feature_text, files, inferred, project_root, step_folder, allow_unenforced);
}
}  // namespace runink::dsl

namespace runink::engine {

// Maps travel as lists.
template <typename Archive>
static void counts(Archive& archive, std::map<std::string, uint64_t>& map) {
  std::vector<std::pair<std::string, uint64_t>> list(map.begin(), map.end());
  archive(list);
  if constexpr (std::is_same_v<Archive, wire::Decoder>) map = {list.begin(), list.end()};
}
template <typename Archive>
static void visit(Archive& archive, Balance& balance) {
  auto& [op, step, equation, left, right] = balance;
  archive(op, step, equation, left, right);
}
template <typename Archive>
static void visit(Archive& archive, OperatorReport& report) {
  auto& [id, name, kind, rows_in, rejected, rows_out, dropped, spilled_bytes, sample, bytes] = report;
  archive(id, name, kind, rows_in, rejected, rows_out, spilled_bytes, sample, bytes);
  counts(archive, dropped);
}
template <typename Archive>
static void visit(Archive& archive, RuleResult& rule) {
  auto& [name, text, actual, passed, warn_only, is_assertion, location] = rule;
  archive(name, text, actual, passed, warn_only, is_assertion, location);
}
template <typename Archive>
static void visit(Archive& archive, ExecutionReport& report) {
  auto& [operators, balances, rules, records_read, records_valid, records_rejected, undecodable, rejected_by_rule,
         drift, first_rejects, spilled_bytes, notes] = report;
  archive(operators, balances, rules, records_read, records_valid, records_rejected, undecodable, first_rejects,
          spilled_bytes, notes);
  counts(archive, rejected_by_rule);
  counts(archive, drift);
}

}  // namespace runink::engine

namespace runink::slice {

template <typename Archive>
static void visit(Archive& archive, StageReady& ready) {
  auto& [protocol, version] = ready;
  archive(protocol, version);
}
template <typename Archive>
static void visit(Archive& archive, StageStart& start) {
  auto& [bundle, scenario, outputs, part, parts, inlet, outlet, metrics, logs, goes_on, threads, memory_budget_bytes,
         sample_rows, chunk_bytes, max_record_bytes, now_micros, key, reveal] = start;
  archive(bundle, scenario, outputs, part, parts, inlet, outlet, metrics, logs, goes_on, threads, memory_budget_bytes,
          sample_rows, chunk_bytes, max_record_bytes, now_micros, key, reveal);
}
template <typename Archive>
static void visit(Archive& archive, StageAsk& ask) {
  auto& [what, op, number, failure] = ask;
  archive(what, op, number, failure);
}
template <typename Archive>
static void visit(Archive& archive, StageAnswer& answer) {
  auto& [status, number, names, size, atomic, has_records, before, crlf] = answer;
  archive(status, number, names, size, atomic, has_records, before, crlf);
}
template <typename Archive>
static void visit(Archive& archive, StepEnd& end) {
  auto& [exited, code, signal] = end;
  archive(exited, code, signal);
}
template <typename Archive>
static void visit(Archive& archive, StageProgress& progress) {
  auto& [records, rejected, bytes_read, bytes_total] = progress;
  archive(records, rejected, bytes_read, bytes_total);
}
template <typename Archive>
static void visit(Archive& archive, StageEnd& end) {
  auto& [status, report, plan_digest] = end;
  archive(status, report, plan_digest);
}

template <typename Archive>
static void visit(Archive& archive, StageSamples& samples) {
  auto& [op, rows] = samples;
  archive(op, rows);
}

std::string encode(const StageReady& value) { return wire::encode_value(value); }
std::string encode(const StageStart& value) { return wire::encode_value(value); }
std::string encode(const StageAsk& value) { return wire::encode_value(value); }
std::string encode(const StageAnswer& value) { return wire::encode_value(value); }
std::string encode(const StepEnd& value) { return wire::encode_value(value); }
std::string encode(const StageProgress& value) { return wire::encode_value(value); }
std::string encode(const StageEnd& value) { return wire::encode_value(value); }
std::string encode(const StageSamples& value) { return wire::encode_value(value); }

Result<StageReady> decode_ready(std::string_view body) {
  return wire::decode_value<StageReady>(body, "the greeting of a stage");
}
Result<StageStart> decode_start(std::string_view body) {
  return wire::decode_value<StageStart>(body, "the work of a stage");
}
Result<StageAsk> decode_ask(std::string_view body) { return wire::decode_value<StageAsk>(body, "what a stage asks"); }
Result<StageAnswer> decode_answer(std::string_view body) {
  return wire::decode_value<StageAnswer>(body, "the answer to a stage");
}
Result<StepEnd> decode_step_end(std::string_view body) {
  return wire::decode_value<StepEnd>(body, "the end of a step");
}
Result<StageProgress> decode_progress(std::string_view body) {
  return wire::decode_value<StageProgress>(body, "the progress of a stage");
}
Result<StageEnd> decode_end(std::string_view body) {
  return wire::decode_value<StageEnd>(body, "the report of a stage");
}

Result<StageSamples> decode_samples(std::string_view body) {
  return wire::decode_value<StageSamples>(body, "the samples of a stage");
}

std::string plan_digest(const plan::ScenarioPlan& scenario) { return crypto::sha256_hex(plan::to_json(scenario)); }

}  // namespace runink::slice
