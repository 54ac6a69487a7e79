#include "client/local/synth_rows.h"

#include <algorithm>

#include "base/text.h"
#include "data/columnar/kernels.h"
#include "data/columnar/text.h"
#include "data/expr/ast.h"
#include "data/expr/eval.h"

namespace runink::local {
namespace {

using columnar::Batch;
using columnar::Column;
using columnar::ColumnBuilder;
using columnar::Value;

constexpr double kNullShare = 0.05;
constexpr uint64_t kTries = 300;          // for a row that keeps the contract
constexpr uint64_t kLikelyTries = 6;      // of those, as makers make them
constexpr uint64_t kBreakingTries = 40;   // batches of kBreakingRows for a row that breaks a check
constexpr int64_t kBreakingRows = 64;
constexpr const char* kKey = "key of synthetic records";

// Literals of an expression, as text.
void collect_literals(const expr::Expr& e, std::vector<std::string>* out) {
  if (e.kind == expr::Expr::Kind::kLiteral && !e.value.is_null()) out->push_back(columnar::value_to_display(e.type, e.value));
  for (const auto& arg : e.args) collect_literals(*arg, out);
}

expr::ExprPtr cast_to(const expr::ExprPtr& e, const columnar::DataType& type) {
  auto cast = std::make_shared<expr::Expr>();
  cast->kind = expr::Expr::Kind::kCast;
  cast->span = e->span;
  cast->type = type;
  cast->depth = e->depth + 1;
  cast->args = {e};
  return cast;
}

}  // namespace

Result<std::unique_ptr<SynthRows>> SynthRows::make(contract::ContractPtr contract, const SynthOptions& options) {
  std::unique_ptr<SynthRows> rows(new SynthRows(std::move(contract), options));
  RUNINK_RETURN_IF_ERROR(rows->prepare().with_context("make records of contract " + rows->contract_->name));
  return rows;
}

Status SynthRows::prepare() {
  const size_t columns = contract_->fields.size();
  checker_ = RUNINK_TRY(contract::ContractChecker::create(contract_));
  unrepeated_.resize(columns);
  specials_.resize(columns);
  partners_.resize(columns);
  std::vector<bool> in_unique(columns);
  for (const auto& set : contract_->unique_sets) {
    for (const int c : set.columns) in_unique[static_cast<size_t>(c)] = true;
  }
  for (size_t c = 0; c < columns; ++c) {
    const auto drawn = options_.draw.find(static_cast<int>(c));
    if (drawn != options_.draw.end() && !in_unique[c]) {
      const FieldJudge judge = RUNINK_TRY(FieldJudge::make(contract_->fields[c]));
      std::vector<Value> fitting;
      for (const auto& value : drawn->second) {
        if (judge.accepts(value)) fitting.push_back(value);
      }
      if (!fitting.empty()) {
        makers_.push_back(make_drawing_maker(contract_->fields[c].type, std::move(fitting)));
        continue;
      }
    }
    makers_.push_back(RUNINK_TRY(make_value_maker(contract_->fields[c], {options_.now_micros, in_unique[c] ? options_.records : 0})));
  }
  RUNINK_RETURN_IF_ERROR(arrange_unique());
  learn_from_checks();
  return {};
}

Status SynthRows::arrange_unique() {
  // Sets of one column first: they settle larger sets that hold that column.
  std::vector<const contract::UniqueSet*> sets;
  for (const auto& set : contract_->unique_sets) sets.push_back(&set);
  std::stable_sort(sets.begin(), sets.end(), [](const auto* a, const auto* b) { return a->columns.size() < b->columns.size(); });
  for (const auto* set : sets) {
    const auto is_settled = [&](int c) {
      const auto& u = unrepeated_[static_cast<size_t>(c)];
      return u.modulus >= options_.records && u.divisor == 1;
    };
    if (std::any_of(set->columns.begin(), set->columns.end(), is_settled)) continue;
    uint64_t reach = 1;  // numbers told apart so far
    std::vector<std::string> names;
    for (size_t i = set->columns.size(); i-- > 0;) {
      const auto c = static_cast<size_t>(set->columns[i]);
      names.push_back(contract_->fields[c].name);
      const uint64_t capacity = makers_[c]->capacity();
      if (capacity < 2 || reach >= options_.records || unrepeated_[c].modulus != 0) continue;
      unrepeated_[c] = {reach, capacity};
      if (__builtin_mul_overflow(reach, capacity, &reach)) reach = UINT64_MAX;
    }
    if (reach < options_.records) {
      return failed_precondition("{} can be told apart in {} ways only, and {} records were asked for", join(names, " and "),
                                 human_count(reach), human_count(options_.records))
          .with_hint("ask for fewer with --records, or widen the field");
    }
  }
  return {};
}

void SynthRows::add_special(int column, const std::string& text) {
  const auto c = static_cast<size_t>(column);
  const columnar::FieldText reader(contract_->fields[c].type);
  auto value = reader.parse(text);
  if (!value.ok()) return;
  auto judge = FieldJudge::make(contract_->fields[c]);
  if (!judge.ok()) return;
  std::vector<Value> values = {*value};
  if (const auto* whole = std::get_if<int64_t>(&value->data); whole != nullptr && contract_->fields[c].type.is_integer()) {
    if (*whole < INT32_MAX && *whole > -100) values.insert(values.end(), {Value(*whole + 1), Value(*whole - 1)});
  }
  for (auto& v : values) {
    auto& known = specials_[c];
    if (judge->accepts(v) && std::find(known.begin(), known.end(), v) == known.end()) known.push_back(std::move(v));
  }
}

// What checks compare with, which columns they look at together, and what they equate.
void SynthRows::learn_from_checks() {
  const expr::Scope scope(contract_->schema);
  for (const auto& check : contract_->checks) {
    auto text = std::make_shared<const SourceText>("check", check.text);
    Diagnostics ignored;
    expr::ParseOptions parse_options;
    parse_options.comments = true;
    const expr::ExprPtr tree = expr::parse(text, {0, check.text.size()}, ignored, parse_options);
    if (tree == nullptr) continue;
    std::vector<std::string> literals;
    collect_literals(*tree, &literals);
    literals.push_back("0");
    for (const int c : check.expression.columns()) {
      for (const auto& literal : literals) add_special(c, literal);
      for (const int other : check.expression.columns()) {
        if (other != c && contract_->fields[static_cast<size_t>(other)].type == contract_->fields[static_cast<size_t>(c)].type) {
          partners_[static_cast<size_t>(c)].push_back(other);
        }
      }
    }
    if (tree->kind != expr::Expr::Kind::kCall || tree->name != "==" || tree->args.size() != 2) continue;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      if (tree->args[side]->kind != expr::Expr::Kind::kField) continue;
      const int column = contract_->column_of(tree->args[side]->name);
      if (column < 0 || unrepeated_[static_cast<size_t>(column)].modulus != 0) continue;
      const expr::TypedExpr value = expr::check(cast_to(tree->args[1 - side], contract_->fields[static_cast<size_t>(column)].type), text, scope, ignored);
      if (!value.valid()) continue;
      const auto& reads = value.columns();
      if (std::find(reads.begin(), reads.end(), column) != reads.end()) continue;
      equations_.push_back({column, value});
      break;
    }
  }
}

