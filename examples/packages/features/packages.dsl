Feature: Packages of this machine
  What is installed here, and what takes the space?

  Metadata:
    herd: operations
    owner: platform@example.org

  Scenario: Installed packages
    @source(exec="dpkg-query -W -f='${Package}\t${Version}\t${Architecture}\t${Section}\t${Priority}\t${Installed-Size}\t${db:Status-Status}\n'",
            format="csv",
            delimiter="\t",
            header=false)
    @contract("contracts/package.contract")
    Given packages arrive from the package manager

    When records are checked against the contract
     And records where status != "installed" are dropped as "not installed"
     And fields name, version, section, priority and installed_kib are kept

    @sink("out/packages.csv")
    Then valid records are written

    Assertions:
      - at least 50 records are processed
      - fewer than 5% of records are rejected

  Scenario: Space by section
    Given the output of scenario "Installed packages"
    When records are grouped by section, computing:
      | packages | count()            |
      | kib      | sum(installed_kib) |
      | largest  | max(installed_kib) |
     And records are sorted by kib descending, section, keeping the first 100
    @sink("out/by_section.csv")
    Then the result is written

    Assertions:
      - at least 5 records are valid

  Scenario: Space by priority
    Given the output of scenario "Installed packages"
    When records are grouped by priority, computing:
      | packages | count()            |
      | kib      | sum(installed_kib) |
     And records are sorted by kib descending, priority, keeping the first 100
    @sink("out/by_priority.csv")
    Then the result is written

    Assertions:
      - at least 2 records are valid
