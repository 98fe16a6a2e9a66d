"""Which networks this host has the keys of, and who may read them."""

import stat
from collections.abc import Iterator

from mirosctl.checks.ailment import Ailment, Finding, skipped, well
from mirosctl.checks.patient import Patient

MESH_KEY = "/etc/mirosd/keys/mesh.key"
"""Where keys are unless the configuration says otherwise (networks.mesh.key_file)."""
GROUP = "mirosd"

MISSING = Ailment(
    "keys.missing",
    "fault",
    "there is no mesh key at {file}",
    "set this host up, or copy the file from a host of the mesh",
    ("sudo mirosctl init", "sudo install -m 0640 -g mirosd mesh.key {file}"),
)
UNREADABLE = Ailment(
    "keys.unreadable",
    "fault",
    "mirosd may not read {file} (group {group}, mode {mode})",
    "give the file to group mirosd",
    ("sudo chown root:mirosd {file} && sudo chmod 0640 {file}", "sudo systemctl restart mirosd"),
)
OPEN = Ailment(
    "keys.open",
    "warning",
    "every user of this host may read {file} (mode {mode})",
    "close it to all but root and group mirosd",
    ("sudo chmod o= {file}",),
)
NO_MESH = Ailment(
    "keys.no_mesh",
    "warning",
    "this host has no mesh key: its programs neither send nor get events (it has {networks})",
    "nothing, if that is meant; else copy the mesh's key here, and restart mirosd",
    ("sudo install -m 0640 -g mirosd mesh.key {file}", "sudo systemctl restart mirosd"),
)
AILMENTS = (MISSING, UNREADABLE, OPEN, NO_MESH)


def check_keys(patient: Patient) -> Iterator[Finding]:
    """Say which networks this host is a member of, and whether its key files are as they should be."""
    key = patient.machine.key_file(MESH_KEY)
    if key is not None and key.exists and key.mode & stat.S_IRWXO:
        yield OPEN.found(file=MESH_KEY, mode=f"{key.mode:o}")
    if patient.said is not None:
        networks = ", ".join(patient.said.status["networks"]) or "none"
        if "mesh" in patient.said.status["networks"]:
            yield well(f"member of {networks}")
        else:
            yield NO_MESH.found(networks=networks, file=MESH_KEY)
        return
    if key is None or not patient.is_service_gone:
        yield skipped("no daemon tells, and where this user may look there is nothing to see")
    elif not key.exists:
        yield MISSING.found(file=MESH_KEY)
    elif key.group != GROUP or not key.mode & stat.S_IRGRP:
        yield UNREADABLE.found(file=MESH_KEY, group=key.group or "without a name", mode=f"{key.mode:o}")
    else:
        yield well(f"{MESH_KEY} is there")
