Feature: f
  Scenario: s
    @source("not closed)
    Given x
    @requires(cpu=2,
              memory=)
    Given a second line
    @source(a,
      "b" "c")
    Given x
    @soruce("with spaces")
    Given x
    @source("a") and words
    Given x
    @retry(1,
      2
    Given not closed
    @sink("x"
  Scenario: goes on
