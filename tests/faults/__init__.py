"""Each fault by name, and what became of every event around it: handled once, in order, or counted by its reason.

    make faults [ONLY="link down"] [FAULTS_JSON=FILE]

rows        the faults, one by one, with what each may cost
leaping     mirosd, whose wall clock can be made to leap
witness     the statechart program of each host: says and hears, and keeps the history of both
bench       the hosts with what runs on them; how each fault is brought about; what daemons count
history     what was said and heard, and what is wrong with it
experiment  one row: talk, a burst, the fault, and the account of it
report      the table
"""
