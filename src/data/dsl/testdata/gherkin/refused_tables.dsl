Feature: f
  Scenario: s
    Given a table
      | a | b |
      | 1 |
      | 1 | 2 | 3 |
    Nonsense
    Then another
      | a |
      | 1 | 2
      | 1 | 2 |
  Examples:
    | a |
    | b | c |
  Scenaro: misspelt
