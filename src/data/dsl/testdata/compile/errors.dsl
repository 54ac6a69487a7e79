--- file: contracts/flight.contract
contract Flight {
  int32        delay        [[required, range(-1440, 4320)]];
  string       origin       [[required]];
  string       destination  [[required]];
  string       passport     [[pii, mask("last4")]];
  list<string> tags;
  check distinct_airports: origin != destination;
}
--- file: contracts/two.contract
contract One { int32 a; }
contract Two { int32 a; }
--- file: contracts/none.contract
struct S { int32 a; }
--- file: contracts/bad.contract
contract Bad { int33 a; }
--- file: contracts/wide.contract
contract Wide { int32 delay; string route; string oragin; }
--- file: contracts/types.contract
contract Types { float64 delay; string origin; }
--- schema: data/airports.csv
iata: string
city: string
--- schema: data/numbers.csv
iata: int32
--- schema: data/empty.csv
--- case: an empty file
# nothing
--- case: no scenario
Feature: F
--- case: no steps, no source, no records
Feature: F
  Scenario: Empty
  Scenario: No source
    Then records are written to "out/x.ndjson"
  Scenario: Only a split word
    When records of branch "x" continue
--- case: names of scenarios
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
  Scenario: A
    Given records arrive from "data/airports.csv"
  Scenario:
    Given records arrive from "data/airports.csv"
--- case: unknown sentences
Feature: F
  Scenario: A
    @source("data/airports.csv")
    Given records arive from the feed
    When records are sorted on city
    And field city should be set to 3
    And whatever happens
    And field z is set to
    And records are grouped by nothing
    And records are joined to "x.csv" on a = b
    And duplicate records are gone
    Then the result is writen
    And rejected rows go to dead leters
--- case: unknown fields and functions
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
    When records where citty == "x" are kept
    And field "x" is set to uper(city)
    And field "y" is set to x + "a"
    And field z is set to city +
    And records are sorted by cty, iata, iata
    And fields ciity and city are dropped
    And only fields iata, iata and zzzzz are kept
    And duplicates by iatta and city, city are dropped
    And field iata is renamed to city
    And field cityy is renamed to other
    And field city is set to null
    And field "" is set to 1
    And fields city and iata are dropped
    And field city is cast to int99
    And field city is masked with "lats4"
    And records where 1 > 0 are kept
    And records where city are kept
    And records where sum(iata) > 3 are kept
    Then records are written to "out/x.ndjson"
--- case: numbers that mean nothing
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
    When the first 0 records are kept
    And records are sorted by city keeping the first 0
    And a sample of 0% is kept
    And a sample of 101% is kept
    Then records are written to "out/x.ndjson"
--- case: tables and doc strings
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
      | a | b |
    When these fields are set
    And these fields are set:
      | a | 1 | x |
  Scenario: B
    Given records arrive from "data/airports.csv"
    When records are grouped by city, computing:
      """
      count()
      """
  Scenario: C
    Given records arrive from "data/airports.csv"
    When field city is renamed to town
      | a | b |
    And records are split by condition:
      | branch | condition |
  Scenario: D
    Given records arrive from "data/airports.csv"
    When these fields are set:
      | a | upper(cty \|\| "x") |
      | b | a                   |
      | c | if(true, 1)         |
--- case: annotations
Feature: F
  Scenario: A
    @source("data/airports.csv", formt="csv", delimiter=";;", header=yes)
    Given records arrive
  Scenario: B
    @source("data/airports.csv", "second") @source("data/airports.csv")
    Given records arrive
  Scenario: C
    @source(format="csv")
    Given records arrive
  Scenario: D
    @source("data/airports.csv", exec="cat x")
    Given records arrive
  Scenario: E
    @source("data/airports.csv")
    Given records arrive from "data/airports.csv"
    @requires(cpu=0) @retry(-1) @timeout("soon") @checkpoint(1)
    When records where city == "x" are kept
    @requires(memory="lots", gpu=1.5, colour="red")
    And records where city == "x" are kept
    @sink("out/x.csv", mode="apend", quote=",")
    Then records are written
  Scenario: F
    @source("data/airports.csv") @sink("x.csv") @schedule("0 6 * * *")
    Given records arrive
    @source("y.csv") @step("X")
    When records where city == "x" are kept
    @exec("x") @sink("y.csv")
    And something free happens
    @contract("contracts/flight.contract")
    Then records are written to "out/x.csv"
  @sink("out/y.csv") @exec("never") @contract("contracts/flight.contract")
  Scenario: G
    Given records arrive from "data/airports.csv"
    Then records are written to "out/z.csv"
  Scenario: H
    @source("data/airports.csv", delimiter=",", quote=",")
    Given records arrive
    @sink("out/h.ndjson", header=false)
    Then records are written
    @sink("-", format="csv", mode="append")
    Then records are written
  Scenario: I
    @source("data/airports.csv", delimiter="none") @affinity("x")
    Given records arrive
  Scenario: J
    @source("data/airports.csv") @contract(["a", "b"])
    Given records arrive
  Scenario: K
    @source("data/airports.csv") @exec("a", command="b")
    Given records arrive
