// The corpus: pipelines as text. Each *.test file is a small project and what must come of it.
//
//   --- file: contracts/flight.contract      a file of the project (any number)
//   --- arrow: data/x.arrow                  an Arrow stream: a line of fields as in a contract, then NDJSON
//   --- feature                              the feature (features/case.dsl)
//   --- options                              lines `now 2026-01-01T00:00:00Z`, `reveal`, `order free`, `no faults`, `messages` (of
//                                            dead letters, below each)
//   --- expect file: out/x.ndjson            what a sink wrote; of an Arrow stream its records as NDJSON
//   --- expect rejected                      one line per dead letter: source:line rule[, rule …] | record
//   --- expect error                         the error's message (a part of it); nothing is published then
//   --- expect dropped                       "step: reason: count" lines
//
// Every case runs several times: with one worker; with three workers and morsels of a few bytes; with the smallest memory
// budget; in slices. All must give the same bytes. Then every operator in turn loses one row (engine::Fault), and the run must fail
// and publish nothing. RUNINK_REWRITE=1 writes what came out into the files.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "client/local/runner.h"
#include "data/columnar/ipc.h"
#include "data/columnar/kernels.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/record_writer.h"
#include "data/contract/parse.h"
#include "data/ledger/dead_letters.h"
#include "isolate/isolated_runner.h"
#include "platform/os/temp.h"

namespace runink::local {
namespace {

namespace fs = std::filesystem;

struct Section {
  std::string title, body;
};

std::vector<Section> read_sections(const std::string& path) {
  std::ifstream in(path);
  std::vector<Section> out = {{"", ""}};
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("--- ")) {
      out.push_back({line.substr(4), ""});
    } else {
      out.back().body += line + "\n";
    }
  }
  return out;
}

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The body of an "arrow:" section as a stream, in record batches of two rows, packed as the name says.
std::string arrow_stream(const std::string& path, const std::string& body) {
  const size_t line = body.find('\n');
  const auto contract = contract::parse_contract_text("contract Rows { " + body.substr(0, line) + " }");
  EXPECT_TRUE(contract.ok()) << contract.status().to_string();
  connectors::ReaderOptions options;
  options.schema = (*contract)->schema;
  options.origin = false;
  auto files = std::make_shared<connectors::SourceFiles>();
  auto chunks = connectors::make_memory_chunk_source("rows", connectors::make_memory_source(body.substr(line + 1)), {}, files);
  auto reader = *connectors::make_record_reader(options);
  std::vector<columnar::Batch> batches;
  while (const auto chunk = *chunks->next()) {
    auto read = reader->parse(chunk, [&](columnar::Batch&& batch) {
      for (int64_t row = 0; row < batch.rows; row += 2) {
        batches.push_back(columnar::slice(batch, row, std::min<int64_t>(2, batch.rows - row)));
      }
      return Status();
    });
    EXPECT_TRUE(read.ok() && read->undecodable.empty()) << path;
  }
  const std::string stream = *columnar::ipc_encode(options.schema, batches);
  columnar::Buffer packed;
  const auto compression = path.ends_with(".gz")    ? connectors::Compression::kGzip
                           : path.ends_with(".zst") ? connectors::Compression::kZstd
                                                    : connectors::Compression::kNone;
  EXPECT_TRUE(connectors::compress(compression, stream, packed).ok());
  return std::string(packed.view());
}

std::string arrow_as_text(const std::string& stream) {
  std::string out;
  const auto batches = columnar::ipc_decode(stream);
  EXPECT_TRUE(batches.ok()) << batches.status().to_string();
  for (const auto& batch : *batches) {
    for (int64_t row = 0; row < batch.rows; ++row) {
      EXPECT_TRUE(connectors::append_json_record(batch, row, out).ok());
      out += '\n';
    }
  }
  return out;
}

struct Case {
  std::vector<Section> sections;
  std::optional<int64_t> now;
  bool reveal = false, faults = true, messages = false;

