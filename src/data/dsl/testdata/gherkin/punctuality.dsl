# Where flights run late.
Feature: Flight punctuality
  How late are we, and on which routes?

  Metadata:
    herd: operations
    owner: ops-data@example.org
    # a comment in a section
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

  @requires(cpu=2, memory="512Mi")
  Scenario: Punctuality by route
    Given the output of scenario "Clean the feed"
    When records are joined with "data/airports.csv" on origin = airports.iata
     And records are grouped by route, computing:
       | flights | count()              |
       | late    | avg(late)            |
       | p90     | quantile(delay, 0.9) |
    @sink("out/punctuality.csv")
    Then the result is written

    Assertions:
      - at least 1000 records are processed
      - fewer than 1% of records are rejected
      - schema drift is not detected

  @step("ScoreDelays")
  @requires(cpu=4, memory="2Gi", gpu=1, label="fast")
  @affinity(colocate_with="step:ParsePDFs", domain="finance")
  Scenario: ...
