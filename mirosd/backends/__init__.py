"""All I/O of the daemon: AMQP, LAN, files, the local socket, systemd. They do; they decide nothing.

Threads. AMQP lives on the asyncio loop's thread: a link, its channels and all their callbacks are touched there and
nowhere else. What a chart may call says *Thread: any* and hands over by `call_soon_threadsafe`; answers go back
through the `post` that came with the question, so no backend knows a chart.

Errors. Foreign exceptions stop here: what pika, a socket or TLS raises becomes errors.BrokerError, with the code of
the scouting stage that failed and a text that says what was seen. Callers never import what a backend stands on.
"""
