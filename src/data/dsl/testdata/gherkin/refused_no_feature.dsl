# language: xx
Scenario: without a feature
  Given x
  When y
