#include "client/cli/commands/init_files.h"

#include <fmt/format.h>

namespace runink::cli {
namespace {

constexpr const char* kContract =
    R"(// One order of the shop. `runi contract check` says whether this file is well written.
[[version("0.1.0"), owner("you@example.org"), classification("internal")]]
contract Order {
  string        id        [[required, unique, pattern("O-[0-9]{4}")]];
  timestamp     ordered   [[required]];
  string        customer  [[required, pii, mask("first1")]];
  enum(new, paid, shipped, returned) state [[required]];
  int32         items     [[required, range(1, 100)]];
  decimal(10,2) total     [[required, min(0)]];

  check returns_cost_nothing: state != "returned" or total == 0;
  quality mostly_paid: avg(state == "paid") > 0.2 [[severity("warn")]];
}
)";

constexpr const char* kFeature = R"(Feature: Orders
  Which orders are worth how much?

  Scenario: Clean orders
    @source("data/orders.ndjson")
    @contract("contracts/order.contract")
    Given orders arrive from the shop

    When records are checked against the contract
     And field "per_item" is set to total / items

    @sink("out/orders.ndjson")
    Then valid records are written

    Assertions:
      - at least 5 records are processed
      - fewer than 50% of records are rejected

  Scenario: Orders by state
    Given the output of scenario "Clean orders"
    When records are grouped by state, computing:
      | orders | count()    |
      | value  | sum(total) |
    @sink("out/by_state.csv")
    Then the result is written

    Assertions:
      - at least 2 records are valid
)";

// Eight good orders and four that break a rule each: a missing field, a value out of range, a cut-off line, a check.
constexpr const char* kData =
    R"({"id":"O-0001","ordered":"2026-03-01T09:12:00Z","customer":"Ada Quist","state":"paid","items":2,"total":39.80}
{"id":"O-0002","ordered":"2026-03-01T09:40:10Z","customer":"Ben Okafor","state":"shipped","items":1,"total":12.00}
{"id":"O-0003","ordered":"2026-03-01T10:02:44Z","customer":"Chiara Neri","state":"new","items":5,"total":104.95}
{"id":"O-0004","ordered":"2026-03-01T10:15:00Z","state":"paid","items":1,"total":8.50}
{"id":"O-0005","ordered":"2026-03-01T11:30:21Z","customer":"Dmitri Volkov","state":"returned","items":1,"total":0}
{"id":"O-0006","ordered":"2026-03-01T11:31:02Z","customer":"Esi Mensah","state":"paid","items":900,"total":19.99}
{"id":"O-0007","ordered":"2026-03-01T12:05:55Z","customer":"Fatima Zahra","state":"paid","items":3,"total":61.20}
{"id":"O-0008","ordered":"2026-03-01T12:45:00Z","customer":"Goran Ilic","sta
{"id":"O-0009","ordered":"2026-03-01T13:00:30Z","customer":"Hana Sato","state":"shipped","items":2,"total":44.00}
{"id":"O-0010","ordered":"2026-03-01T13:20:00Z","customer":"Iker Etxea","state":"returned","items":2,"total":17.40}
{"id":"O-0011","ordered":"2026-03-01T14:11:09Z","customer":"Jun Tanaka","state":"paid","items":1,"total":5.25}
{"id":"O-0012","ordered":"2026-03-01T15:59:59Z","customer":"Kofi Boateng","state":"new","items":4,"total":80.00}
)";

// A golden case of "Clean orders": three of the good orders and three of the bad.
constexpr const char* kGoldenInput =
    R"({"id":"O-0001","ordered":"2026-03-01T09:12:00Z","customer":"Ada Quist","state":"paid","items":2,"total":39.80}
{"id":"O-0002","ordered":"2026-03-01T09:40:10Z","customer":"Ben Okafor","state":"shipped","items":1,"total":12.00}
{"id":"O-0005","ordered":"2026-03-01T11:30:21Z","customer":"Dmitri Volkov","state":"returned","items":1,"total":0}
{"id":"O-0006","ordered":"2026-03-01T11:31:02Z","customer":"Esi Mensah","state":"paid","items":900,"total":19.99}
{"id":"O-0008","ordered":"2026-03-01T12:45:00Z","customer":"Goran Ilic","sta
{"id":"O-0010","ordered":"2026-03-01T13:20:00Z","customer":"Iker Etxea","state":"returned","items":2,"total":17.40}
)";
constexpr const char* kGoldenExpected =
    R"({"id":"O-0001","ordered":"2026-03-01T09:12:00Z","customer":"A********","state":"paid","items":2,"total":39.80,"per_item":19.900000}
{"id":"O-0002","ordered":"2026-03-01T09:40:10Z","customer":"B*********","state":"shipped","items":1,"total":12.00,"per_item":12.000000}
{"id":"O-0005","ordered":"2026-03-01T11:30:21Z","customer":"D************","state":"returned","items":1,"total":0.00,"per_item":0.000000}
)";
constexpr const char* kGoldenRejected =
    R"({"line":4,"rules":["items.range"],"record":"{\"id\":\"O-0006\",\"ordered\":\"2026-03-01T11:31:02Z\",\"customer\":\"E*********\",\"state\":\"paid\",\"items\":900,\"total\":19.99}"}
{"line":5,"rules":["record"],"record":"\"****\""}
{"line":6,"rules":["check returns_cost_nothing"],"record":"{\"id\":\"O-0010\",\"ordered\":\"2026-03-01T13:20:00Z\",\"customer\":\"I*********\",\"state\":\"returned\",\"items\":2,\"total\":17.40}"}
)";

constexpr const char* kIgnore = "# What runs leave behind\n.runink/\nout/\n";

}  // namespace

std::vector<ProjectFile> new_project_files(const std::string& name) {
  return {
      {"runink.toml", fmt::format("name = \"{}\"\nherd = \"default\"\n", name), "settings"},
      {"contracts/order.contract", kContract, "what an order must look like"},
      {"features/orders.dsl", kFeature, "what happens to orders"},
      {"data/orders.ndjson", kData, "twelve orders, four of them bad"},
      {"golden/orders/clean_orders/input/orders.ndjson", kGoldenInput, "a test: six orders,"},
      {"golden/orders/clean_orders/expected/orders.ndjson", kGoldenExpected, "what must come of them,"},
      {"golden/orders/clean_orders/rejected.ndjson", kGoldenRejected, "and which must be refused"},
      {".gitignore", kIgnore, "what does not belong in version control"},
  };
}

}  // namespace runink::cli
