@nightly @team(data)
@retry(3) # defaults for all
Feature: Everything that Gherkin has

  A description,
    indented,

  over several lines.
  # a comment in it

  Background: shared
    why
    Given a step with a table
      | a | b\|c |
      | \\ | \n  |
    * a doc string and then a table
      ```json
      {"a": 1}
        indented \`\`\`
      ```
      | x |

  @smoke@fast @@odd # comment
  Scenario Outline: <name> is done
    Given a <name>
      """
    less indented
        more "quoted" \"\"\"
      """

    @wide
    Examples: small
      some text
      | name | 😀  | after |
      | a    |     | x     |

    Examples:

    Notifications:
      - not a section: it is the description of these examples

  Rule: another
    In its own words.
    Background:
      Given a thing
    Example: one
      But not this
    Scenario: empty

  @tagged
  Rule: last
