Feature: Clean csv
  Scenario: Clean
    @source("data/flights.csv")
    @contract("contracts/flight.contract")
    Given flights arrive from the feed
    When records are checked against the contract
     And field "route" is set to origin + "-" + destination
     And field "late" is set to delay > 15
    @sink("out/clean.csv")
    Then valid records are written
    @sink("out/rejected.ndjson")
     And rejected records go to dead letters
