// The state machine of the official Gherkin grammar, line by line, with Runink's three additions.
//
//   GherkinDocument := Feature?
//   Feature         := #Language? Tags? #FeatureLine Description Background? ScenarioDefinition* Rule*
//   Rule            := Tags? #RuleLine Description Background? ScenarioDefinition*
//   Background      := #BackgroundLine Description Step*
//   Scenario        := Tags? #ScenarioLine Description Step* (Tags? #ExamplesLine Description #TableRow*)*
//   Step            := #StepLine (DataTable DocString? | DocString DataTable?)?
//
// Blank and comment lines may stand anywhere; in a description blank lines count as text. A line is tried for each
// kind that its state takes, in a fixed order. Tags say whose they are only by the keyword after them, so the parser
// looks ahead over tag, comment and blank lines; every line is looked at a bounded number of times.
#include <algorithm>
#include <deque>

#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/gherkin.h"
#include "data/dsl/gherkin_annotations.h"
#include "data/dsl/gherkin_dialects.h"
#include "data/dsl/gherkin_lines.h"
#include "data/dsl/gherkin_sections.h"
#include "data/dsl/gherkin_states.h"

namespace runink::dsl {
namespace {

using namespace grammar;  // State, Kind and what belongs to them

constexpr size_t kErrorsMax = 10;
constexpr size_t kTextBytesMax = size_t{1} << 30;

struct Token {
  Line line;
  std::unique_ptr<TagLine> tags;  // of a line that starts with '@'
};

// `# language: xx`; empty if the line is none.
std::string_view language_of(const Line& line) {
  std::string_view rest = line.trimmed;
  if (rest.empty() || rest[0] != '#') return {};
  rest = trim_left(rest.substr(1));
  constexpr std::string_view kWord = "language";
  if (rest.substr(0, kWord.size()) != kWord) return {};
  rest = trim_left(rest.substr(kWord.size()));
  if (rest.empty() || rest[0] != ':') return {};
  rest = trim_both(rest.substr(1));
  for (const char c : rest) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_')) return {};
  }
  return rest;
}

class Parser {
 public:
  Parser(SourceTextPtr source, Diagnostics* diagnostics)
      : source_(*source), reader_(*source), diagnostics_(diagnostics), dialect_(find_dialect("en")) {
    document_.source = std::move(source);
  }

  std::optional<Document> parse() {
    for (;;) {
      Token token = next_token();
      const bool eof = token.line.eof;
      take(std::move(token));
      if (eof || error_lines_.size() >= kErrorsMax) break;
    }
    if (!error_lines_.empty()) return std::nullopt;
    return std::move(document_);
  }

 private:
  bool in_doc_string() const { return state_ == State::kDoc || state_ == State::kTableDoc; }

  // ---- reading ----

  Token read_token() {
    Token token;
    token.line = reader_.next();
    if (!token.line.eof && token.line.starts_with("@")) {
      token.tags = std::make_unique<TagLine>(read_tag_line(source_, *dialect_, token.line, &reader_));
      for (const auto& problem : token.tags->problems) report(problem);
    }
    return token;
  }

  Token next_token() {
    if (in_doc_string()) {
      Token token;
      token.line = reader_.next();
      return token;
    }
    if (queue_.empty()) return read_token();
    Token token = std::move(queue_.front());
    queue_.pop_front();
    return token;
  }

  // The first line ahead that is no tag, comment or blank line; `*only_annotations` says whether the tag lines before
  // it hold nothing else.
  const Line& look_ahead(bool* only_annotations) {
    for (size_t i = 0;; ++i) {
      if (i == queue_.size()) queue_.push_back(read_token());
      const Token& token = queue_[i];
      const bool skipped = token.line.empty() || token.line.starts_with("#") || token.tags != nullptr;
      if (token.line.eof || !skipped) return token.line;
      if (token.tags != nullptr && !token.tags->only_annotations) *only_annotations = false;
    }
  }

  // ---- what a state takes ----

  unsigned accepted() const { return kinds_accepted(state_, in_background_); }

