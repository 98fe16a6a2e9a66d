"""What a user gets wrong, or finds wrong: each with its own code in `mirosctl peers --why`, and never an alive peer."""

import base64
from collections.abc import Callable

import pytest

from tests.e2e.stage import Stage, staged
from tests.lab.broker import Broker
from tests.lab.mirosd import Daemon
from tests.lab.namespaces import Lan
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

OTHER_KEY = base64.urlsafe_b64encode(b"o" * 32).decode()
NOBODY = "10.77.0.99"


def other_mesh_key(stage: Stage) -> Daemon:
    """h2 has another mesh key."""
    stage.daemon("h2", [], key=OTHER_KEY).start()
    stage.daemons["h2"].wait_ready()
    return stage.daemon("h1", ["h2"])


def other_password(stage: Stage) -> Daemon:
    """h1's account towards others has another password."""
    stage.daemon("h2", []).start()
    stage.daemons["h2"].wait_ready()
    return stage.daemon("h1", ["h2"], settings={"peers": {"password": "wrong"}})


def no_broker(stage: Stage) -> Daemon:
    """h2 is up, and nothing listens on its broker's port."""
    stage.brokers["h2"].stop()
    return stage.daemon("h1", ["h2"])


def no_daemon(stage: Stage) -> Daemon:
    """h2's broker has served a mirosd, which does not run any more."""
    daemon = stage.daemon("h2", [])
    daemon.start()
    daemon.wait_ready()
    daemon.stop()
    return stage.daemon("h1", ["h2"])


def no_exchange(stage: Stage) -> Daemon:
    """h2's broker has never seen a mirosd."""
    return stage.daemon("h1", ["h2"])


def nothing_there(stage: Stage) -> Daemon:
    """Nobody has the address."""
    daemon = stage.daemon("h1", [])
    daemon.write_hosts([NOBODY])
    return daemon


def other_system(stage: Stage) -> Daemon:
    """h2's mirosd belongs to another system."""
    stage.daemon("h2", [], settings={"system": "other"}).start()
    stage.daemons["h2"].wait_ready()
    return stage.daemon("h1", ["h2"])


SITUATIONS: dict[str, Callable[[Stage], Daemon]] = {
    "key": other_mesh_key,
    "auth": other_password,
    "tcp(refused)": no_broker,
    "daemon": no_daemon,
    "exchange": no_exchange,
    "tcp(silent)": nothing_there,
    "system": other_system,
}


@pytest.mark.parametrize("code", SITUATIONS)
def test_each_situation_has_its_code(lan: Lan, brokers: dict[str, Broker], code: str) -> None:
    """The address has the situation's own code, the stage that failed is told, and no peer is ever alive."""
    with staged(lan, brokers) as stage:
        daemon = SITUATIONS[code](stage)
        daemon.start()
        daemon.wait_ready()
        until(lambda: any(p["reason"] == code for p in daemon.ask("peers")["peers"]), what=f"reason {code}")
        [peer] = daemon.ask("peers")["peers"]
        why = daemon.ctl("peers", "--why").stdout

        assert "alive" != peer["state"]
        assert code == peer["reason"]
        assert code in why
        assert daemon.ctl("wait", "--peers", "1", "--timeout", "1", check=False).returncode == 1