--- case: places
Feature: F
  Scenario: A
    Given records arrive
  Scenario: B
    Given records arrive from "file://server/x.csv"
  Scenario: C
    Given records arrive from "s3://bucket/x.csv"
  Scenario: D
    Given records arrive from "data/x.parquet"
  Scenario: E
    @source("data/x.csv", format="cvs")
    Given records arrive
  Scenario: F
    @source("data/x.csv", compression="bz2")
    Given records arrive
  Scenario: G
    @source(exec="cat 'x", format="csv")
    Given records arrive
  Scenario: H
    @source(exec="cat x", format="csv")
    Given records arrive
  Scenario: I
    @source("-", format="csv")
    Given records arrive
  Scenario: J
    Given records arrive from "data/none.csv"
  Scenario: K
    Given records arrive from "data/empty.csv"
  Scenario: L
    @source("data/airports.csv", header=false)
    Given records arrive
  Scenario: M
    Given records arrive from "data/airports.csv"
    Then records are written
  Scenario: N
    Given records arrive from "data/airports.csv"
    Then records are written to "out/*.csv"
  Scenario: O
    Given records arrive from "data/airports.csv"
    Then records are written to "out/x"
  Scenario: P
    Given records arrive from ""
  Scenario: Q
    @source(exec="", format="csv")
    Given records arrive
--- case: contracts
Feature: F
  Scenario: A
    Given records arrive from "x.csv" with contract "contracts/missing.contract"
  Scenario: B
    Given records arrive from "x.csv" with contract "contracts/two.contract"
  Scenario: C
    Given records arrive from "x.csv" with contract "contracts/two.contract#Tow"
  Scenario: D
    Given records arrive from "x.csv" with contract "contracts/none.contract"
  Scenario: E
    Given records arrive from "x.csv" with contract "contracts/bad.contract"
  Scenario: F
    @contract("contracts/flight.contract")
    Given records arrive from "x.csv" with contract "contracts/flight.contract"
  Scenario: G
    Given records arrive from "data/airports.csv"
    When records are checked against the contract
  Scenario: H
    Given records arrive from "x.csv" with contract "contracts/flight.contract"
    When records are checked against contract "contracts/wide.contract"
  Scenario: I
    Given records arrive from "x.csv" with contract "contracts/flight.contract"
    When records are checked against contract "contracts/types.contract"
--- case: sinks that clash
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
    Then records are written to "out/x.csv"
    And records are written to "out/../out/x.csv"
    And records are written to "data/airports.csv"
    And records are written to "deep/x.ndjson"
    And rejected records are written to "out/rejected.csv"
    And rejected records are written to "out/rejected.ndjson.gz"
    And rejected records are written to "-"
  Scenario: B
    Given records arrive from "data/airports.csv"
    Then records are written to "./out/x.csv"
  Scenario: C
    @source("data/air*.csv") @contract("contracts/two.contract#One")
    Given records arrive
    Then records are written to "data/airlines.csv"
  Scenario Outline: Same
    Given records arrive from "data/airports.csv"
    Then records are written to "out/same.ndjson"
    Examples:
      | n |
      | 1 |
      | 2 |
--- case: branches
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
    When records are split by condition:
      | a | city == "x" |
      | b | otherwise   |
      | c | city == "y" |
      | a | city == "z" |
      |   | city        |
  Scenario: B
    Given records arrive from "data/airports.csv"
    When records are split by condition:
      | late | city == "x" |
      | rest | otherwise   |
    And records where city == "x" are kept
  Scenario: C
    Given records arrive from "data/airports.csv"
    When records are split by condition:
      | late | city == "x" |
      | rest | otherwise   |
    Then records of branch "lat" are written to "out/a.csv"
    And records of branch "late" are written to "out/b.csv"
  Scenario: D
    Given records arrive from "data/airports.csv"
    When records are split by condition:
      | late | city == "x" |
    Then records of branch "late" are written to "out/c.csv"
    And records are passed on
    Assertions:
      - at least 1 records are valid
      - count() > 3
  Scenario: E
    Given the output of scenario "F"
  Scenario: F
    Given records arrive from "data/airports.csv"
    When records are split by condition:
      | late | city == "x" |
    Then records of branch "late" are written to "out/d.csv"
  Scenario: G
    Given records arrive from "data/airports.csv"
    Then records of branch "late" are written to "out/e.csv"
    And rejected records of branch "late" are written to "out/f.ndjson"
    And records rejected by rule "city.rnge" are written to "out/g.ndjson"
  Scenario: H
    @contract("contracts/flight.contract")
    Given records arrive from "x.csv"
    When rejected records are split by rule:
      | a | delay.rnge        |
      | a | distinct_airports |
    Then rejected records of branch "b" are written to "out/h.ndjson"
    And records rejected by rule "delay.rang" are written to "out/i.ndjson"
    And rejected records are written