  Kind classify(const Token& token, unsigned accepted) {
    const Line& line = token.line;
    if (line.eof) return (accepted & kEof) ? kEof : kNone;
    if ((accepted & kLanguageLine) && is_language_line(line)) return kLanguageLine;
    if (line.empty()) return (accepted & kEmpty) ? kEmpty : (accepted & kOther) ? kOther : kNone;
    const std::string_view text = line.trimmed;
    if (text[0] == '#') return (accepted & kCommentLine) ? kCommentLine : kNone;
    if ((accepted & kTableRow) && text[0] == '|') return kTableRow;
    if ((accepted & kDocSeparator) && (line.starts_with("\"\"\"") || line.starts_with("```"))) return kDocSeparator;
    const auto is_title = [&](unsigned kind, const std::vector<std::string_view>& words) {
      return (accepted & kind) != 0 && !find_title_keyword(words, text).empty();
    };
    if (is_title(kBackgroundTitle, dialect_->background)) return kBackgroundTitle;
    if ((accepted & kStep) && find_step_keyword(*dialect_, text) != nullptr) return kStep;
    if ((accepted & kTags) && token.tags != nullptr) return kTags;
    if (is_title(kExamplesTitle, dialect_->examples)) return kExamplesTitle;
    if (is_title(kScenarioTitle, dialect_->scenario) || is_title(kScenarioTitle, dialect_->scenario_outline)) {
      return kScenarioTitle;
    }
    if (is_title(kRuleTitle, dialect_->rule)) return kRuleTitle;
    if (is_title(kFeatureTitle, dialect_->feature)) return kFeatureTitle;
    return (accepted & kOther) ? kOther : kNone;
  }

  bool is_language_line(const Line& line) {
    const std::string_view code = language_of(line);
    if (code.empty()) return false;
    if (find_dialect(code) != nullptr) return true;
    auto& d = report(line.number, line.place().span, "dsl.language", fmt::format("no spoken language `{}`", code));
    for (const auto& near : nearest(code, dialect_codes(), 3)) d.help.push_back("did you mean `" + near + "`?");
    return false;
  }

  // ---- one line ----

  void take(Token token) {
    if (in_doc_string()) return take_doc_string_line(token.line);
    const Kind kind = classify(token, accepted());
    if (state_ == State::kSection && kind == kNone) return take_section_line(token);
    switch (kind) {
      case kEof:
        leave_block();
        state_ = State::kEnd;
        break;
      case kLanguageLine:
        dialect_ = find_dialect(language_of(token.line));
        state_ = State::kLanguage;
        break;
      case kEmpty:
        break;
      case kCommentLine:
        take_comment(token.line);
        break;
      case kTableRow:
        take_table_row(token.line);
        break;
      case kDocSeparator:
        open_doc_string(token.line);
        break;
      case kTags:
        take_tags(std::move(token));
        break;
      case kStep:
        take_step(token.line);
        break;
      case kFeatureTitle:
        take_feature(token.line);
        break;
      case kRuleTitle:
        take_rule(token.line);
        break;
      case kBackgroundTitle:
        take_background(token.line);
        break;
      case kScenarioTitle:
        take_scenario(token.line);
        break;
      case kExamplesTitle:
        take_examples(token.line);
        break;
      case kOther:
        take_description_line(token.line);
        break;
      case kNone:
        take_unexpected(std::move(token));
        break;
    }
  }

  void take_comment(const Line& line) {
    Comment comment;
    comment.text = line.text;
    comment.place = {line.number, 1, {line.offset, line.text.size()}};
    document_.comments.push_back(comment);
    open_description();
  }

  // A comment or a line of text begins the description, after which blank lines are part of it.
  void open_description() {
    switch (state_) {
      case State::kFeatureLine:
        state_ = State::kFeatureDescription;
        break;
      case State::kRuleLine:
        state_ = State::kRuleDescription;
        break;
      case State::kBackgroundLine:
        state_ = State::kBackgroundDescription;
        break;
      case State::kScenarioLine:
        state_ = State::kScenarioDescription;
        break;
      case State::kExamplesLine:
        state_ = State::kExamplesDescription;
        break;
      default:
        break;
    }
  }

