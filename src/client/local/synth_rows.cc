#include "client/local/synth_rows.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "client/local/synth_breaks.h"
#include "data/columnar/kernels.h"
#include "data/columnar/text.h"
#include "data/expr/ast.h"

namespace runink::local {
namespace {

using columnar::Batch;
using columnar::Column;
using columnar::ColumnBuilder;
using columnar::Value;

constexpr double kNullShare = 0.05;
constexpr uint64_t kTries = 300;            // for a row that keeps the contract
constexpr uint64_t kRepairTries = 8;        // of those, as it was, with other values in columns of checks
constexpr uint64_t kLikelyTries = 6;        // of those, as makers make them
constexpr int64_t kBreakingRows = 64;       // tried at once for a row that breaks a rule
constexpr uint64_t kBreakingTries = 40;     // batches of those, for a check
constexpr uint64_t kChangingTries = 6;      // batches of those, for a rule of a field
constexpr uint64_t kBreakingStream = 1000;  // numbers of attempts at broken rows begin here
constexpr const char* kKey = "key of synthetic records";

// Literals of an expression, as text.
void collect_literals(const expr::Expr& e, std::vector<std::string>* out) {
  if (e.kind == expr::Expr::Kind::kLiteral && !e.value.is_null())
    out->push_back(columnar::value_to_display(e.type, e.value));
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

bool contains(const std::vector<int>& all, int one) { return std::find(all.begin(), all.end(), one) != all.end(); }
bool contains_all(const std::vector<int>& all, const std::vector<int>& some) {
  return std::all_of(some.begin(), some.end(), [&](int c) { return contains(all, c); });
}

Batch copies_of(const Batch& batch, int64_t row, size_t count) {
  Batch out = columnar::gather(batch, std::vector<int32_t>(count, static_cast<int32_t>(row)));
  out.origin.reset();
  return out;
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
  is_drawn_.resize(columns);
  specials_.resize(columns);
  partners_.resize(columns);
  RUNINK_RETURN_IF_ERROR(make_makers());
  arrange_keys();
  // Sets of one column first: they settle larger sets that hold that column.
  std::vector<const contract::UniqueSet*> sets;
  for (const auto& set : contract_->unique_sets) sets.push_back(&set);
  std::stable_sort(sets.begin(), sets.end(),
                   [](const auto* a, const auto* b) { return a->columns.size() < b->columns.size(); });
  for (const auto* set : sets) RUNINK_RETURN_IF_ERROR(arrange_unique(*set));
  learn_from_checks();
  return {};
}

Status SynthRows::make_makers() {
  std::vector<bool> in_unique(contract_->fields.size());
  for (const auto& set : contract_->unique_sets) {
    for (const int c : set.columns) in_unique[static_cast<size_t>(c)] = true;
  }
  for (size_t c = 0; c < contract_->fields.size(); ++c) {
    const MakerOptions options = {options_.now_micros, in_unique[c] ? options_.records : 0, contract_->name};
    makers_.push_back(RUNINK_TRY(make_value_maker(contract_->fields[c], options)));
  }
  return {};
}

// Which columns take the keys of other files.
void SynthRows::arrange_keys() {
  for (const auto& keys : options_.draw) {
    std::vector<std::string> names;
    std::vector<FieldJudge> judges;
    bool usable = true;
    for (const int c : keys.columns) {
      names.push_back(contract_->fields[static_cast<size_t>(c)].name);
      usable = usable && !is_drawn_[static_cast<size_t>(c)];
      auto judge = FieldJudge::make(contract_->fields[static_cast<size_t>(c)]);
      if (judge.ok()) judges.push_back(std::move(*judge));
    }
    if (!usable || judges.size() != keys.columns.size()) continue;
    // A set that must not repeat and lies within these columns: each key once, in turn.
    const auto once = std::find_if(contract_->unique_sets.begin(), contract_->unique_sets.end(),
                                   [&](const auto& set) { return contains_all(keys.columns, set.columns); });
    std::set<std::string> seen;
    std::vector<ColumnBuilder> builders;
    for (const int c : keys.columns) builders.emplace_back(contract_->fields[static_cast<size_t>(c)].type);
    for (const auto& row : keys.rows) {
      std::string unique_part;
      bool fits = true;
      for (size_t i = 0; i < row.size(); ++i) {
        fits = fits && !row[i].is_null() && judges[i].accepts(row[i]);
        if (once == contract_->unique_sets.end() || !contains(once->columns, keys.columns[i])) continue;
        unique_part +=
            columnar::value_to_json(contract_->fields[static_cast<size_t>(keys.columns[i])].type, row[i]) + "\n";
      }
      if (!fits || (!unique_part.empty() && !seen.insert(unique_part).second)) continue;
      for (size_t i = 0; i < row.size(); ++i) builders[i].append_value(row[i]);
    }
    const auto count = static_cast<uint64_t>(builders[0].length());
    const bool in_turn = once != contract_->unique_sets.end();
    if (count == 0 || (in_turn && count < options_.records && !options_.fewer_will_do)) {
      notes_.push_back(fmt::format("{}: {} of the keys to join with {}, so most rows will find none", join(names, ", "),
                                   count == 0 ? "none" : human_count(count),
                                   count == 0 ? "fits the contract" : "can be used once each"));
      continue;
    }
    Drawn drawn;
    drawn.columns = keys.columns;
    drawn.in_turn = in_turn;
    for (auto& builder : builders) drawn.values.push_back(builder.finish());
    if (in_turn) room_ = std::min(room_, count);
    for (const int c : keys.columns) is_drawn_[static_cast<size_t>(c)] = true;
    drawn_.push_back(std::move(drawn));
  }
}

Status SynthRows::arrange_unique(const contract::UniqueSet& set) {
  const auto settles = [&](int c) {
    const auto& u = unrepeated_[static_cast<size_t>(c)];
    return u.divisor == 1 && u.modulus >= std::min(options_.records, room_) && u.modulus > 0;
  };
  if (std::any_of(set.columns.begin(), set.columns.end(), settles)) return {};
  for (const auto& drawn : drawn_) {
    if (!drawn.in_turn) continue;
    for (const auto& other : contract_->unique_sets) {  // the set for which these keys are taken in turn
      if (contains_all(drawn.columns, other.columns) && contains_all(set.columns, other.columns)) return {};
    }
  }
  std::vector<std::string> names;
  uint64_t reach = 1;  // numbers told apart so far
  for (const bool drawn_too : {false, true}) {
    for (size_t i = set.columns.size(); i-- > 0 && reach < options_.records;) {
      const auto c = static_cast<size_t>(set.columns[i]);
      if (is_drawn_[c] != drawn_too) continue;
      const uint64_t capacity = makers_[c]->capacity();
      if (capacity < 2 || unrepeated_[c].modulus != 0) continue;
      unrepeated_[c] = {reach, capacity};
      if (__builtin_mul_overflow(reach, capacity, &reach)) reach = UINT64_MAX;
      if (!drawn_too) continue;
      // Keys of another file are too few to tell the records apart.
      notes_.push_back(
          fmt::format("{}: keys of its own, as those to join with would repeat", contract_->fields[c].name));
      std::erase_if(drawn_, [&](const Drawn& d) {
        if (!contains(d.columns, static_cast<int>(c))) return false;
        for (const int other : d.columns) is_drawn_[static_cast<size_t>(other)] = false;
        return true;
      });
    }
  }
  for (const int c : set.columns) names.push_back(contract_->fields[static_cast<size_t>(c)].name);
  room_ = std::min(room_, reach);
  if (reach >= options_.records || options_.fewer_will_do) return {};
  return failed_precondition("{} can be told apart in {} ways only, and {} records were asked for",
                             join(names, " and "), human_count(reach), human_count(options_.records))
      .with_hint("ask for fewer with --records, or widen the field");
}

// ---- what checks want
// --------------------------------------------------------------------------------------------------

void SynthRows::add_special(int column, const std::string& text) {
  const auto c = static_cast<size_t>(column);
  const auto& field = contract_->fields[c];
  const columnar::FieldText reader(field.type);
  auto value = reader.parse(text);
  if (!value.ok()) return;
  auto judge = FieldJudge::make(field);
  if (!judge.ok()) return;
  std::vector<Value> values = {*value};
  for (const int direction : {1, -1}) {
    if (auto beside = neighbour(field, *value, direction)) values.push_back(std::move(*beside));
  }
  for (auto& v : values) {
    auto& known = specials_[c];
    if (judge->accepts(v) && std::find(known.begin(), known.end(), v) == known.end()) known.push_back(std::move(v));
  }
}

// What checks compare with, which columns they look at together, and what they equate.
void SynthRows::learn_from_checks() {
  for (size_t i = 0; i < contract_->checks.size(); ++i) {
    const auto& check = contract_->checks[i];
    const auto text = std::make_shared<const SourceText>("check", check.text);
    Diagnostics ignored;
    expr::ParseOptions parse_options;
    parse_options.comments = true;
    const expr::ExprPtr tree = expr::parse(text, {0, check.text.size()}, ignored, parse_options);
    if (tree == nullptr) continue;
    std::vector<std::string> literals = {"0"};
    collect_literals(*tree, &literals);
    for (const int c : check.expression.columns()) {
      for (const auto& literal : literals) add_special(c, literal);
      for (const int other : check.expression.columns()) {
        if (other != c &&
            contract_->fields[static_cast<size_t>(other)].type == contract_->fields[static_cast<size_t>(c)].type) {
          partners_[static_cast<size_t>(c)].push_back(other);
        }
      }
    }
    const bool several = tree->kind == expr::Expr::Kind::kCall && tree->name == "and";
    if (!several) learn_equation(tree, text, static_cast<int>(i));
    for (size_t k = 0; several && k < tree->args.size(); ++k) learn_equation(tree->args[k], text, static_cast<int>(i));
  }
}

void SynthRows::learn_equation(const expr::ExprPtr& tree, const SourceTextPtr& text, int check) {
  if (tree->kind != expr::Expr::Kind::kCall || tree->name != "==" || tree->args.size() != 2) return;
  const expr::Scope scope(contract_->schema);
  for (const size_t side : {size_t{0}, size_t{1}}) {
    if (tree->args[side]->kind != expr::Expr::Kind::kField) continue;
    const int column = contract_->column_of(tree->args[side]->name);
    if (column < 0 || unrepeated_[static_cast<size_t>(column)].modulus != 0 || is_drawn_[static_cast<size_t>(column)])
      continue;
    Diagnostics ignored;
    const expr::TypedExpr value = expr::check(
        cast_to(tree->args[1 - side], contract_->fields[static_cast<size_t>(column)].type), text, scope, ignored);
    if (!value.valid() || contains(value.columns(), column)) continue;
    equations_.push_back({column, check, expr::Evaluator(value)});
    return;
  }
}

Status SynthRows::equate(Batch* batch, int unequal_check, int keep_column) {
  for (auto& equation : equations_) {
    if (equation.check == unequal_check || equation.column == keep_column) continue;
    std::vector<expr::RowError> errors;
    batch->columns[static_cast<size_t>(equation.column)] =
        RUNINK_TRY(equation.value.evaluate(*batch, {options_.now_micros, kKey}, errors));
  }
  return {};
}

// In columns of checks, some values become those that checks compare with, some another column's.
void SynthRows::mix_in(Batch* batch, SynthRandom& random) {
  const std::vector<Column> before = batch->columns;
  for (size_t c = 0; c < before.size(); ++c) {
    if (unrepeated_[c].modulus != 0 || is_drawn_[c] || (specials_[c].empty() && partners_[c].empty())) continue;
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

// ---- rows
// --------------------------------------------------------------------------------------------------------------

Column SynthRows::draw_column(size_t c, const std::vector<uint64_t>& numbers, uint64_t stream) {
  const auto& field = contract_->fields[c];
  const ValueMaker& maker = *makers_[c];
  ColumnBuilder builder(field.type, static_cast<int64_t>(numbers.size()));
  SynthDraw draw{SynthRandom(options_.seed, c + 1, numbers.front(), stream), 0, {}};
  const Unrepeated u = unrepeated_[c];
  if (u.modulus == 0) {
    maker.append_all(draw, whos_, field.nullable() && makers_.size() > 1 ? kNullShare : 0, builder);
    return builder.finish();
  }
  for (size_t r = 0; r < numbers.size(); ++r) {
    draw.who = whos_[r];
    maker.append_at(u.index(numbers[r]), draw, builder);
  }
  return builder.finish();
}

Result<Batch> SynthRows::draw(const std::vector<uint64_t>& numbers, uint64_t attempt, Mode mode, int unequal_check) {
  const auto rows = static_cast<int64_t>(numbers.size());
  Batch batch;
  batch.schema = contract_->schema;
  batch.rows = rows;
  const uint64_t stream = attempt * 2 + (mode == Mode::kSearching ? 1 : 0);
  whos_.resize(numbers.size());
  for (size_t r = 0; r < numbers.size(); ++r) {
    whos_[r] = SynthRandom::mix(SynthRandom::mix(options_.seed + numbers[r]) + stream +
                                (attempt >= kBreakingStream ? r << 20 : 0));
  }
  // The first record is the newest: what must be fresh is.
  if (numbers.front() == 0) whos_[0] |= 0xffffff0000000000;
  for (size_t c = 0; c < makers_.size(); ++c)
    batch.columns.push_back(is_drawn_[c] ? Column() : draw_column(c, numbers, stream));
  for (size_t d = 0; d < drawn_.size(); ++d) {
    const Drawn& drawn = drawn_[d];
    SynthRandom random(options_.seed, makers_.size() + 1 + d, numbers.front(), stream);
    const auto count = static_cast<uint64_t>(drawn.values[0].length);
    std::vector<int32_t> chosen;
    for (const uint64_t number : numbers) {
      // Some keys are common and most are rare, as in life.
      const double at = random.unit();
      chosen.push_back(static_cast<int32_t>(
          drawn.in_turn ? number % count : static_cast<uint64_t>(at * at * at * static_cast<double>(count))));
    }
    for (size_t i = 0; i < drawn.columns.size(); ++i) {
      batch.columns[static_cast<size_t>(drawn.columns[i])] = columnar::gather(drawn.values[i], chosen);
    }
  }
  if (mode == Mode::kSearching) {
    SynthRandom random(options_.seed, 0, numbers.front(), stream);
    mix_in(&batch, random);
  }
  RUNINK_RETURN_IF_ERROR(equate(&batch, unequal_check, -1));
  return batch;
}

Status SynthRows::check(const Batch& batch) {
  return checker_->check(batch, {options_.now_micros, kKey}, scratch_, result_);
}

// Some rows again, with other values in columns of checks: redrawn as a whole, they would hardly ever be of the rare
// kind that a check has conditions for.
Result<Batch> SynthRows::repaired(const Batch& rows, const std::vector<size_t>& which, uint64_t first,
                                  uint64_t attempt) {
  std::vector<int32_t> indices(which.begin(), which.end());
  Batch out = columnar::gather(rows, indices);
  SynthRandom random(options_.seed, 0, first, attempt * 2);
  mix_in(&out, random);
  RUNINK_RETURN_IF_ERROR(equate(&out, -1, -1));
  return out;
}

Result<SynthRows::Rows> SynthRows::valid(uint64_t first, int64_t count) {
  Rows out;
  for (int64_t i = 0; i < count; ++i) out.numbers.push_back(first + static_cast<uint64_t>(i));
  out.batch = RUNINK_TRY(draw(out.numbers, 0, Mode::kLikely));
  RUNINK_RETURN_IF_ERROR(check(out.batch));
  if (result_.failed_rows == 0) return out;

  // Rows found so far: which batch, which row of it; for every number in order.
  const Batch likely = out.batch;
  std::vector<Batch> batches = {std::move(out.batch)};
  struct Place {
    int32_t batch = -1, row = 0;
  };
  std::vector<Place> places(out.numbers.size());
  std::vector<size_t> pending(out.numbers.size());
  for (size_t i = 0; i < pending.size(); ++i) pending[i] = i;
  for (uint64_t attempt = 0;;) {
    std::vector<size_t> still;
    for (size_t k = 0; k < pending.size(); ++k) {
      if (result_.failed[k] != 0)
        still.push_back(pending[k]);
      else
        places[pending[k]] = {static_cast<int32_t>(batches.size() - 1), static_cast<int32_t>(k)};
    }
    if (still.size() == pending.size()) batches.pop_back();  // none of its rows is used
    pending = std::move(still);
    if (pending.empty() || ++attempt == kTries) break;
    std::vector<uint64_t> numbers;
    for (const size_t i : pending) numbers.push_back(out.numbers[i]);
    if (attempt <= kRepairTries) {
      batches.push_back(RUNINK_TRY(repaired(likely, pending, numbers.front(), attempt)));
    } else {
      const Mode mode = attempt < kRepairTries + kLikelyTries ? Mode::kLikely : Mode::kSearching;
      batches.push_back(RUNINK_TRY(draw(numbers, attempt, mode)));
    }
    RUNINK_RETURN_IF_ERROR(check(batches.back()));
  }
  if (!pending.empty()) {
    for (const auto& failure : result_.failures) ++blame_[failure.rule];
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

std::string SynthRows::hardest_rule() const {
  const auto worst =
      std::max_element(blame_.begin(), blame_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return worst == blame_.end() ? "" : contract_->rules[static_cast<size_t>(worst->first)].name;
}

// ---- rows that break a rule
// ----------------------------------------------------------------------------------------------

bool SynthRows::best_breaking(const Batch& batch, int rule, std::optional<Broken>* best) const {
  const auto& failures = result_.failures;
  for (size_t i = 0; i < failures.size();) {
    const int32_t row = failures[i].row;
    std::vector<int> rules;
    for (; i < failures.size() && failures[i].row == row; ++i) rules.push_back(failures[i].rule);
    if (!contains(rules, rule) || (best->has_value() && (*best)->rules.size() <= rules.size())) continue;
    *best = Broken{columnar::slice(batch, row, 1), std::move(rules)};
  }
  return best->has_value() && (*best)->rules.size() == 1;
}

Result<std::optional<SynthRows::Broken>> SynthRows::breaking(int rule, const std::vector<Value>& candidates,
                                                             const Batch& batch, int64_t row, uint64_t number) {
  std::optional<Broken> best;
  const auto& broken = contract_->rules[static_cast<size_t>(rule)];
  const bool is_check = broken.kind == contract::RuleKind::kCheck;
  const auto change = [&](Batch* rows) -> Status {
    const auto c = static_cast<size_t>(broken.column);
    ColumnBuilder builder(rows->columns[c].type, rows->rows);
    for (int64_t r = 0; r < rows->rows; ++r)
      builder.append_value(candidates[static_cast<size_t>(r) % candidates.size()]);
    rows->columns[c] = builder.finish();
    return equate(rows, -1, broken.column);
  };
  if (!is_check) {
    if (candidates.empty()) return best;
    Batch rows = copies_of(batch, row, candidates.size());
    RUNINK_RETURN_IF_ERROR(change(&rows));
    RUNINK_RETURN_IF_ERROR(check(rows));
    if (best_breaking(rows, rule, &best)) return best;
  }
  const std::vector<uint64_t> numbers(kBreakingRows, number);
  for (uint64_t attempt = 0; attempt < (is_check ? kBreakingTries : kChangingTries); ++attempt) {
    Batch rows = RUNINK_TRY(draw(numbers, kBreakingStream + attempt,
                                 attempt % 2 == 0 ? Mode::kSearching : Mode::kLikely, is_check ? broken.check : -1));
    if (!is_check) RUNINK_RETURN_IF_ERROR(change(&rows));
    RUNINK_RETURN_IF_ERROR(check(rows));
    if (best_breaking(rows, rule, &best)) return best;
  }
  return best;
}

// The rules of other sets than `set` of which row `r` repeats the values of `before`.
std::vector<int> SynthRows::also_repeated(const contract::UniqueSet& set, const Batch& before, const Batch& rows,
                                          int64_t r) const {
  std::vector<int> rules;
  for (const auto& other : contract_->unique_sets) {
    if (&other == &set) continue;
    const bool differs = std::any_of(other.columns.begin(), other.columns.end(), [&](int c) {
      const auto& column = rows.columns[static_cast<size_t>(c)];
      return column.is_null(r) || !columnar::equal_rows(before.columns[static_cast<size_t>(c)], 0, column, r);
    });
    if (!differs) rules.push_back(other.rule);
  }
  return rules;
}

Result<std::optional<SynthRows::Broken>> SynthRows::repeating(const contract::UniqueSet& set, const Batch& before,
                                                              const Batch& batch, int64_t row, uint64_t number) {
  std::optional<Broken> best;
  for (uint64_t attempt = 0; attempt < kChangingTries; ++attempt) {
    Batch rows = attempt == 0
                     ? copies_of(batch, row, 1)
                     : RUNINK_TRY(draw(std::vector<uint64_t>(kBreakingRows, number), kBreakingStream + 500 + attempt,
                                       attempt % 2 == 0 ? Mode::kSearching : Mode::kLikely));
    for (const int c : set.columns) {
      rows.columns[static_cast<size_t>(c)] = columnar::gather(before.columns[static_cast<size_t>(c)],
                                                              std::vector<int32_t>(static_cast<size_t>(rows.rows), 0));
    }
    for (auto& equation : equations_) {
      if (contains(set.columns, equation.column)) continue;
      std::vector<expr::RowError> errors;
      rows.columns[static_cast<size_t>(equation.column)] =
          RUNINK_TRY(equation.value.evaluate(rows, {options_.now_micros, kKey}, errors));
    }
    RUNINK_RETURN_IF_ERROR(check(rows));
    for (int64_t r = 0; r < rows.rows; ++r) {
      if (result_.failed[static_cast<size_t>(r)] != 0) continue;
      Broken found{columnar::slice(rows, r, 1), also_repeated(set, before, rows, r)};
      if (best && best->rules.size() <= found.rules.size() + 1) continue;
      found.rules.insert(found.rules.begin(), set.rule);
      best = std::move(found);
      if (best->rules.size() == 1) return best;
    }
  }
  return best;
}

}  // namespace runink::local