  explicit Case(const std::string& path) : sections(read_sections(path)) {
    for (const auto& s : sections) {
      if (s.title != "options") continue;
      std::istringstream lines(s.body);
      for (std::string line; std::getline(lines, line);) {
        if (line == "reveal") reveal = true;
        if (line == "no faults") faults = false;
        if (line == "messages") messages = true;
        int64_t micros = 0;
        if (line.starts_with("now ") && parse_now(line.substr(4), &micros)) now = micros;
      }
    }
  }
  bool expects_error() const {
    return std::any_of(sections.begin(), sections.end(), [](const auto& s) { return s.title == "expect error"; });
  }
};

struct Outcome {
  Status status;
  std::string error, advice;                 // the status without the folder that the case ran in; its details and hint
  std::map<std::string, std::string> files;  // under out/, by path
  std::string rejected, dropped;
  std::vector<std::pair<std::string, size_t>> scenarios;  // and how many operators each has
  std::string books;                         // what the ledger counted
};

// What a run's record says of its work, but for when it was, how long it took, and what was spilled.
std::string books_of(const ledger::RunRecord& r) {
  std::string out = fmt::format("{}: {} in, {} valid, {} rejected, {} written, exit code {}, {} {}\n", r.scenario, r.records_in,
                                r.records_valid, r.records_rejected, r.records_written, r.exit_code, r.error_kind, r.plan_json);
  for (const auto& op : r.operators) {
    out += fmt::format("  {} {} {} in {} rejected {} bytes {} {} balance {} {}", op.id, op.name, op.kind, op.rows_in, op.rejected,
                       op.bytes_in, op.bytes_out, op.balanced, op.balance);
    for (const auto& port : op.ports_out) out += fmt::format(" {}={}", port.port, port.rows);
    for (const auto& [reason, count] : op.dropped) out += fmt::format(" dropped {}={}", reason, count);
    out += "\n";
  }
  for (const auto& e : r.edges) out += fmt::format("  {} -> {}: {} {}\n", e.from, e.to, e.sent, e.received);
  for (const auto& s : r.sinks) out += fmt::format("  {} {} {} {} {} {}\n", s.name, s.format, s.kind, s.rows, s.bytes, s.published);
  for (const auto& checks : {r.quality, r.assertions}) {
    for (const auto& check : checks) out += fmt::format("  {} {} {} {}\n", check.name, check.severity, check.passed, check.actual);
  }
  for (const auto& reason : r.reject_reasons) out += fmt::format("  {} {} {}\n", reason.rule, reason.message, reason.records);
  for (const auto& [name, count] : r.drift) out += fmt::format("  drift {} {}\n", name, count);
  return out;
}