  void take_description_line(const Line& line) {
    open_description();
    description_lines_.push_back(line);
    if (sections_ == nullptr && section_opened_by(line) && may_note()) {
      auto& hint = diagnostics_->hint(source_, line.place().span, "dsl.section",
                                      "this is description, not a section: only a Feature or a Scenario has sections");
      hint.help.emplace_back("move it below the `Feature:` or `Scenario:` line");
    }
  }

  // What must be done before a line that is no part of the present description or table.
  void leave_block() {
    switch (state_) {
      case State::kFeatureLine:
      case State::kFeatureDescription:
      case State::kRuleLine:
      case State::kRuleDescription:
      case State::kBackgroundLine:
      case State::kBackgroundDescription:
      case State::kScenarioLine:
      case State::kScenarioDescription:
      case State::kExamplesLine:
      case State::kExamplesDescription:
        finish_description();
        break;
      case State::kTable:
      case State::kDocTable:
        check_rows(nullptr, steps_->back().table->rows);
        break;
      case State::kExamplesTable:
        check_rows(&*examples_->header, examples_->body);
        break;
      default:
        break;
    }
  }

  void begin_description(std::string* description, std::vector<Section>* sections) {
    description_ = description;
    sections_ = sections;
    description_lines_.clear();
  }

  void finish_description() {
    if (sections_ != nullptr) *sections_ = take_sections(source_, *dialect_, &description_lines_, diagnostics_);
    while (!description_lines_.empty() && description_lines_.back().empty()) description_lines_.pop_back();
    for (size_t i = 0; i < description_lines_.size(); ++i) {
      if (i != 0) *description_ += '\n';
      *description_ += description_lines_[i].text;
    }
    description_lines_.clear();
  }

  void check_rows(const TableRow* header, const std::vector<TableRow>& rows) {
    const TableRow& first = header != nullptr ? *header : rows.front();
    for (const TableRow& row : rows) {
      if (row.cells.size() == first.cells.size()) continue;
      auto& d =
          report(row.place.line, row.place.span, "dsl.table",
                 fmt::format("this row has {} cell{}, the first row of its table (line {}) has {}", row.cells.size(),
                             row.cells.size() == 1 ? "" : "s", first.place.line, first.cells.size()));
      d.help.emplace_back("every cell ends with `|`; a `|` inside a cell is written `\\|`");
      return;
    }
  }

  // ---- titles ----

  struct Title {
    std::string_view keyword, name;
  };
  static Title title(const Line& line, std::string_view keyword) {
    return {line.trimmed.substr(0, keyword.size()), trim_both(line.trimmed.substr(keyword.size() + 1))};
  }

  template <typename Node>
  void give_tags(Node* node) {
    node->tags = std::move(pending_tags_);
    node->annotations = std::move(pending_annotations_);
    pending_tags_.clear();
    pending_annotations_.clear();
  }

  template <typename Node>
  void give_title(Node* node, const Line& line, std::string_view keyword) {
    const Title parts = title(line, keyword);
    node->keyword = parts.keyword;
    node->name = parts.name;
    node->place = line.place();
  }

  void take_feature(const Line& line) {
    document_.feature.emplace();
    Feature& feature = *document_.feature;
    feature.language = std::string(dialect_->code);
    give_tags(&feature);
    give_title(&feature, line, find_title_keyword(dialect_->feature, line.trimmed));
    begin_description(&feature.description, &feature.sections);
    state_ = State::kFeatureLine;
  }

  void take_rule(const Line& line) {
    leave_block();
    document_.feature->rules.emplace_back();
    Rule& rule = document_.feature->rules.back();
    give_tags(&rule);
    give_title(&rule, line, find_title_keyword(dialect_->rule, line.trimmed));
    begin_description(&rule.description, nullptr);
    in_rule_ = true;
    state_ = State::kRuleLine;
  }

