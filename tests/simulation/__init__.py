"""Up to 50 hosts in one process and in no time: random faults, and whether every event came through.

Real: the bridge with its control exchange (heartbeats, challenges, the delivery set), the local API's sessions, the
memory broker, and the client library: window, outlet, connection, intake. Modelled, each in a file of its own:

    processes   what is killed or stopped at once: each callback belongs to a process
    wires       the network between hosts: it delays, stalls, and loses connections with what is on them
    local       the Unix socket between a program and its daemon, and the program's thread
    peer_model  the daemon's charts: listed hosts are scouted until proved; who gives no sign for 60 s is let go
    programs    programs with charts that transmit, and handle when they please

    broker      a memory broker that can be killed, stopped or in alarm; tells what it took
    daemon      one start of one daemon; host: what is left of it for the next
    scenario    what a seed draws: hosts, programs, faults
    faults      what can go wrong, and how it ends
    world       all hosts, from start to rest
    run         one seed, judged; sweep: many of them
    history     what happened to every event; losses: which events a counter is about
    oracle      the promise, held against a history
    mutants     wrong turns in the code that the oracle has to notice

A seed decides everything: the same seed gives the same trace, in any process. `python -m tests.simulation --seed N
--trace` shows it.
"""