--- case: joins and unions
Feature: F
  Background:
    Given records arrive from "x.csv" with contract "contracts/flight.contract"
  Scenario: A
    When records are joined with airports on origin = airports.iata
  Scenario: B
    When records are joined with "data/airports.csv" on origin = airport.iata
  Scenario: C
    When records are joined with "data/airports.csv" on origin > airports.iata
  Scenario: D
    When records are joined with "data/airports.csv" on origin
  Scenario: E
    When records are joined with "data/numbers.csv" on origin = numbers.iata
  Scenario: F
    When records are joined with "data/airports.csv" on origin = airports.iata
    And records are joined with "data/airports.csv" on destination = airports.iata
  Scenario: G
    And airports arrive from "data/airports.csv"
    And airports arrive from "data/numbers.csv"
    When records are joined with airport on origin = airports.iata
  Scenario: H
    And airports arrive from "data/airports.csv"
    When records are joined with airports with contract "contracts/flight.contract" on origin = airports.iata
    And records are joined with airports as again on origin = again.iata
    And records are joined with airports as third on origin = third.iata
  Scenario: I
    When records are united with "data/airports.csv"
  Scenario: J
    When records are united with "y.csv" with contract "contracts/types.contract"
  Scenario: K
    And the output of scenario "A"
  Scenario: L
    And airports arrive from "data/airports.csv"
--- case: groups
Feature: F
  Background:
    Given records arrive from "x.csv" with contract "contracts/flight.contract"
  Scenario: A
    When records are grouped by upper(origin), computing:
      | n | count() |
  Scenario: B
    When records are grouped by origin and origin, computing:
      | n | count() |
  Scenario: C
    When records are grouped by tags, computing:
      | n | count() |
  Scenario: D
    When records are grouped by origin, computing:
      | origin | count()           |
      | n      | delay + count()   |
      | m      | cuont()           |
      |        | count()           |
    And records are sorted by tags
  Scenario: E
    When records are aggregated:
      | n | count() |
    Then rejected records go to dead letters
    And records where delay > 3 are kept
  Scenario: F
    When records are sorted by tags
    And rejected records are split by rule:
      | a | b | c |
--- steps: ScoreDelays
--- case: custom steps
Feature: F
  Background:
    Given records arrive from "x.csv" with contract "contracts/flight.contract"
  Scenario: A
    @step("ScoreDelay")
    When flights are scored
  Scenario: B
    @step("ScoreDelays") @exec("x")
    When flights are scored
  Scenario: C
    @exec("cat | sort")
    When flights are scored
  Scenario: D
    @exec("cat", format="csv")
    When flights are scored
  Scenario: E
    When records are processed by the step
    And records are processed by the program
  Scenario: F
    @step("ScoreDelays")
    When records are processed by step "ScoreDelays"
  Scenario: G
    @step("ScoreDelays", contract="contracts/types.contract") @contract("contracts/types.contract")
    When flights are scored
  Scenario: H
    @step("ScoreDelays", contract="contracts/missing.contract")
    When flights are scored
--- case: scenarios that need each other
Feature: F
  Scenario: A
    Given the output of scenario "B"
    Then records are written to "out/a.csv"
  Scenario: B
    @contract("contracts/two.contract#One")
    Given records arrive from "out/c.csv"
  Scenario: C
    Given records arrive from sink "a"
    Then records are written to "out/c.csv"
  Scenario: D
    Given the output of scenario "D"
  Scenario: E
    Given the output of scenario "Zzz"
    And the output of sink "aa"
  Scenario: F
    Given the output of sink "b" of scenario "A"
--- case: sinks of other scenarios
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
    Then records are written to "out/a.csv"
  Scenario: B
    Given records arrive from "data/airports.csv"
    Then records are written to "out/b/a.csv"
  Scenario: C
    Given the output of sink "a"
  Scenario: D
    Given the output of sink "aa" of scenario "A"
