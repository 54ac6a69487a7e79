Feature: Join
  Scenario: Orders with their customers
    @source("data/orders.ndjson")
    @contract("contracts/wide.contract#Order")
    Given orders arrive from the feed
    When records are joined with "data/customers.ndjson" with contract "contracts/wide.contract#Customer" on customer = customers.customer
     And fields id, customer, amount and segment are kept
    @sink("out/join.ndjson")
    Then the result is written
