Feature: Group
  Scenario: By origin
    @source("data/flights.ndjson")
    @contract("contracts/flight.contract")
    Given flights arrive from the feed
    When records are grouped by origin, computing:
      | flights | count()    |
      | mean    | avg(delay) |
    @sink("out/group.ndjson")
    Then the result is written
