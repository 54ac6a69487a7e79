--- file: c.contract
contract C { int32 a [[required]]; string who [[pii, mask("last4")]]; }
--- schema: data/x.csv
a: int32
b: string
--- lint: nothing to say
Feature: F
  Scenario: A
    @source("in.ndjson") @contract("c.contract")
    Given records arrive
    When records are checked against the contract
    And field who is dropped
    Then records are written to "out.ndjson"
    Assertions:
      - no records are rejected
--- lint: everything to say
Feature: F
  Asertions:
  @affinity(domain="x")
  Scenario: A
    @source("in.ndjson") @contract("c.contract")
    When records arrive
    And field "unused" is set to a + 1
    And field "used" is set to a + 2
    And field "renamed" is set to used + 1
    And field "renamed" is renamed to "out"
    And only fields a, who and out are kept
    And records are sorted by a
    And records are split by condition:
      | x | a > 1 |
    Given records of branch x are written to "out.ndjson"
  Scenario: B
    Given records arrive from "data/x.csv"
    When field "late" is set to a > 3
    And records are grouped by b, computing:
      | n | count() |
    Then records are passed on
  Scenario: C
    @source("in.ndjson") @contract("c.contract")
    Given records arrive
    When records are checked against the contract
    And records are checked against the contract
    And field "z" is set to a + 1
    Then records are written to "c.ndjson"
--- lint: a feature that does not compile
Feature: F
  Scenario: A
    When records arrive from "in.ndjson"
    And records are zapped
