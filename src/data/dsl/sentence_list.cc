#include "data/dsl/sentence_list.h"

namespace runink::dsl {
namespace {

void add_inputs(std::vector<Sentence>& all) {
  all.push_back(
      {.name = "source",
       .meaning = Meaning::kSource,
       .patterns =
           {"{records} (arrive|arrives|come|comes|stream in|are received|are loaded|are read) "
            "[from {place:rest}] [with contract {contract:string}]",
            "{records} (arrive|arrives|come|comes|stream in|are received|are loaded|are read) from {file:string} "
            "[with contract {contract:string}]"},
       .help = "Records enter the scenario. The place is a file, a glob, `-` or a program: written in the sentence, or "
               "with @source on the line above. The first source of a scenario is its flow; a further one is an input "
               "named by its noun, for `joined with` and `united with`.",
       .example = "@source(\"data/flights.ndjson\")\n@contract(\"contracts/flight.contract\")\n"
                  "Given flights arrive from the feed",
       .becomes = "source",
       .annotations = {"source", "contract"}});
  all.push_back(
      {.name = "source.scenario",
       .meaning = Meaning::kScenarioOutput,
       .patterns = {"the output of scenario {scenario:string} [as {name:name}]",
                    "{records} (are|is) the output of scenario {scenario:string}",
                    "{records} (arrive|arrives|come|comes) from scenario {scenario:string}"},
       .help =
           "Goes on with the valid branch of another scenario of the same feature, which runs first. Data passes in "
           "memory.",
       .example = "Given the output of scenario \"Clean the feed\"",
       .becomes = "input"});
  all.push_back(
      {.name = "source.sink",
       .meaning = Meaning::kSinkOutput,
       .patterns = {"the output of sink {sink:string} [of scenario {scenario:string}] [as {name:name}]",
                    "{records} (are|is) the output of sink {sink:string} [of scenario {scenario:string}]",
                    "{records} (arrive|arrives|come|comes) from sink {sink:string} [of scenario {scenario:string}]"},
       .help =
           "Goes on with what another scenario of the same feature writes to a sink, named by its file's stem or by "
           "@sink(…, name=\"…\").",
       .example = "Given the output of sink \"late\" of scenario \"Clean the feed\"",
       .becomes = "input"});
}

void add_row_sentences(std::vector<Sentence>& all) {
  all.push_back({.name = "check",
                 .meaning = Meaning::kCheck,
                 .patterns = {"{records} (are|is) (checked|validated) against (the|their|its) contract",
                              "{records} (are|is) (checked|validated) against [the] contract {contract:string}",
                              "{records} (must|) (satisfy|meet|satisfies|meets) (the|their|its) contract"},
                 .help = "Checks every record against a contract: that of the source unless another is named. A record "
                         "that breaks a rule becomes a dead letter with every rule it broke.",
                 .example = "When records are checked against the contract",
                 .becomes = "check",
                 .annotations = {"contract"}});
  all.push_back({.name = "filter.keep",
                 .meaning = Meaning::kKeep,
                 .patterns = {"{records} where {condition:expression} are kept",
                              "only {records} where {condition:expression} (are kept|remain)",
                              "keep [only] {records} where {condition:expression}",
                              "{records} are kept (where|when|if) {condition:expression}"},
                 .help =
                     "Keeps the records for which the condition is true. The others are dropped and counted; null is "
                     "not true.",
                 .example = "When records where distance > 500 are kept",
                 .becomes = "filter"});
  all.push_back({.name = "filter.drop",
                 .meaning = Meaning::kDropWhere,
                 .patterns = {"{records} where {condition:expression} are (dropped|removed|discarded|left out)",
                              "{records} where {condition:expression} are (dropped|removed|discarded|left out) as "
                              "{reason:string}",
                              "{records} are (dropped|removed|discarded) (where|when|if) {condition:expression}",
                              "(drop|remove|discard) {records} where {condition:expression}"},
                 .help = "Drops the records for which the condition is true, counted under the reason given. A record "
                         "for which it is null stays.",
                 .example = "When records where status == \"cancelled\" are dropped as \"cancelled flights\"",
                 .becomes = "filter"});
  all.push_back({.name = "set",
                 .meaning = Meaning::kSet,
                 .patterns = {"[the] field {field:field} is set to {value:expression}",
                              "{field:field} is set to {value:expression}",
                              "[the] field {field:field} (becomes|is computed as|is derived as|is calculated as) "
                              "{value:expression}",
                              "set [the] [field] {field:field} to {value:expression}"},
                 .help =
                     "Sets a field, or adds it after the others. A record for which the expression fails (overflow, "
                     "division by zero, a cast that does not fit) becomes a dead letter.",
                 .example = "When field \"route\" is set to origin + \"-\" + destination",
                 .becomes = "derive"});
  all.push_back({.name = "set.table",
                 .meaning = Meaning::kSetMany,
                 .patterns = {"[the|these] [following] fields are (set|derived|computed|calculated)"},
                 .help = "Sets several fields, one per row of the table, in order; each row sees those above it.",
                 .example = "When these fields are set:\n  | route | origin + \"-\" + destination |\n"
                            "  | late  | delay > 15                 |",
                 .becomes = "derive",
                 .table = Attachment::kTable,
                 .table_help = "field | expression"});
  all.push_back({.name = "deduplicate",
                 .meaning = Meaning::kDeduplicate,
                 .patterns = {"duplicate {records} are (dropped|removed)", "duplicates are (dropped|removed)",
                              "duplicate {records} by {fields:fields} are (dropped|removed)",
                              "duplicates by {fields:fields} are (dropped|removed)",
                              "{records} are deduplicated [by {fields:fields}]",
                              "only the first {record:noun} (of|for) each {fields:fields} is kept"},
                 .help = "Keeps the first record, in input order, of those that agree in the fields named (in all "
                         "fields, if none are). Exact; spills to disk when memory is short.",
                 .example = "When duplicates by flight_id and date are dropped",
                 .becomes = "deduplicate"});
  all.push_back({.name = "sort",
                 .meaning = Meaning::kSort,
                 .patterns = {"{records} are (sorted|ordered) by {keys:keys}",
                              "{records} are (sorted|ordered) by {keys:keys} keeping [only] the first {count:count} "
                              "[{records}]",
                              "[only] the first {count:count} {records} by {keys:keys} are kept"},
                 .help = "Sorts by fields, each ascending unless `descending`; stable, nulls last. With `keeping the "
                         "first N` only so many are held in memory. Spills to disk otherwise.",
                 .example = "When records are sorted by delay descending, date, keeping the first 100",
                 .becomes = "sort"});
  all.push_back({.name = "limit",
                 .meaning = Meaning::kLimit,
                 .patterns = {"[only] the first {count:count} {records} are kept",
                              "{records} are limited to [the first] {count:count} [{records}]",
                              "(keep|take) [only] the first {count:count} {records}"},
                 .help = "Keeps the first records in input order; the rest are dropped and counted.",
                 .example = "When the first 1000 records are kept",
                 .becomes = "limit"});
  all.push_back({.name = "sample",
                 .meaning = Meaning::kSample,
                 .patterns = {"a sample of {share:percent} [of {records}] is kept [with seed {seed:count}]",
                              "{share:percent} of {records} (are|is) kept [with seed {seed:count}]",
                              "{records} are sampled at {share:percent} [with seed {seed:count}]"},
                 .help = "Keeps about that share of the records, the same ones in every run with the same seed.",
                 .example = "When a sample of 5% of records is kept with seed 7",
                 .becomes = "sample"});
}

void add_column_sentences(std::vector<Sentence>& all) {
  all.push_back({.name = "select",
                 .meaning = Meaning::kSelect,
                 .patterns = {"[only] [the] (field|fields) {fields:fields} (is|are) (kept|selected)",
                              "{records} keep only [the] (field|fields) {fields:fields}",
                              "(select|keep) [only] [the] (field|fields) {fields:fields}"},
                 .help = "Keeps the fields named, in the order named, and drops the others.",
                 .example = "When only fields route, late and delay are kept",
                 .becomes = "project"});
  all.push_back({.name = "drop",
                 .meaning = Meaning::kDropFields,
                 .patterns = {"[the] (field|fields) {fields:fields} (is|are) (dropped|removed)",
                              "(drop|remove) [the] (field|fields) {fields:fields}"},
                 .help = "Drops the fields named.",
                 .example = "When fields tags and billing.city are dropped",
                 .becomes = "project"});
  all.push_back({.name = "rename",
                 .meaning = Meaning::kRename,
                 .patterns = {"[the] field {from:field} is (renamed to|called) {to:field}",
                              "rename [the] [field] {from:field} to {to:field}",
                              "[the] fields {pairs:pairs} are renamed", "[the|these] [following] fields are renamed"},
                 .help = "Renames fields; their place stays. Several at once by a list or by a table.",
                 .example = "When field \"origin\" is renamed to \"departure\"",
                 .becomes = "project",
                 .table = Attachment::kOptionalTable,
                 .table_help = "from | to"});
  all.push_back({.name = "cast",
                 .meaning = Meaning::kCast,
                 .patterns = {"[the] (field|fields) {fields:fields} (is|are) (cast|converted) to {type:type}",
                              "(cast|convert) [the] [(field|fields)] {fields:fields} to {type:type}"},
                 .help = "Converts fields to a type. A record with a value that does not fit becomes a dead letter.",
                 .example = "When fields delay and distance are cast to float64",
                 .becomes = "derive"});
  all.push_back({.name = "mask",
                 .meaning = Meaning::kMask,
                 .patterns = {"[the] (field|fields) {fields:fields} (is|are) masked [wholly]",
                              "[the] (field|fields) {fields:fields} (is|are) masked (with|by|as) {method:name}"},
                 .help = "Shows only what the method leaves: all (nothing), last4, first2, email, length. Without a "
                         "method, that of the field's contract, else all.",
                 .example = "When field \"passport\" is masked with \"last4\"",
                 .becomes = "derive"});
  all.push_back({.name = "hash",
                 .meaning = Meaning::kHash,
                 .patterns = {"[the] (field|fields) {fields:fields} (is|are) hashed"},
                 .help = "Replaces values by a keyed hash: equal values stay equal, none can be read back.",
                 .example = "When field \"passport\" is hashed",
                 .becomes = "derive"});
  all.push_back({.name = "tokenise",
                 .meaning = Meaning::kTokenise,
                 .patterns = {"[the] (field|fields) {fields:fields} (is|are) (tokenised|tokenized)"},
                 .help = "Replaces values by short tokens under the project's key: equal values get equal tokens.",
                 .example = "When field \"passport\" is tokenised",
                 .becomes = "derive"});
}

void add_branches(std::vector<Sentence>& all) {
  all.push_back({.name = "union",
                 .meaning = Meaning::kUnion,
                 .patterns = {"{records} are (united|combined|merged|unioned) with {input:name} "
                              "[with contract {contract:string}]",
                              "{records} from {input:name} are (added|appended)"},
                 .help = "Adds the records of a file (in quotes) or of a named input (bare) after those of the flow. "
                         "Fields are matched by name and must have the same types.",
                 .example = "When records are united with \"data/more_flights.ndjson\"",
                 .becomes = "union",
                 .annotations = {"contract"}});
  all.push_back({.name = "union.scenario",
                 .meaning = Meaning::kUnionScenario,
                 .patterns = {"{records} are (united|combined|merged|unioned) with the output of scenario "
                              "{scenario:string}"},
                 .help = "Adds the records of another scenario's valid branch after those of the flow.",
                 .example = "When records are united with the output of scenario \"Clean last year\"",
                 .becomes = "union"});
  all.push_back(
      {.name = "split",
       .meaning = Meaning::kSplit,
       .patterns = {"{records} are (split|routed) [into branches] by condition",
                    "{records} are copied to every branch whose condition holds"},
       .help = "Sends each record to the first branch whose condition is true (`copied`: to every one). "
               "`otherwise` takes what matched none; without it those records are dropped and counted.",
       .example = "When records are split by condition:\n  | late    | delay > 15 |\n  | on_time | otherwise  |",
       .becomes = "split",
       .table = Attachment::kTable,
       .table_help = "branch | condition"});
  all.push_back({.name = "split.rejected",
                 .meaning = Meaning::kSplitRejected,
                 .patterns = {"rejected {records} are (split|routed) by [the] rule [that rejected them]"},
                 .help = "Names groups of rules, so that dead letters can be written apart by the rule that rejected "
                         "them. `otherwise` stands for all rules of the scenario's contracts not named above.",
                 .example = "When rejected records are split by rule:\n  | bad_delay | delay.range, delay.type |\n"
                            "  | other     | otherwise               |",
                 .becomes = "filters of sinks for dead letters",
                 .table = Attachment::kTable,
                 .table_help = "branch | rules"});
  all.push_back({.name = "branch",
                 .meaning = Meaning::kBranch,
                 .patterns = {"{records} (of|in) branch {branch:name} (continue|are taken|are processed further)",
                              "branch {branch:name} (continues|is taken)"},
                 .help = "Goes on with one branch of the last split.",
                 .example = "When records of branch \"late\" continue",
                 .becomes = "the flow's position; no operator"});
}

// All wordings of a join share what follows the verb.
std::vector<std::string> join_patterns(const std::string& before, const std::string& after) {
  std::vector<std::string> out;
  for (const std::string& what : {std::string("{input:name} [as {name:name}] [with contract {contract:string}]"),
                                  std::string("{input:name} with contract {contract:string} as {name:name}"),
                                  std::string("the output of scenario {scenario:string} [as {name:name}]")}) {
    out.push_back(before + " " + what + " on {condition:expression}" + after);
  }
  return out;
}

void add_joins(std::vector<Sentence>& all) {
  const std::string short_names =
      " `NAME.` may be left out where no other field is called so; a field kept without it has the short name from "
      "there "
      "on.";
  const std::string rest =
      " The joined file is in quotes and named by its stem unless `as NAME` renames it; a bare name is a named input. "
      "The condition needs at least one equality between the two sides; null joins nothing.";
  const auto join = [&](std::string name, Meaning meaning, std::vector<std::string> patterns, std::string help,
                        std::string example) {
    all.push_back({.name = std::move(name),
                   .meaning = meaning,
                   .patterns = std::move(patterns),
                   .help = help + rest,
                   .example = std::move(example),
                   .becomes = "join",
                   .annotations = {"contract"}});
  };
  join("join.inner", Meaning::kJoinInner, join_patterns("{records} are (joined|inner joined|inner-joined) with", ""),
       "Keeps each record that has a match, once per match, with the fields of the match as NAME.field." + short_names,
       "When records are joined with \"data/airports.csv\" on origin = airports.iata");
  join("join.left", Meaning::kJoinLeft, join_patterns("{records} are (left joined|left-joined) with", ""),
       "Keeps every record; the fields of the match, NAME.field, are null where there is none." + short_names,
       "When records are left joined with \"data/airports.csv\" as to on destination = to.iata");
  auto semi = join_patterns("{records} with a match in", " are kept");
  for (auto& p : join_patterns("{records} are (semi joined|semi-joined) with", "")) semi.push_back(p);
  join("join.semi", Meaning::kJoinSemi, std::move(semi),
       "Keeps each record that has a match, once, without its fields.",
       "When records with a match in \"data/airports.csv\" on origin = airports.iata are kept");
  auto anti = join_patterns("{records} without a match in", " are kept");
  for (auto& p : join_patterns("{records} are (anti joined|anti-joined) with", "")) anti.push_back(p);
  join("join.anti", Meaning::kJoinAnti, std::move(anti), "Keeps each record that has no match.",
       "When records without a match in \"data/airports.csv\" on origin = airports.iata are kept");
}

void add_groups(std::vector<Sentence>& all) {
  const std::string table = "field | expression over aggregates";
  all.push_back({.name = "group",
                 .meaning = Meaning::kGroup,
                 .patterns = {"{records} are grouped by {keys:terms} computing",
                              "{records} are (aggregated|summarised|summarized) by {keys:terms} [computing]"},
                 .help =
                     "One record per group: the keys, then a field per row of the table. A key may be an expression "
                     "`as NAME`. Null is a group of its own.",
                 .example = "When records are grouped by route, computing:\n  | flights | count()              |\n"
                            "  | p90     | quantile(delay, 0.9) |",
                 .becomes = "group",
                 .table = Attachment::kTable,
                 .table_help = table});
  all.push_back({.name = "group.count",
                 .meaning = Meaning::kCount,
                 .patterns = {"{records} are counted [into field {field:field}]",
                              "{records} are counted by {keys:terms} [into field {field:field}]"},
                 .help = "One record per group with its size in the field `count`, or the one named.",
                 .example = "When records are counted by origin and destination",
                 .becomes = "group"});
  all.push_back({.name = "aggregate",
                 .meaning = Meaning::kAggregate,
                 .patterns = {"{records} are (aggregated|summarised|summarized) [into one record] [computing]"},
                 .help = "One record for all, with a field per row of the table.",
                 .example = "When records are aggregated:\n  | flights | count()    |\n  | mean    | avg(delay) |",
                 .becomes = "group",
                 .table = Attachment::kTable,
                 .table_help = table});
}

void add_custom_steps(std::vector<Sentence>& all) {
  all.push_back({.name = "step",
                 .meaning = Meaning::kStep,
                 .patterns = {"{records} are (processed|handled) by (the|a) step",
                              "{records} are (processed|handled) by [the] step {step:string}",
                              "[the] step {step:string} (runs|is run|is applied)"},
                 .help =
                     "Runs a C++ step that `runi compile` built, in a process of its own. A step that carries @step "
                     "may be worded freely.",
                 .example = "@step(\"ScoreDelays\", contract=\"contracts/scored.contract\")\nWhen records are scored",
                 .becomes = "program",
                 .annotations = {"step", "contract"}});
  all.push_back({.name = "program",
                 .meaning = Meaning::kProgram,
                 .patterns = {"{records} are (processed|handled) by (the|a) program",
                              "{records} are (processed|handled) by [the] program {command:string}",
                              "[the] program {command:string} (runs|is run|is applied)"},
                 .help = "Runs any program that reads records on standard input and writes records on standard output, "
                         "as NDJSON or Arrow IPC. A step that carries @exec may be worded freely.",
                 .example = "@exec(\"python3 steps/score.py\", contract=\"contracts/scored.contract\")\n"
                            "When records are scored",
                 .becomes = "program",
                 .annotations = {"exec", "contract"}});
}

void add_outputs(std::vector<Sentence>& all) {
  const std::string written = "(written|saved|published|stored)";
  all.push_back({.name = "write",
                 .meaning = Meaning::kWriteValid,
                 .patterns = {"{records} (are|is) " + written + " [to {file:string}]"},
                 .help = "Writes the records of the flow. The place is in the sentence, or in @sink on the line above. "
                         "Nothing is published before the scenario's assertions and quality rules hold.",
                 .example = "@sink(\"out/flights.ndjson\")\nThen valid records are written",
                 .becomes = "sink",
                 .annotations = {"sink"}});
  all.push_back({.name = "write.branch",
                 .meaning = Meaning::kWriteBranch,
                 .patterns = {"{records} (of|in) branch {branch:name} are " + written + " [to {file:string}]",
                              "branch {branch:name} is " + written + " [to {file:string}]"},
                 .help = "Writes the records of one branch of a split.",
                 .example = "@sink(\"out/late.ndjson\")\nThen records of branch \"late\" are written",
                 .becomes = "sink",
                 .annotations = {"sink"}});
  const std::string letters = "(are (written|saved|stored|set aside|kept)|go to [the] dead letters)";
  all.push_back({.name = "write.rejected",
                 .meaning = Meaning::kWriteRejected,
                 .patterns = {"rejected {records} " + letters + " [to {file:string}]"},
                 .help = "Copies the dead letters to a file (mode 0600) with the rules they broke and their original "
                         "bytes. They are kept in the run's own store in any case.",
                 .example = "@sink(\"out/rejected.ndjson\")\nThen rejected records go to dead letters",
                 .becomes = "sink",
                 .annotations = {"sink"}});
  all.push_back(
      {.name = "write.rejected_by_rule",
       .meaning = Meaning::kWriteRejectedByRule,
       .patterns = {"{records} rejected by [the] (rule|rules) {rules:strings} " + letters + " [to {file:string}]"},
       .help = "Copies the dead letters that one of the rules named rejected.",
       .example = "@sink(\"out/bad_delay.ndjson\")\nThen records rejected by rule \"delay.range\" are written",
       .becomes = "sink",
       .annotations = {"sink"}});
  all.push_back(
      {.name = "write.rejected_branch",
       .meaning = Meaning::kWriteRejectedBranch,
       .patterns = {"rejected {records} (of|in) branch {branch:name} " + letters + " [to {file:string}]"},
       .help = "Copies the dead letters of one group of rules (see `rejected records are split by rule`).",
       .example = "@sink(\"out/bad_delay.ndjson\")\nThen rejected records of branch \"bad_delay\" are written",
       .becomes = "sink",
       .annotations = {"sink"}});
  all.push_back(
      {.name = "pass_on",
       .meaning = Meaning::kPassOn,
       .patterns = {"{records} (are|is) (passed on|handed on)", "{records} (are|is) the output [of this scenario]"},
       .help = "Says that the flow is for other scenarios (`the output of scenario`), not for a file.",
       .example = "Then valid records are passed on",
       .becomes = "output"});
}

}  // namespace

std::vector<Sentence> make_sentences() {
  std::vector<Sentence> all;
  add_inputs(all);
  add_row_sentences(all);
  add_column_sentences(all);
  add_branches(all);
  add_joins(all);
  add_groups(all);
  add_custom_steps(all);
  add_outputs(all);
  return all;
}

std::vector<AssertionSentence> make_assertion_sentences() {
  return {
      {"processed.at_least",
       {"at least {count:count} {records} are processed", "{count:count} or more {records} are processed"},
       "Counts what the scenario's sources gave.",
       "at least 1000 records are processed"},
      {"processed.more_than",
       {"more than {count:count} {records} are processed"},
       "Counts what the scenario's sources gave.",
       "more than 1000 records are processed"},
      {"processed.at_most",
       {"at most {count:count} {records} are processed"},
       "Counts what the scenario's sources gave.",
       "at most 5000 records are processed"},
      {"processed.fewer_than",
       {"fewer than {count:count} {records} are processed"},
       "Counts what the scenario's sources gave.",
       "fewer than 5000 records are processed"},
      {"rejected.fewer_than_percent",
       {"(fewer|less) than {percent:percent} [of] [the] {records} are rejected"},
       "Share of the records that the sources gave.",
       "fewer than 1% of records are rejected"},
      {"rejected.at_most_percent",
       {"at most {percent:percent} [of] [the] {records} are rejected"},
       "Share of the records that the sources gave.",
       "at most 2.5% of records are rejected"},
      {"rejected.none", {"no {records} are rejected"}, "Not one dead letter.", "no records are rejected"},
      {"rejected.fewer_than",
       {"fewer than {count:count} {records} are rejected"},
       "Counts dead letters.",
       "fewer than 10 records are rejected"},
      {"rejected.at_most",
       {"at most {count:count} {records} are rejected"},
       "Counts dead letters.",
       "at most 10 records are rejected"},
      {"valid.at_least",
       {"at least {count:count} {records} are valid"},
       "Counts what no step rejects: at the end of the flow, and of branches that are written.",
       "at least 900 records are valid"},
      {"valid.more_than",
       {"more than {count:count} {records} are valid"},
       "Counts what no step rejects: at the end of the flow, and of branches that are written.",
       "more than 900 records are valid"},
      {"drift.none",
       {"schema drift is not detected", "no schema drift is detected", "there is no schema drift"},
       "No record has a field that its contract does not name.",
       "schema drift is not detected"},
  };
}

}  // namespace runink::dsl
