Feature: f
  Scenario: s
    Given x
      """
      never closed