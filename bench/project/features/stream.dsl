Feature: Endless input
  Scenario: Clean
    @source("-", format="ndjson")
    @contract("contracts/flight.contract")
    Given flights arrive from the feed
    When records are checked against the contract
     And field "late" is set to delay > 15
    @sink("-", format="ndjson")
    Then valid records are written
