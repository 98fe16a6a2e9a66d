"""mirosd(8): the daemon's own options, signals and files."""

import argparse
from functools import partial

from manual.roff import Page
from mirosd.main import DEFAULT_CONFIG, EXIT_CONFIG, EXIT_FAILED, parser

WIDTH = 70
"""Columns of the options' text, which stands as it is: a terminal of 80 shows it indented."""

SIGNALS = (
    ("SIGTERM, SIGINT", "Tell peers and programs, then end."),
    (
        "SIGHUP",
        "Read the configuration again. What can change while it runs does, and the log names the rest; a wrong one "
        "changes nothing.",
    ),
)
EXIT_STATUS = (
    (0, "Stopped in order; `--check`: the configuration is good."),
    (EXIT_FAILED, "It cannot start, and says why."),
    (EXIT_CONFIG, "The configuration is wrong; every fault is named with its line."),
)
FILES = (
    (DEFAULT_CONFIG, "The configuration, see `mirosd.yaml`(5)."),
    ("/etc/mirosd/hosts.json", "Listed hosts; watched."),
    ("/etc/mirosd/keys/", "The keys that this host was given: `mesh.key` and others; 0640 root:mirosd."),
    ("/var/lib/mirosd/", "What the daemon keeps for itself: its id, keys, what it found. One daemon each."),
    ("/run/mirosd/mirosd.sock", "Where programs and `mirosctl` connect."),
)
GROUPS = (
    ("mirosd", "Members' programs may transmit and subscribe."),
    ("mirosd-admin", "Members may change things with `mirosctl`, and see other hosts' charts; root always may."),
)


def daemon_page() -> Page:
    """Give the page."""
    page = Page("mirosd", 8, "carry statecharts' events between hosts")
    options = parser()
    options.formatter_class = partial(argparse.HelpFormatter, width=WIDTH)
    page.heading("SYNOPSIS")
    page.paragraph(options.format_usage().removeprefix("usage: "))
    page.heading("DESCRIPTION")
    page.paragraph(
        "mirosd runs once on each host. Programs on it hand their statecharts' events over by a Unix socket; the "
        "daemon seals them and publishes them to the RabbitMQ of every host that proved to hold the same keys, and "
        "gives to the programs what comes from there. It finds other hosts on the LAN, by the hosts that are listed, "
        "and by what peers know of each other."
    )
    page.paragraph(
        "A new host is set up by `mirosctl init`, and the next ones by `mirosctl invite` and `mirosctl join`."
    )
    page.heading("OPTIONS")
    page.literal(options.format_help().partition("options:\n")[2])
    for heading, rows in (
        ("SIGNALS", SIGNALS),
        ("EXIT STATUS", EXIT_STATUS),
        ("FILES", FILES),
        ("GROUPS", GROUPS),
    ):
        page.heading(heading)
        for term, text in rows:
            page.item(str(term), [text])
    page.see_also(("mirosctl", 1), ("mirosd.yaml", 5), ("rabbitmq-server", 8))
    return page
