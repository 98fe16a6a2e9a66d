"""mirosd: the host daemon that carries statechart events between hosts.

Nouns, top to bottom; each package's own docstring says more, `docs/architecture.md` shows how they meet.

    main, daemon     the command, and the only place that knows everyone
    charts           decide: miros statecharts, one thread per role
    bridge           carries: seals, publishes, confirms, consumes, opens
    localapi         serves: the Unix socket that clients and mirosctl speak to
    backends         do: AMQP, files, systemd; foreign exceptions stop there
    core             pure logic, and the interfaces the others meet through
    signals, payloads, names, errors    words
"""

__version__ = "0.1.0"