--- case: assertions, notifications, golden cases, metadata
Feature: F
  Metadata:
    - no key
    owner: a
    owner: b
    ownr: c
  GoldenTest:
    - x
  Scenario: A
    Given records arrive from "data/airports.csv"
    Then records are written to "out/a.csv"
    Assertions:
      - at least 10 records are procesed
      - fewer than 0% of records are rejected
      - at most 200% of records are rejected
      - avg(city) > 3
      - count()
      - city == "x"
      - cuont() > 3
      key: value
    Notifications:
      - slack:#channel
      - stdrr
      - file:
      - stderr:x
      - exec:cat | x
      - file:http://x/y
    GoldenTest:
      - one
      - one
      - ../outside
      what: x
--- case: an empty section is a warning
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
    Then records are written to "out/a.csv"
    Assertions:
--- case: outlines
Feature: F
  Scenario Outline: None
    Given records arrive from "data/airports.csv"
    Examples:
      | n |
  Scenario Outline: Year <n>
    Given records arrive from "data/airports.csv"
    When records where <what> are kept
    Then records are written to "out/<n>.csv"
    Examples:
      | n | what        | unused |
      | 1 | citty == "" | x      |
      | 2 | citty == "" | x      |
      | 3 | city =      | x      |
--- case: short names that may be two fields
Feature: F
  Scenario: A
    Given records arrive from "data/airports.csv"
    When field "other" is set to "x"
    And only field other is kept
    And records are joined with "data/airports.csv" as here on other = here.iata
    And records are joined with "data/airports.csv" as there on other = there.iata
    And records where iata == "x" are kept
    And records are sorted by iata
    And only fields other and iata are kept
    And records are grouped by other, computing:
      | n | max(iata) |
      | m | city      |
    Then records are passed on
  Scenario: B
    Given records arrive from "data/airports.csv"
    And others arrive from "data/airports.csv"
    When field "other" is set to "x"
    And only field other is kept
    And records are joined with "data/airports.csv" as here on other = here.iata
    And records are joined with others on iata = others.iata
    Then records are passed on
  Scenario: C
    Given records arrive from "data/airports.csv"
    When records are joined with "data/airports.csv" as here on iata = here.iata
    And field here.city is renamed to "town"
    And records where town == "x" are kept
    And only fields iata, here.iata, name and here.name are kept
    And records are sorted by nam
    Then records are passed on
--- case: values computed from pii
Feature: F
  Scenario: A
    Given records arrive from "x.csv" with contract "contracts/flight.contract"
    When field "initial" is set to left(passport, 1)
    And field "safe" is set to hash(passport)
    And field "shown" is set to mask(passport + repeat("x", 200), "first9")
    And field "last" is set to mask(passport, "last2")
    And field "again" is set to mask(initial, "first1")
    Then records are written to "out/a.csv"
--- case: sinks that cannot take the records
Feature: F
  Scenario: A
    @source("x.ndjson", open=true)
    Given records arrive from the feed with contract "contracts/flight.contract"
    @sink("out/a.arrow", mode="append")
    Then records are written
    @sink("out/a.csv")
    And records are written
    @sink("out/b.arrow")
    And records are written
  Scenario: B
    @source("x.ndjson", open=true)
    Given records arrive from the feed with contract "contracts/flight.contract"
    When field delay is renamed to "*"
    Then records are passed on
--- case: names that no JSON object can hold
Feature: F
  Scenario: A
    @source("x.ndjson")
    Given records arrive from the feed with contract "contracts/flight.contract"
    When field delay is set to 1
    And field "delay.minutes" is set to 60
    @exec("cat")
    And something happens
    @sink("out/a.ndjson")
    Then records are written
  Scenario: B
    @source("x.ndjson")
    Given records arrive from the feed with contract "contracts/flight.contract"
    When field "airports" is set to 1
    And records are joined with "data/airports.csv" on origin = airports.iata
    @sink("out/b.csv")
    Then records are written
    @sink("out/b.ndjson", name="again")
    And records are written
    @exec("cat", format="arrow")
    And something happens
--- case: what cannot be enforced here
Feature: F
  @affinity(domain="x") @schedule("0 6 * * *")
  Scenario: A
    Given records arrive from "data/airports.csv"
    @secret("key") @network("x:1") @exec("cat")
    When something happens
    Then records are passed on
--- options: strict allow_unenforced
--- case: strict
Feature: F
  @affinity(domain="x") @schedule("0 6 * * *") @requires(gpu=1, label="x")
  Scenario: A
    Given records arrive from "data/airports.csv"
    @secret("key") @network("x:1") @exec("cat")
    When something happens
    Then records are passed on
--- options: cluster strict
--- case: a cluster does it all
Feature: F
  @affinity(domain="x") @schedule("0 6 * * *") @requires(gpu=1, label="x")
  Scenario: A
    Given records arrive from "data/airports.csv"
    @secret("key") @network("x:1") @exec("cat")
    When something happens
    Then records are passed on
