// runi steps [WORDS…]: what a step may say.
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/invocation.h"
#include "data/dsl/compile.h"
#include "data/dsl/sentence.h"

namespace runink::cli {
namespace {

// What a listing shows of a sentence, an assertion or an annotation alike.
struct Entry {
  std::string kind, name, use, becomes, help, example;
  std::vector<std::string> ways;
};

std::vector<Entry> all_entries() {
  std::vector<Entry> out;
  for (const dsl::Sentence& s : dsl::sentences()) {
    out.push_back({"step", s.name, s.patterns[0], s.becomes, s.help, s.example, s.patterns});
  }
  for (const dsl::AssertionSentence& s : dsl::assertion_sentences()) {
    out.push_back({"assertion", s.name, s.patterns[0], "", s.help, s.example, s.patterns});
  }
  for (const dsl::AnnotationHelp& a : dsl::annotation_help()) {
    out.push_back({"annotation", "@" + a.name, a.use, "", a.help, a.use, {a.use}});
  }
  return out;
}

bool mentions(const Entry& entry, const std::vector<std::string>& words) {
  const std::string all = to_lower_ascii(entry.name + " " + entry.use + " " + entry.help + " " + entry.example);
  for (const std::string& word : words) {
    if (all.find(to_lower_ascii(word)) == std::string::npos) return false;
  }
  return true;
}

void show_in_full(Console& console, const Entry& entry) {
  std::string text =
      console.out_styled(Style::kBold, entry.name) + "\n" + wrap_text(entry.help, console.out_width(), 2);
  text += "  Ways to say it:\n";
  for (const std::string& way : entry.ways) text += "    " + way + "\n";
  text += "  Example:\n";
  for (std::string_view line : split(entry.example, '\n')) text += "    " + std::string(line) + "\n";
  if (!entry.becomes.empty()) text += "  Becomes: " + entry.becomes + "\n";
  console.out(text);
}

Result<int> run(Invocation& invocation) {
  const std::vector<std::string>& words = invocation.texts("WORD");
  Table table({{"name", "NAME"},
               {"kind", "KIND", true},
               {"sentence", "SENTENCE"},
               {"becomes", "BECOMES", true},
               {"help", "HELP", true},
               {"example", "EXAMPLE", true},
               {"ways", "WAYS", true}});
  for (const Entry& entry : all_entries()) {
    if (words.size() == 1 && words[0] == entry.name && !invocation.given("output")) {
      show_in_full(invocation.console(), entry);
      return kExitDone;
    }
    if (!mentions(entry, words)) continue;
    table.add({entry.name, entry.kind, entry.use, entry.becomes, entry.help, entry.example, Cell::list(entry.ways)});
  }
  if (table.rows().empty()) {
    return not_found("nothing that a step may say mentions \"{}\"", escape_control(join(words, " ")))
        .with_hint("runi steps lists everything");
  }
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return kExitDone;
}

}  // namespace

Command steps_command() {
  return {
      .name = "steps",
      .group = "project",
      .summary = "list what a step may say",
      .description =
          "Every sentence, assertion and annotation that a feature may use. In a sentence {…} is a slot, [a|b] may be "
          "left "
          "out, (a|b) is one of these. Words narrow the list to what mentions them all; the name of one entry shows it "
          "in full, with every way to say it.",
      .positionals =
          {{.name = "WORD", .help = "words to look for, or one entry's name", .optional = true, .repeated = true}},
      .lists = true,
      .examples = {{"runi steps", "Everything."},
                   {"runi steps duplicate", "What can be done about duplicates?"},
                   {"runi steps join.left", "One sentence in full."}},
      .run = run};
}

}  // namespace runink::cli