Outcome run_case(const Case& c, uint32_t threads, size_t chunk_bytes, uint64_t memory, engine::Fault fault = {},
                 const std::string& fault_scenario = "", ScenarioRunner* runner = nullptr) {
  // In memory where that is possible: a run syncs what it keeps, and the cases are many.
  // A slice has a /dev of its own, so steps of projects there have no place in one.
  auto folder = os::TempFolder::create(runner == nullptr && fs::exists("/dev/shm") ? "/dev/shm" : "");
  EXPECT_TRUE(folder.ok());
  const fs::path root = folder->path();
  std::ofstream(root / "runink.toml") << "name = \"case\"\n";
  for (const auto& s : c.sections) {
    fs::path target;
    if (s.title.starts_with("file: ")) target = root / s.title.substr(6);
    if (s.title == "feature") target = root / "features/case.dsl";
    const bool arrow = s.title.starts_with("arrow: ");
    if (arrow) target = root / s.title.substr(7);
    if (target.empty()) continue;
    fs::create_directories(target.parent_path());
    std::ofstream(target, std::ios::binary) << (arrow ? arrow_stream(target.string(), s.body) : s.body);
  }
  Outcome out;
  auto project = Project::find(root.string());
  if (!project.ok()) {
    out.status = project.status();
    return out;
  }
  RunOptions options;
  options.feature = "features/case.dsl";
  options.threads = threads;
  options.chunk_bytes = chunk_bytes;
  options.memory_budget_bytes = memory;
  options.now_micros = c.now;
  options.reveal = c.reveal;
  options.fault = fault;
  options.fault_scenario = fault_scenario;
  options.runner = runner;
  options.on_scenario = [&](const ledger::RunRecord& record, const plan::ScenarioPlan& scenario) {
    out.scenarios.emplace_back(scenario.name, scenario.operators.size());
    out.books += books_of(record);
    for (const auto& op : record.operators) {
      for (const auto& [reason, count] : op.dropped) out.dropped += fmt::format("{}: {}: {}\n", op.name, reason, count);
    }
  };
  auto result = run_feature(*project, options);
  out.status = result.ok() ? result->status : result.status();
  const auto without_root = [&](std::string text) {
    for (size_t at = 0; (at = text.find(root.string() + "/")) != std::string::npos;) text.erase(at, root.string().size() + 1);
    return text;
  };
  out.error = out.status.ok() ? "" : without_root(out.status.to_string());
  out.advice = without_root(join(out.status.details(), "\n") + "\n" + out.status.hint());
  if (fs::exists(root / "out")) {
    for (const auto& entry : fs::recursive_directory_iterator(root / "out")) {
      if (!entry.is_regular_file()) continue;
      std::string text = read_all(entry.path());
      if (entry.path().extension() == ".arrow") text = arrow_as_text(text);
      out.files[fs::relative(entry.path(), root).string()] = std::move(text);
    }
  }
  ledger::DeadLetterStore store(root.string() + "/.runink");
  (void)status_of(store.for_each({}, [&](const ledger::DeadLetter& letter) {
    std::vector<std::string> rules;
    for (const auto& r : letter.rules) rules.push_back(r.rule);
    out.rejected += fmt::format("{}:{} {} | {}\n", letter.source, letter.line, join(rules, ", "), escape_control(letter.record));
    for (const auto& r : letter.rules) out.rejected += c.messages ? fmt::format("    {}\n", r.message) : "";
    return true;
  }));
  // Ids of runs and times differ from run to run: files of dead letters are compared by their rejected lines only.
  for (auto it = out.files.begin(); it != out.files.end();) {
    it = it->second.starts_with("{\"v\":1,\"id\":") ? out.files.erase(it) : std::next(it);
  }
  return out;
}

class Corpus : public testing::TestWithParam<std::string> {};

TEST_P(Corpus, Holds) {
  Case c(GetParam());
  const Outcome plain = run_case(c, 1, 0, 64 << 20);
  bool rewrite = std::getenv("RUNINK_REWRITE") != nullptr;
  const std::string& error = plain.error;
  if (rewrite) {
    std::ofstream file(GetParam());
    for (const auto& s : c.sections) {
      if (s.title.starts_with("expect")) continue;
      if (!s.title.empty()) file << "--- " << s.title << "\n";
      file << s.body;
    }
    for (const auto& [path, text] : plain.files) file << "--- expect file: " << path << "\n" << text;
    if (!plain.rejected.empty()) file << "--- expect rejected\n" << plain.rejected;
    if (!plain.dropped.empty()) file << "--- expect dropped\n" << plain.dropped;
    if (!error.empty()) file << "--- expect error\n" << error << "\n";
    return;
  }
  bool error_expected = false;
  std::map<std::string, std::string> expected_files;
  std::string expected_rejected, expected_dropped;
  for (const auto& s : c.sections) {
    if (s.title.starts_with("expect file: ")) expected_files[s.title.substr(13)] = s.body;
    if (s.title == "expect rejected") expected_rejected = s.body;
    if (s.title == "expect dropped") expected_dropped = s.body;
    if (s.title == "expect error") {
      error_expected = true;
      const std::string part(trim(s.body));
      EXPECT_NE(error.find(part), std::string::npos) << "error: " << error << "\nexpected to hold: " << part;
    }
  }
  if (!error_expected) {
    ASSERT_TRUE(plain.status.ok()) << error << "\n" << join(plain.status.details(), "\n");
  }
  EXPECT_EQ(plain.files, expected_files);
  EXPECT_EQ(plain.rejected, expected_rejected);
  EXPECT_EQ(plain.dropped, expected_dropped);

  const struct { uint32_t threads; size_t chunk; uint64_t memory; const char* what; } kVariants[] = {
      {3, 40, 64 << 20, "three workers, morsels of 40 bytes"},
      {1, 0, 1, "the smallest memory budget"},
      {2, 100, 1, "two workers, morsels of 100 bytes, the smallest memory budget"},
  };
  for (const auto& v : kVariants) {
    const Outcome other = run_case(c, v.threads, v.chunk, v.memory);
    EXPECT_EQ(other.error, plain.error) << v.what;
    EXPECT_EQ(other.files, plain.files) << v.what;
    EXPECT_EQ(other.rejected, plain.rejected) << v.what;
    EXPECT_EQ(other.dropped, plain.dropped) << v.what;
  }
}

