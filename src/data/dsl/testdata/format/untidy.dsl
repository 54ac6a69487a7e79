

   # language: en


# top
@nightly@team   @ # why
@source( "a b" ,format = csv )
   Feature:   Untidy   


A description
   indented more


 # with a comment
to the end.


Metadata:
-   item
herd:    operations



# about the background
Background:
Given x
@smoke

 # between
@slow
Scenario:s
@requires(cpu=2, memory="512Mi", gpu=1, label="a rather long label of many words", colocate_with="step:ParsePDFs")
@sink("x")   @retry(3)  # how often
Given   a table
|a|long cell|
|\||é|  # aside
And  more
| 1 |
| 12345 |
And a doc string
      ```json
        {"a":
      1}

  less
      ``` after
And 
# before the section
Assertions:
# in the section
- one


two: 2
Scenario Outline: <n>
* <n>
@x
Examples:
 about them
|n|
|1|
Rule: r
Example: e
Then y
# the end

