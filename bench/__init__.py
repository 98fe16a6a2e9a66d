"""Benchmarks: what an event costs on its way, beside what it costs without mirosd, in one run on one machine.

    make bench                      five rounds, about ten minutes
    make bench ROUNDS=1 QUICK=1     a quick look
    BENCH_JSON=FILE                 where the figures go; else bench/results.json

__main__        the command line
stage           two hosts with broker and daemon, and workers on them
rounds          one round: everything measured once, in the same order
traffic         the events, the senders' pace, the receiver's tally
worker          a worker's side of the talk with the benchmark
raw_pika        worker: pika alone, one broker between two hosts; the baseline
blocking_pika   worker: the same with BlockingConnection
clients         worker: mirosd_client.Client to Client
charts          worker: networked statechart to networked statechart
miros_alone     worker: events within one program, by miros without mirosd
transmit        worker: what `transmit()` costs the thread of a chart
snoop           worker: what it costs to be seen, for a chart and for the mesh beside it
processes       what the daemon and the commands cost: start, memory, idle wake-ups, wall time
report          medians, ranges, ratios, goals; the table
machine         what all of it ran on

A number alone says nothing: machines differ tenfold, and one machine from minute to minute. So each round measures
everything, and every ratio is of two figures of the same round. Brokers keep their files in RAM (the lab's /run is a
tmpfs), so a persistent message costs no disk here.
"""
