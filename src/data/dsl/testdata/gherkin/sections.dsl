Feature: Sections
  Before.

  Metadata:
    herd: finance
    slo.p99: 12 ms
    - a list item

  Notifications:
    on_failure: exec: mail -s "late" ops
  GoldenTest:
  Scenario: in the description
    Text.
    Assertions:
      - one: two
    Given x
  Scenario: after the steps
    Given x
      | a |
    Assertions:
      # comment
      - at least 1 record

      key: value
    GoldenTest:
      input: golden/in.ndjson
  Scenario Outline: <n>
    Given <n>
    Assertions:
      - of the outline
    Examples:
      | n |
      | 1 |
    Notifications:
      on_success: stderr
  Scenario: not in a doc string
    Given x
      """
      Assertions:
      - none
      """
  Rule: no sections here
    Metadata:
      herd: none
  Scenario: a keyword ends one
    Metadata:
      herd: x
      Background: text again
      Feature: text too
  Scenario: does not parse
    Assertions:
      - fine
      but prose is not