// In columns of checks, some values become those that checks compare with, some another column's.
void SynthRows::mix_in(Batch* batch, SynthRandom& random) {
  const std::vector<Column> before = batch->columns;
  for (size_t c = 0; c < before.size(); ++c) {
    if (unrepeated_[c].modulus != 0 || (specials_[c].empty() && partners_[c].empty())) continue;
    ColumnBuilder builder(before[c].type, batch->rows);
    for (int64_t r = 0; r < batch->rows; ++r) {
      const double choice = random.unit();
      if (choice < 0.35 && !specials_[c].empty()) {
        builder.append_value(specials_[c][random.below(specials_[c].size())]);
      } else if (choice > 0.65 && !partners_[c].empty()) {
        const int other = partners_[c][random.below(partners_[c].size())];
        builder.append_from(before[static_cast<size_t>(other)], r);
      } else {
        builder.append_from(before[c], r);
      }
    }
    batch->columns[c] = builder.finish();
  }
}

Result<Batch> SynthRows::draw(const std::vector<uint64_t>& numbers, uint64_t attempt, Mode mode) {
  const auto rows = static_cast<int64_t>(numbers.size());
  Batch batch;
  batch.schema = contract_->schema;
  batch.rows = rows;
  const uint64_t stream = attempt * 4 + static_cast<uint64_t>(mode);
  for (size_t c = 0; c < makers_.size(); ++c) {
    const auto& field = contract_->fields[c];
    const ValueMaker& maker = *makers_[c];
    ColumnBuilder builder(field.type, rows);
    SynthRandom random(options_.seed, c + 1, numbers.front(), stream);
    const Unrepeated u = unrepeated_[c];
    const bool nulls = field.nullable() && u.modulus == 0 && makers_.size() > 1;
    for (int64_t r = 0; r < rows; ++r) {
      if (u.modulus != 0) maker.append_at(numbers[static_cast<size_t>(r)] / u.divisor % u.modulus, builder);
      else if (nulls && random.chance(kNullShare)) builder.append_null();
      else maker.append(random, builder);
    }
    batch.columns.push_back(builder.finish());
  }
  if (mode != Mode::kLikely) {
    SynthRandom random(options_.seed, 0, numbers.front(), stream);
    mix_in(&batch, random);
  }
  if (mode == Mode::kBreaking) return batch;
  for (const auto& equation : equations_) {
    expr::Evaluator evaluator(equation.value);
    std::vector<expr::RowError> errors;
    batch.columns[static_cast<size_t>(equation.column)] = RUNINK_TRY(evaluator.evaluate(batch, {options_.now_micros, kKey}, errors));
  }
  return batch;
}

