"""What Windows knows of the LAN, when this is a Linux of its subsystem (WSL).

There Linux has a network of its own, and Windows' ARP table is the view of the LAN. Only
a user's shell can ask for it: the daemon's sandbox keeps it from running Windows programs.
All this was tried with a stand-in for `arp.exe` alone, never on Windows.
"""

import os

import click

ARP = "arp.exe"
ARP_S = 10.0
"""It takes some 100 ms."""
MAX_ADDRESSES = 1024
"""As many as the daemon takes at once."""


def is_wsl() -> bool:
    """Say whether this kernel is WSL's."""
    return "microsoft" in os.uname().release.lower()


def windows_neighbours() -> list[str]:
    """Give the addresses of Windows' ARP table, none twice; none, and a warning, when it cannot be read."""
    import subprocess  # noqa: PLC0415 -- in WSL alone

    from mirosd_client.arp_table import parse_arp_table  # noqa: PLC0415

    try:
        done = subprocess.run([ARP, "-a"], capture_output=True, stdin=subprocess.DEVNULL, timeout=ARP_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        click.echo(f"warning: {ARP} -a cannot be run, so Windows' neighbours are not asked: {exc}", err=True)
        return []
    return [entry.address for entry in parse_arp_table(done.stdout)[:MAX_ADDRESSES]]
