--- file: contracts/flight.contract
[[version("1.2.0"), owner("ops-data@example.org")]]
contract Flight {
  int64        id           [[required, key]];
  timestamp    date         [[required, format("%Y/%m/%d %H:%M")]];
  int32        delay        [[required, range(-1440, 4320)]];
  int32        distance     [[required, min(1)]];
  string       origin       [[required, pattern("[A-Z0-9]{3}")]];
  string       destination  [[required]];
  string       passport     [[pii, access("compliance"), mask("last4")]];
  check distinct_airports: origin != destination;
  quality freshness: max(date) > now() - 2d [[severity("warn")]];
}
--- schema: data/airports.csv
iata: string
name: string
city: string
--- case: the feature of the guide
Feature: Flight punctuality
  How late are we, and on which routes?

  Metadata:
    herd: operations
    owner: ops-data@example.org
    slo: 99.9%

  Scenario: Clean the feed
    @source("data/flights.ndjson")
    @contract("contracts/flight.contract")
    Given flights arrive from the feed

    When records are checked against the contract
     And field "route" is set to origin + "-" + destination
     And field "late" is set to delay > 15

    @sink("out/flights.ndjson")
    Then valid records are written
    @sink("out/rejected.ndjson")
     And rejected records go to dead letters

  @requires(cpu=2, memory="512Mi")
  Scenario: Punctuality by route
    Given the output of scenario "Clean the feed"
    When records are joined with "data/airports.csv" on origin = airports.iata
     And records are grouped by route, computing:
       | flights | count()              |
       | late    | avg(late)            |
       | p90     | quantile(delay, 0.9) |
    @sink("out/punctuality.csv")
    Then the result is written

    Assertions:
      - at least 1000 records are processed
      - fewer than 1% of records are rejected
      - schema drift is not detected
--- case: joined fields by their short names
Feature: Short
  Scenario: One
    @source("data/flights.ndjson") @contract("contracts/flight.contract")
    Given flights arrive from the feed
    When records are joined with "data/airports.csv" on origin = airports.iata
    And records where city != "x" and airports.name is not null are kept
    And field "label" is set to upper(name)
    And field city is cast to bytes
    And field "iata" is renamed to "code"
    And duplicates by name are dropped
    And records are sorted by name descending, city
    And only fields id, name, city and label are kept
    And records are grouped by name, computing:
      | n     | count()             |
      | which | name + first(label) |
    Then the result is written to "out/short.csv"
  Scenario: Two
    @source("data/flights.ndjson") @contract("contracts/flight.contract")
    Given flights arrive from the feed
    When records are joined with "data/airports.csv" as here on origin = here.iata
    And records are joined with "data/airports.csv" as there on destination = there.iata and there.city != here.city
    And records are grouped by here.city, computing:
      | n | count() |
    Then records are passed on
  Scenario: Three
    Given the output of scenario "Two"
    When records where city is not null are kept
    Then the result is written to "out/three.csv"
--- case: bounds of a scenario's run
@retry(2)
Feature: Bounds
  @requires(cpu=2.5, memory="512Mi") @timeout("5m")
  Scenario: Bounded
    @source("data/flights.ndjson") @contract("contracts/flight.contract")
    Given flights arrive from the feed
    @exec("cat") @retry(1) @timeout("10s")
    When somebody looks again
    Then records are passed on
  @requires(cpu=0.5, gpu=1, label="fast") @retry(0)
  Scenario: In part
    @source("data/flights.ndjson") @contract("contracts/flight.contract") @retry(3)
    Given flights arrive from the feed
    @requires(cpu=1) @timeout("3s")
    When records are sorted by id
    Then records are passed on
  Scenario: A pipe
    @source("data/flights.ndjson") @contract("contracts/flight.contract")
    Given flights arrive from the feed
    @sink("-", format="ndjson")
    Then records are written
--- options: strict
--- case: bounds are no idle words
Feature: Strict
  @requires(cpu=2, memory="512Mi") @timeout("5m") @retry(2)
  Scenario: Bounded
    @source("data/flights.ndjson") @contract("contracts/flight.contract")
    Given flights arrive from the feed
    Then records are passed on