// Each stage in a slice of its own gives what one process gives: bytes, dead letters, counts, rules, errors.
TEST_P(Corpus, IsTheSameInSlices) {
  auto runner = isolate::make_runner({}, RUNINK_SLICE_PROGRAM);
  ASSERT_TRUE(runner.ok()) << runner.status().to_string();
  if (const std::string reason = isolate::why_no_slices(); !reason.empty()) GTEST_SKIP() << reason;
  Case c(GetParam());
  const Outcome plain = run_case(c, 2, 100, 64 << 20);
  const Outcome sliced = run_case(c, 2, 100, 64 << 20, {}, "", runner->get());
  EXPECT_EQ(sliced.error, plain.error) << join(sliced.status.details(), "\n");
  EXPECT_EQ(sliced.advice, plain.advice);
  EXPECT_EQ(sliced.files, plain.files);
  EXPECT_EQ(sliced.rejected, plain.rejected);
  EXPECT_EQ(sliced.books, plain.books);
}

// A row lost inside an operator, or between two, is noticed, and nothing of that scenario is published.
TEST_P(Corpus, NoticesALostRow) {
  Case c(GetParam());
  if (!c.faults || c.expects_error()) GTEST_SKIP() << "the case ends before rows could be lost";
  const Outcome plain = run_case(c, 1, 0, 64 << 20);
  ASSERT_TRUE(plain.status.ok()) << plain.status.to_string();
  for (const auto& [scenario, operators] : plain.scenarios) {
    for (plan::OperatorId op = 0; op < operators; ++op) {
      for (auto where : {engine::Fault::Where::kInside, engine::Fault::Where::kOnEdge}) {
        const Outcome lost = run_case(c, 1, 0, 64 << 20, {where, op}, scenario);
        // An operator through which no row passes has none to lose.
        if (lost.status.ok()) {
          EXPECT_EQ(lost.files, plain.files) << "scenario " << scenario << ", operator " << op << ": a row was lost unnoticed";
          EXPECT_EQ(lost.rejected, plain.rejected);
        } else {
          EXPECT_EQ(lost.status.kind(), "run.balance") << lost.status.to_string();
        }
      }
    }
  }
}

std::vector<std::string> case_files() {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(RUNINK_CORPUS)) {
    if (entry.path().extension() == ".test") out.push_back(entry.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string case_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = fs::path(info.param).lexically_relative(RUNINK_CORPUS).replace_extension().string();
  for (char& ch : name) ch = std::isalnum(static_cast<unsigned char>(ch)) ? ch : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Corpus, testing::ValuesIn(case_files()), case_name);

}  // namespace
}  // namespace runink::local
