Feature: odd white space

	Scenario: no-break
lonecr
　 Given  x 
    | a|	 b\ |
   """ media 
  text
		"""
   