"""Three hosts in trouble for as long as one likes, and what is left of it: nothing, or there is a bug.

    make soak MINUTES=10 SEED=1

faults    what befalls the hosts: a sequence that the seed alone decides
talker    the statechart program of each host: talks at a steady pace, keeps account of what it hears
observed  mirosd, with a signal that makes it count what it holds
stage     the hosts with what runs on them, and how each fault is brought about
figures   what daemons and brokers hold at rest, and how much memory
run       at rest, trouble, at rest again
report    the table, and the verdict
"""