  void take_background(const Line& line) {
    leave_block();
    auto& slot = in_rule_ ? document_.feature->rules.back().background : document_.feature->background;
    slot.emplace();
    give_title(&*slot, line, find_title_keyword(dialect_->background, line.trimmed));
    begin_description(&slot->description, nullptr);
    steps_ = &slot->steps;
    in_background_ = true;
    state_ = State::kBackgroundLine;
  }

  void take_scenario(const Line& line) {
    leave_block();
    auto& scenarios = in_rule_ ? document_.feature->rules.back().scenarios : document_.feature->scenarios;
    scenarios.emplace_back();
    scenario_ = &scenarios.back();
    give_tags(scenario_);
    std::string_view keyword = find_title_keyword(dialect_->scenario, line.trimmed);
    if (keyword.empty()) keyword = find_title_keyword(dialect_->scenario_outline, line.trimmed);
    give_title(scenario_, line, keyword);
    begin_description(&scenario_->description, &scenario_->sections);
    steps_ = &scenario_->steps;
    in_background_ = false;
    state_ = State::kScenarioLine;
  }

  void take_examples(const Line& line) {
    leave_block();
    scenario_->examples.emplace_back();
    examples_ = &scenario_->examples.back();
    give_tags(examples_);
    give_title(examples_, line, find_title_keyword(dialect_->examples, line.trimmed));
    begin_description(&examples_->description, nullptr);
    state_ = State::kExamplesLine;
  }

  // ---- tags ----

  void take_tags(Token token) {
    for (auto& tag : token.tags->tags) pending_tags_.push_back(std::move(tag));
    for (auto& annotation : token.tags->annotations) pending_annotations_.push_back(std::move(annotation));
    switch (state_) {
      case State::kStart:
      case State::kLanguage:
        state_ = State::kFeatureTags;
        return;
      case State::kFeatureTags:
      case State::kRuleTags:
      case State::kScenarioTags:
      case State::kExamplesTags:
      case State::kStepAnnotations:
        return;
      default:
        break;
    }
    const unsigned here = accepted();
    bool only_annotations = token.tags->only_annotations;
    const Line& ahead = look_ahead(&only_annotations);
    Token target;
    target.line = ahead;
    Kind kind = classify(target, here & (kExamplesTitle | kScenarioTitle));
    if (kind == kNone) kind = classify(target, here & kStep);
    leave_block();
    state_before_tags_ = state_;
    if (kind == kExamplesTitle) {
      state_ = State::kExamplesTags;
    } else if (kind == kScenarioTitle) {
      state_ = State::kScenarioTags;
    } else if (kind == kStep && only_annotations && !(state_ == State::kSection && section_after_examples_)) {
      if (state_ == State::kSection) report_step_after_section(ahead);
      state_ = State::kStepAnnotations;
    } else {
      state_ = State::kRuleTags;
    }
  }

  // ---- steps ----

  void take_step(const Line& line) {
    if (state_ == State::kSection) {
      if (section_after_examples_) return report_unexpected(line);
      report_step_after_section(line);
    }
    leave_block();
    const StepKeyword& keyword = *find_step_keyword(*dialect_, line.trimmed);
    steps_->emplace_back();
    Step& step = steps_->back();
    step.keyword = line.trimmed.substr(0, keyword.text.size());
    step.keyword_type = keyword.type;
    step.text = trim_both(line.trimmed.substr(keyword.text.size()));
    step.text_span = {line.offset + static_cast<size_t>(step.text.data() - line.text.data()), step.text.size()};
    step.place = line.place();
    step.annotations = std::move(pending_annotations_);
    pending_annotations_.clear();
    pending_tags_.clear();  // a bare @checkpoint is both
    state_ = State::kStepLine;
  }

  void take_table_row(const Line& line) {
    TableRow row;
    row.place = line.place();
    row.cells = split_cells(line);
    if (state_ == State::kExamplesLine || state_ == State::kExamplesDescription) {
      leave_block();
      examples_->header = std::move(row);
      state_ = State::kExamplesTable;
      return;
    }
    if (state_ == State::kExamplesTable) {
      examples_->body.push_back(std::move(row));
      return;
    }
    auto& table = steps_->back().table;
    if (table == nullptr) {
      table = std::make_unique<DataTable>();
      table->place = row.place;
      state_ = state_ == State::kStepLine ? State::kTable : State::kDocTable;
    }
    table->rows.push_back(std::move(row));
  }

