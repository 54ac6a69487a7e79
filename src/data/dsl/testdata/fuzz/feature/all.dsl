@contract("c.contract")
Feature: F
  Metadata:
    owner: x
  Background:
    @source("x.csv")
    Given records arrive
  Scenario: A
    When records are checked against the contract
    And field "x" is set to a + 1
    And records where a > 1 are kept
    And records are joined with "y.csv" as y on b = y.k
    And records are grouped by b, computing:
      | n | count() / 2 |
    And records are sorted by n descending
    @sink("o.ndjson")
    Then the result is written
    And rejected records are written to "r.ndjson"
    Assertions:
      - at least 10 records are processed
      - sum(n) > 3
    Notifications:
      - exec:x y on success
    GoldenTest:
      - one
  Scenario Outline: B <n>
    And more arrive from "z<n>.csv" with contract "d.contract"
    When records are split by condition:
      | p | a > <n>   |
      | q | otherwise |
    Then records of branch p are written to "p<n>.csv"
    When records of branch q continue
    @exec("cat", contract="d.contract") @timeout("3s") @requires(cpu=2)
    And something happens
    And records are united with more
    Examples:
      | n |
      | 1 |
      | 2 |
  Scenario: C
    And rows arrive from sink "o" as o
    When records are left joined with o on a = o.n and o.n > 2
    And field t is dropped
    And fields b are masked with "last4"
    And field a is cast to string
    And duplicates by a are dropped
    And a sample of 5% is kept
    And the first 10 records are kept
    And field a is renamed to `b c`
    Then records are passed on
