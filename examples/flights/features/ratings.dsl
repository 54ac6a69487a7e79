Feature: Flight ratings
  A step written in C++ (steps/rate_delays.cpp). Build it first: runi compile

  Metadata:
    herd: operations
    owner: ops-data@example.org

  Scenario: Rate the flights
    @source("data/flights.ndjson")
    @contract("contracts/flight.contract")
    Given flights arrive from the feed

    When records are checked against the contract
    @step("RateDelays", contract="contracts/rated_flight.contract")
     And flights are rated

    @sink("out/ratings.ndjson")
    Then valid records are written
    @sink("out/unrated.ndjson")
     And rejected records go to dead letters

    Assertions:
      - at least 9000 records are valid