--- options:
--- case: every sentence
@nightly
Feature: All
  Background:
    @source("data/flights.ndjson") @contract("contracts/flight.contract")
    Given flights arrive from the feed

  Scenario: Rows
    When records are checked against the contract
    And records where distance > 500 and origin != "XXX" are kept
    And records where delay > 4000 are dropped as "absurd delays"
    And duplicates by origin and destination are dropped
    And duplicate records are removed
    And a sample of 50% is kept with seed 7
    And the first 1,000 records are kept
    And records are sorted by delay descending, date, keeping the first 100
    Then records are passed on

  Scenario: Fields
    When these fields are set:
      | field  | expression            |
      | hour   | hour(date)            |
      | lateby | if(delay > 0, delay, 0) |
    And field delay is cast to float64
    And field "passport" is hashed
    And field origin is masked with "first2"
    And field destination is tokenised
    And field "id" is renamed to "number"
    And fields are renamed:
      | from     | to  |
      | distance | km  |
    And fields lateby and date are dropped
    And only fields number, km, hour, delay, passport, origin and destination are kept
    Then records are written to "out/fields.arrow"

  Scenario: Branches
    When records are split by condition:
      | branch  | condition  |
      | late    | delay > 15 |
      | on_time | otherwise  |
    Then records of branch "late" are written to "out/late.csv.gz"
    When records of branch on_time continue
    And records are counted by origin and destination into field flights
    @sink("out/on_time.csv", mode="append", delimiter=";", null="-")
    Then the result is written

  Scenario: Rejected
    When records are checked against the contract
    And rejected records are split by rule:
      | range | delay.range, distance.min |
      | check | distinct_airports         |
      | rest  | otherwise                 |
    Then rejected records of branch range are written to "out/range.ndjson"
    And rejected records of branch "check" are written to "out/check.ndjson"
    And rejected records of branch "rest" go to dead letters to "out/rest.ndjson"
    And records rejected by rules "delay.range" and "expression" are written to "out/some.ndjson"
    And rejected records go to dead letters

  Scenario: Joins
    And airports arrive from "data/airports.csv"
    When records are left joined with airports as here on origin = here.iata
    And records are joined with "data/airports.csv" as there on destination = there.iata and there.name != "x"
    And records with a match in "data/airports.csv" on origin = airports.iata are kept
    And records without a match in "data/airports.csv" as gone on upper(origin) = gone.name are kept
    And only fields origin, here.city and there.city are kept
    Then records are written to "out/joins.ndjson"

  Scenario: Unions
    When records are united with "data/more.ndjson" with contract "contracts/flight.contract"
    And records are united with the output of scenario "Plain"
    And records are aggregated:
      | flights | count()                      |
      | mean    | sum(delay) / count()         |
      | late    | count_if(delay > 15) * 100.0 |
    Then the summary is written to "out/summary.ndjson"

  Scenario: Plain
    Then records are passed on

  Scenario: Sink of another
    And rows arrive from sink "fields"
    And airports arrive from scenario "Plain"
    When records are joined with rows on id = rows.number
    And records are joined with airports as plain on id = plain.id
    Then records are written to "out/-.ndjson"
--- steps: ScoreDelays Other
--- file: contracts/scored.contract
contract Scored { string origin [[required]]; float64 score [[range(0, 1)]]; string who [[pii]]; }
--- options: allow_unenforced
--- case: custom steps and needs
@timeout("2m") @retry(2)
Feature: Custom
  @requires(cpu=4, memory="2Gi", gpu=1, label="fast")
  @affinity(colocate_with="step:ParsePDFs", domain="finance")
  @schedule("0 6 * * *") @partition(by="origin", count=8)
  Scenario: Score
    @source(exec="cat data/flights.ndjson", format="ndjson") @contract("contracts/flight.contract")
    Given flights arrive
    @step("ScoreDelays", contract="contracts/scored.contract") @checkpoint
    When flights are scored by our best model
    @exec("python3 steps/twice.py --fast", format="arrow", timeout="30s") @secret("key", env="KEY") @network("api.example.org:443")
    And somebody looks again
    @sink(exec="sort -u", format="csv")
    Then records are written
    Notifications:
      - stderr
      - file:out/alerts.log on success
      exec: ./page --now
      exec: ./always me always
    GoldenTest:
      - late flights
      - golden/shared/odd
    Metadata:
      owner: someone@example.org
    Assertions:
      - avg(score) < 0.5 and count() > 3
      - no records are rejected
      - at least 5 records are valid
      - at most 2.5% of the records are rejected
--- case: outline, rules, tags and defaults
@daily @contract("contracts/flight.contract")
Feature: Many
  Rule: By year
    @source("data/<year>.ndjson") @fast
    Scenario Outline: Year
      Given flights of the year arrive
      When records where <what> are kept
      @sink("out/<year>.ndjson")
      Then records are written
      Assertions:
        - at least <least> records are processed

      @big
      Examples:
        | year | what       | least |
        | 2001 | delay > 15 | 10    |
        | 2002 | delay < 0  | 20    |
--- json: a small plan as JSON
Feature: Small
  Scenario: One
    @source("data/flights.csv", null="NA") @contract("contracts/flight.contract")
    Given flights arrive
    When records are checked against the contract
    And field "route" is set to origin + "-" + destination
    Then records are written to "out/small.csv"
    Assertions:
      - count() > 3