  void open_doc_string(const Line& line) {
    leave_block();
    auto doc = std::make_unique<DocString>();
    doc->delimiter = line.trimmed.substr(0, 3);
    doc->media_type = trim_both(line.trimmed.substr(3));
    doc->place = line.place();
    steps_->back().doc_string = std::move(doc);
    doc_indent_ = line.indent;
    doc_has_line_ = false;
    state_ = state_ == State::kTable ? State::kTableDoc : State::kDoc;
  }

  void take_doc_string_line(const Line& line) {
    DocString& doc = *steps_->back().doc_string;
    if (line.eof) {
      auto& d = report(line.number, {line.offset, 0}, "dsl.syntax",
                       fmt::format("the file ends inside the doc string that line {} opens", doc.place.line));
      d.help.push_back(fmt::format("close it with a line of {}", doc.delimiter));
      return;
    }
    if (line.starts_with(doc.delimiter)) {
      state_ = state_ == State::kTableDoc ? State::kTableDocEnd : State::kDocEnd;
      return;
    }
    std::string_view text = line.trimmed;
    if (doc_indent_ <= line.indent) {
      text = line.text;
      for (uint32_t i = 0; i < doc_indent_; ++i) text.remove_prefix(space_length(text));
    }
    if (doc_has_line_) doc.content += '\n';
    doc_has_line_ = true;
    const std::string_view escaped = doc.delimiter[0] == '"' ? "\\\"\\\"\\\"" : "\\`\\`\\`";
    const size_t found = text.find(escaped);  // G takes the first one only
    doc.content += text.substr(0, found);
    if (found != std::string_view::npos) {
      doc.content += doc.delimiter;
      doc.content += text.substr(found + escaped.size());
    }
  }

  // ---- sections after the steps ----

  bool may_open_section() const {
    switch (state_) {
      case State::kStepLine:
      case State::kTable:
      case State::kTableDocEnd:
      case State::kDocEnd:
      case State::kDocTable:
      case State::kExamplesTable:
      case State::kSection:
        return !in_background_;
      default:
        return false;
    }
  }

  void open_section(SectionKind kind, const Line& line) {
    leave_block();
    if (state_ != State::kSection) section_after_examples_ = state_ == State::kExamplesTable;
    scenario_->sections.push_back(make_section(kind, line, /*after_steps=*/true));
    section_header_ = line;
    section_refused_ = false;
    state_ = State::kSection;
  }

  void take_section_line(const Token& token) {
    const Line& line = token.line;
    if (const auto kind = section_opened_by(line)) return open_section(*kind, line);
    if (starts_with_keyword(*dialect_, line.trimmed)) return report_unexpected(line);
    auto item = parse_section_item(line);
    if (item) {
      scenario_->sections.back().items.push_back(std::move(*item));
    } else if (!section_refused_) {
      section_refused_ = true;
      auto& d = report_section(fmt::format("this section after the last step cannot be read: line {}, `{}`, is no item",
                                           line.number, shorten(line.trimmed)));
      d.help.emplace_back(kSectionItemHelp);
    }
  }

  void report_step_after_section(const Line& step) {
    if (section_refused_) return;
    section_refused_ = true;
    auto& d = report_section(fmt::format(
        "a section stands after the last step of its scenario, but a step follows on line {}", step.number));
    d.help.emplace_back("move the section below that step, or above the first one");
  }

  Diagnostic& report_section(std::string message) {
    return report(section_header_.number, section_header_.place().span, "dsl.section", std::move(message));
  }

  // ---- errors ----

  void take_unexpected(Token token) {
    if (const auto kind = section_opened_by(token.line); kind && may_open_section()) {
      return open_section(*kind, token.line);
    }
    report_unexpected(token.line);
    if (token.line.eof || state_ != State::kRuleTags) return;
    // The tags belong to nothing. Going on as if they were not there finds more real errors than waiting for a rule.
    pending_tags_.clear();
    pending_annotations_.clear();
    state_ = state_before_tags_;
    take(std::move(token));
  }

