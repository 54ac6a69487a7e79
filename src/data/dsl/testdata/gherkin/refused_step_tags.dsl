Feature: f
  Scenario: s
    Given x
    @smoke
    When tags stand before a step
    Then the rest is read on
    Gven a misspelt step
    | a stray | row |
    """
    text
    """
    """
    again
    """
