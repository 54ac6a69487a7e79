Feature: Flight punctuality
  How late are we, on which routes, and from which states?

  Metadata:
    herd: operations
    owner: ops-data@example.org
    slo: 99.9%

  Scenario: Clean the feed
    @source("data/flights.ndjson")
    @contract("contracts/flight.contract")
    Given flights arrive from the feed

    When records are checked against the contract
     And field "route" is set to origin + "-" + destination
     And field "late" is set to delay > 15

    @sink("out/flights.ndjson")
    Then valid records are written
    @sink("out/rejected.ndjson")
     And rejected records go to dead letters

    Assertions:
      - at least 10000 records are processed
      - fewer than 1% of records are rejected
      - schema drift is not detected

  Scenario: Punctuality by route
    Given the output of scenario "Clean the feed"
    When records are grouped by route, computing:
      | flights | count()              |
      | late    | avg(late)            |
      | p90     | quantile(delay, 0.9) |
     And records where flights >= 10 are kept
     And records are sorted by late descending, route, keeping the first 100
    @sink("out/punctuality.csv")
    Then the result is written

    Assertions:
      - at least 100 records are valid

  Scenario: Punctuality by state
    Given the output of scenario "Clean the feed"
    When records are joined with "data/airports.csv" with contract "contracts/airport.contract" as departure on origin = departure.iata
     And records are grouped by departure.state as state, computing:
       | airports | distinct_count(origin) |
       | flights  | count()                |
       | late     | avg(late)              |
       | longest  | max(distance)          |
     And records are sorted by flights descending, state, keeping the first 100
    @sink("out/by_state.csv")
    Then the result is written

    Assertions:
      - at least 40 records are valid
