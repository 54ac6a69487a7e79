@schedule("0 3 * * *") @herd(x)
Feature: Annotations
  Background:
    @source("data with spaces/#1 @home.csv", format='csv')
    # a comment between
    Given rows arrive
  @checkpoint
  Scenario: s
    @exec("python3 \"quoted\" steps/score.py",
          label=[a, "b c",
                 3]
    ) @timeout(30s) # after it
    @checkpoint
    When a program runs
    @sink(-)@retry(2)
    Then it is written
  @partition(key=day)
  Rule: r
    @affinity(domain=<domain>)
    Scenario Outline: o
      @network("host:443")
      Given <domain>
      @requires(cpu=0.5)
      Examples:
        | domain |
  @sorce(x)
  @retry
  Scenario: hints