  void report_unexpected(const Line& line) {
    const bool before_feature = !document_.feature.has_value();
    if (before_feature && unexpected_before_feature_) return;
    unexpected_before_feature_ = before_feature;
    const std::string expected = expectation(state_, *dialect_);
    const std::string message = line.eof ? fmt::format("the file ends where {} is expected", expected)
                                         : fmt::format("expected {}, found `{}`", expected, shorten(line.trimmed));
    auto& d = report(line.number, line.eof ? Span{line.offset, 0} : line.place().span, "dsl.syntax", message);
    std::string help = help_for_unexpected(line, state_, *dialect_);
    if (!help.empty()) d.help.push_back(std::move(help));
  }

  bool may_note() const { return diagnostics_->list().size() < kNotesMax; }

  // Where several errors name one line, the first is kept; the rest follow from it.
  Diagnostic& report(uint32_t line_number, Span span, std::string code, std::string message) {
    if (std::find(error_lines_.begin(), error_lines_.end(), line_number) != error_lines_.end()) {
      ignored_ = Diagnostic();
      return ignored_;
    }
    error_lines_.push_back(line_number);
    Diagnostic& d = diagnostics_->error(source_, span, std::move(code), std::move(message));
    // At the end of a text without a last line break G names the line after the last one.
    if (d.location.line != line_number) {
      d.location.line = line_number;
      d.location.column = 1;
      d.line_text.clear();
    }
    return d;
  }

  void report(const TagLine::Problem& problem) {
    if (problem.severity == Severity::kError) {
      auto& d = report(source_.position(problem.span.offset).line, problem.span, problem.code, problem.message);
      if (!problem.help.empty()) d.help.push_back(problem.help);
    } else if (may_note()) {
      auto& d = diagnostics_->hint(source_, problem.span, problem.code, problem.message);
      if (!problem.help.empty()) d.help.push_back(problem.help);
    }
  }

  const SourceText& source_;
  LineReader reader_;
  Diagnostics* diagnostics_;
  const Dialect* dialect_;
  Document document_;
  std::deque<Token> queue_;  // read ahead

  State state_ = State::kStart;
  State state_before_tags_ = State::kStart;
  bool in_rule_ = false, in_background_ = false;
  Scenario* scenario_ = nullptr;  // the last one
  Examples* examples_ = nullptr;  // the last ones
  std::vector<Step>* steps_ = nullptr;
  std::vector<Tag> pending_tags_;
  std::vector<Annotation> pending_annotations_;

  std::vector<Line> description_lines_;
  std::string* description_ = nullptr;
  std::vector<Section>* sections_ = nullptr;  // of the node that is described; none if it has no sections
  uint32_t doc_indent_ = 0;
  bool doc_has_line_ = false;
  Line section_header_;
  bool section_after_examples_ = false, section_refused_ = false;

  std::vector<uint32_t> error_lines_;
  bool unexpected_before_feature_ = false;
  Diagnostic ignored_;
};

// False, with an error, if the text is not one that can be parsed at all.
bool check_text(const SourceText& source, Diagnostics* diagnostics) {
  if (source.text().size() > kTextBytesMax) {
    diagnostics->error(source, {0, 0}, "dsl.syntax", "a feature file of more than 1 GiB is not read");
    return false;
  }
  if (is_valid_utf8(source.text())) return true;
  for (uint32_t line = 1; line <= source.line_count(); ++line) {
    if (is_valid_utf8(source.line(line))) continue;
    auto& d = diagnostics->error(source, {source.line_start(line), 0}, "dsl.encoding", "this line is not valid UTF-8");
    d.help.emplace_back("save the file as UTF-8");
    return false;
  }
  return false;
}

}  // namespace

std::optional<Document> parse_feature(SourceTextPtr source, Diagnostics* diagnostics) {
  if (!check_text(*source, diagnostics)) return std::nullopt;
  return Parser(std::move(source), diagnostics).parse();
}

}  // namespace runink::dsl
