Feature: f
  Scenario: s
    Given x
    Assertions:
      - fine
      not an item
  Scenario: t
    Given x
    Metadata:
      a: b
    Then a step
  Scenario: u
    Given x
    Asertions:
      - fine
