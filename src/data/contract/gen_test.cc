#include "data/contract/gen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/text.h"
#include "data/contract/canonical.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::contract {
namespace {

std::vector<std::string> files(const std::string& pattern) {
  auto found = os::glob(pattern);
  return found.ok() ? *found : std::vector<std::string>();
}

using testing::HasSubstr;

TEST(Names, BecomeIdentifiers) {
  EXPECT_EQ(cpp_name("delay"), "delay");
  EXPECT_EQ(cpp_name("billing.city"), "billing_city");
  EXPECT_EQ(cpp_name("class"), "class_");
  EXPECT_EQ(cpp_name("2nd"), "_2nd");
  EXPECT_EQ(cpp_name("First  name!"), "First_name_");
  EXPECT_EQ(cpp_name("ü"), "_");
}

TEST(Header, TiesAStepToItsContract) {
  const auto contract = load_contract("testdata/good/flight.contract", file_loader());
  ASSERT_TRUE(contract.ok());
  const std::string header = generate_cpp_header(**contract);
  EXPECT_THAT(header, HasSubstr("struct Flight {"));
  EXPECT_THAT(header, HasSubstr("kContractVersion = \"1.2.0\""));
  EXPECT_THAT(header, HasSubstr((*contract)->hash));
  EXPECT_THAT(header, HasSubstr("std::int32_t delay{};  // int32, minutes"));
  EXPECT_THAT(header, HasSubstr("std::optional<std::string> passport;  // string, personal data"));
  EXPECT_THAT(header, HasSubstr("static constexpr std::size_t billing_city ="));
}

// By this text runi-slice knows the types of a compiled step's records.
TEST(Header, HoldsTheContractItself) {
  const auto contract = load_contract("testdata/good/flight.contract", file_loader());
  ASSERT_TRUE(contract.ok());
  std::string quoted;
  const std::string canonical = canonical_text(**contract);
  for (const auto line : split(canonical, '\n')) {
    if (!line.empty()) quoted += "      " + json_quote(std::string(line) + "\n") + "\n";
  }
  EXPECT_THAT(generate_cpp_header(**contract), HasSubstr("kContractText =\n" + quoted + "      ;\n"));
}

// Every contract among the test data gives a header that a compiler accepts.
TEST(Header, Compiles) {
  if (std::system("c++ --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "there is no C++ compiler";
  const auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  std::string program;
  size_t count = 0;
  const auto nasty = parse_contract_text(
      "contract `class` { int32 `a b`; int32 `a-b`; int32 Columns; int32 kContractHash; int32 int; enum(\"a b\", "
      "\"a-b\", class, \"1\") e;"
      " list<struct { int32 new; enum(x, y) k; list<struct { string z; }> deeper; }> items; string note "
      "[[description(\"ends in \\\\\")]]; int32 after; }");
  ASSERT_TRUE(nasty.ok()) << nasty.status().to_string();
  std::vector<ContractPtr> contracts = {*nasty};
  for (const auto& path : files("testdata/good/*.contract")) {
    Diagnostics diagnostics;
    const auto parsed =
        parse_contracts(std::make_shared<SourceText>(path, *os::read_file(path)), file_loader(), diagnostics);
    contracts.insert(contracts.end(), parsed.contracts.begin(), parsed.contracts.end());
  }
  for (const auto& contract : contracts) {
    const std::string name = "c" + std::to_string(count++);
    ASSERT_TRUE(os::write_file_atomic(folder->file(name + ".h"), generate_cpp_header(*contract, {name})).ok());
    program += "#include \"" + name + ".h\"\n";
  }
  program +=
      "int main() { c1::Flight f; f.delay = 5; return static_cast<int>(c1::Flight::Columns::delay) + f.delay + "
      "static_cast<int>(c1::Flight::kColumnNames.size()); }\n";
  // The order of files decides which number a contract has; find Flight's.
  size_t flight = 0;
  for (size_t i = 0; i < contracts.size(); ++i) flight = contracts[i]->name == "Flight" ? i : flight;
  for (size_t at; (at = program.find("c1::")) != std::string::npos;)
    program.replace(at, 4, "c" + std::to_string(flight) + "\x01::");
  std::erase(program, '\x01');
  ASSERT_TRUE(os::write_file_atomic(folder->file("main.cc"), program).ok());
  const std::string command =
      "c++ -std=c++20 -fsyntax-only -Wall -Werror -I" + folder->path() + " " + folder->file("main.cc") + " 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace runink::contract
