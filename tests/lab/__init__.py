"""A private machine for tests, demo and benchmarks: hosts on a LAN of their own, each with broker and daemon.

enter       run a command on the private machine; nothing of it outlives it
isolation   the proof that no packet can leave
namespaces  Lan and Host: network namespaces on one bridge, and the faults a LAN can have
broker      Broker: a private RabbitMQ
mirosd      Daemon and Program: mirosd, and a statechart program, on a host
waiting     until(): the one place that waits
demo        two hosts that find each other and talk, told step by step
"""