Status SynthRows::check(const Batch& batch) {
  return checker_->check(batch, {options_.now_micros, kKey}, scratch_, result_);
}

Result<bool> SynthRows::keeps_rules(const Batch& row) {
  RUNINK_RETURN_IF_ERROR(check(row));
  return result_.failed_rows == 0;
}

Result<SynthRows::Rows> SynthRows::valid(uint64_t first, int64_t count) {
  Rows out;
  for (int64_t i = 0; i < count; ++i) out.numbers.push_back(first + static_cast<uint64_t>(i));
  out.batch = RUNINK_TRY(draw(out.numbers, 0, Mode::kLikely));
  RUNINK_RETURN_IF_ERROR(check(out.batch));
  if (result_.failed_rows == 0) return out;

  // Rows found so far: which batch, which row of it; for every number in order.
  std::vector<Batch> batches = {std::move(out.batch)};
  struct Place {
    int32_t batch = -1, row = 0;
  };
  std::vector<Place> places(out.numbers.size());
  std::vector<size_t> pending(out.numbers.size());
  for (size_t i = 0; i < pending.size(); ++i) pending[i] = i;
  std::map<int32_t, uint64_t> blame;
  for (uint64_t attempt = 0;;) {
    std::vector<size_t> still;
    for (size_t k = 0; k < pending.size(); ++k) {
      if (result_.failed[k] != 0) still.push_back(pending[k]);
      else places[pending[k]] = {static_cast<int32_t>(batches.size() - 1), static_cast<int32_t>(k)};
    }
    if (still.size() == pending.size()) batches.pop_back();  // none of its rows is used
    pending = std::move(still);
    blame.clear();
    for (const auto& failure : result_.failures) ++blame[failure.rule];
    if (pending.empty() || ++attempt == kTries) break;
    std::vector<uint64_t> numbers;
    for (const size_t i : pending) numbers.push_back(out.numbers[i]);
    batches.push_back(RUNINK_TRY(draw(numbers, attempt, attempt < kLikelyTries ? Mode::kLikely : Mode::kSearching)));
    RUNINK_RETURN_IF_ERROR(check(batches.back()));
  }
  if (pending.size() * 10 > places.size() * 9) {
    const auto worst = std::max_element(blame.begin(), blame.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    return failed_precondition("found hardly any record that keeps \"{}\" ({} tries each)",
                               worst == blame.end() ? "the contract" : contract_->rules[static_cast<size_t>(worst->first)].name, kTries)
        .with_hint("synth tries values; a check that few records keep by chance needs narrower ranges");
  }
  columnar::BatchBuilder builder(contract_->schema, count);
  std::vector<uint64_t> kept;
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i].batch < 0) continue;
    builder.append_row(batches[static_cast<size_t>(places[i].batch)], places[i].row);
    kept.push_back(out.numbers[i]);
  }
  out.batch = builder.finish();
  out.numbers = std::move(kept);
  return out;
}

Result<std::optional<Batch>> SynthRows::breaking(int rule, uint64_t number) {
  const std::vector<uint64_t> numbers(kBreakingRows, number);
  std::optional<Batch> best;
  size_t best_broken = SIZE_MAX;
  for (uint64_t attempt = 0; attempt < kBreakingTries; ++attempt) {
    const Batch batch = RUNINK_TRY(draw(numbers, 1000 + attempt, attempt % 2 == 0 ? Mode::kBreaking : Mode::kLikely));
    RUNINK_RETURN_IF_ERROR(check(batch));
    std::vector<size_t> broken(static_cast<size_t>(batch.rows));
    for (const auto& failure : result_.failures) ++broken[static_cast<size_t>(failure.row)];
    for (const auto& failure : result_.failures) {
      if (failure.rule != rule || broken[static_cast<size_t>(failure.row)] >= best_broken) continue;
      best_broken = broken[static_cast<size_t>(failure.row)];
      best = columnar::slice(batch, failure.row, 1);
    }
    if (best_broken == 1) break;
  }
  return best;
}

}  // namespace runink::local
