"""What `mirosctl doctor` looks at, a module per noun.

ailment       what can be wrong, and what a check found
patient       what the checks look at: what the daemon says, and the machine
examination   all checks, in their order
at_once       several hosts looked at side by side

A check is a function over a Patient that gives what it found; it changes nothing.
"""
