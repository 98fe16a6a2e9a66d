"""The configuration that setting up writes, and what is read from one that is there."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirosctl import host_config
from mirosctl.host_config import HostConfig, HostConfigError, check_name, check_system, check_vhost, read, render
from mirosd.core.config import parse_config, setting_paths
from mirosd.core.key_ring import RING_NETWORKS
from mirosd.core.setting_checks import broker_address
from mirosd.core.settings import Settings
from mirosd.main import main
from tests.properties import EXAMPLES, TOTAL

PASSWORDS = "broker: {password_file: /b}\npeers: {password_file: /p}\n"
LABELS = st.text("abYZ09_-", min_size=1, max_size=64)
VHOSTS = st.just("/") | st.text("abYZ09._-", min_size=1, max_size=64)
NAMES = st.none() | st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=128).filter(
    str.isprintable
)


@settings(TOTAL, max_examples=max(1, EXAMPLES // 20))  # two parsers of YAML each
@given(system=LABELS, name=NAMES, vhost=VHOSTS)
def test_what_is_written_is_what_the_daemon_reads(system: str, name: str | None, vhost: str) -> None:
    """For any label, name and virtual host, the daemon and mirosctl read what was meant (`no` is a name as well)."""
    config = HostConfig(system=system, name=name).at_vhost(vhost)
    settings = parse_config(render(config))
    address = broker_address(settings.broker.url, user="", password="")

    assert (system, name, vhost) == (settings.system, settings.name, settings.peers.vhost)
    assert address is not None
    assert vhost == address.vhost == config.vhost
    assert (config.broker.password_file, config.peers.password_file) == (
        settings.broker.password_file,
        settings.peers.password_file,
    )
    assert read(render(config)) == config


def test_it_says_only_what_differs_and_takes_new_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new configuration has four settings, `mirosd --check` finds it good, and a rotation reaches this host."""
    path = tmp_path / "config.yaml"
    path.write_text(render(HostConfig()))
    settings = parse_config(path.read_text())
    changed = {name for name in setting_paths() if value(settings, name) != value(Settings(), name)}

    assert {"broker.password_file", "peers.password_file", "keys.accept_remote"} == changed
    assert 0 == main(["--config", str(path), "--check"])
    assert "configuration OK\n" == capsys.readouterr().out


def test_the_defaults_are_the_daemon_s() -> None:
    """Where a configuration says nothing, both sides mean the same accounts, files and broker."""
    ours, theirs = read(PASSWORDS), Settings()

    assert (ours.system, ours.broker_url, ours.peers_vhost) == (theirs.system, theirs.broker.url, theirs.peers.vhost)
    assert (ours.broker.user, ours.peers.user) == (theirs.broker.user, theirs.peers.user)
    assert (ours.key_files["mesh"], ours.hosts_file) == (theirs.networks.mesh.key_file, theirs.discovery.hosts_file)
    assert ours.state_dir == theirs.state_dir
    assert ours.key_files["system"] == "/etc/mirosd/keys/system.key"


def test_what_the_operator_wrote_is_read() -> None:
    """Users, files, key files, addresses and TLS are those of the configuration; other keys lie beside the mesh's."""
    config = read(
        "system: no\n"
        "broker: {url: 'amqps://rabbit.lan/mesh%2Fa', user: own, password_file: /b, advertise: [h1:5671]}\n"
        "peers: {user: all, password_file: /p, vhost: mesh/a}\n"
        "networks: {mesh: {key_file: /k/m.key}, snoop_spy: {key_file: /x/s.key}}\n"
    )

    assert ("no", "mesh/a", "mesh/a", ("h1:5671",)) == (
        config.system,
        config.vhost,
        config.peers_vhost,
        config.advertise,
    )
    assert (("own", "/b"), ("all", "/p")) == (
        (config.broker.user, config.broker.password_file),
        (config.peers.user, config.peers.password_file),
    )
    assert {
        "mesh": "/k/m.key",
        "snoop_trace": "/k/snoop_trace.key",
        "snoop_spy": "/x/s.key",
        "system": "/k/system.key",
    } == config.key_files
    assert (False, True) == (config.is_broker_here, config.has_tls)
    assert (True, False) == (read(PASSWORDS).is_broker_here, read(PASSWORDS).has_tls)


@pytest.mark.parametrize("text", ["a: [", "- a\n- b", "", "broker: 3\npeers: []", "broker: {password: x}\n"])
def test_a_configuration_without_password_files_says_what_to_write(text: str) -> None:
    """One that is no YAML, or keeps no password in a file, is refused with what to do."""
    with pytest.raises(HostConfigError, match=r"mirosd --check|broker\.password_file; write the account's password"):
        read(text)


def test_a_broker_s_url_that_is_none_is_told() -> None:
    """One that nobody can take apart is refused as such, before anything is written."""
    text = "broker: {url: 'amqp://[::1', password_file: /b}\npeers: {password_file: /p}\n"
    with pytest.raises(HostConfigError, match=r"a broker\.url that is none; `mirosd --check`"):
        read(text)


def test_a_mirosctl_without_yaml_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is needed only where a configuration is there already."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(HostConfigError, match=r"mirosd-client\[setup\]"):
        read(PASSWORDS)


@pytest.mark.parametrize(
    ("check", "good", "wrong"),
    [
        (check_system, "a_B-9", ["", "a.b", "a b", "x" * 65, "\N{LATIN SMALL LETTER SHARP S}"]),
        (check_vhost, "a.b", ["", "a/b", "$(id)", "a b", "x" * 65]),
        (check_name, "K\N{LATIN SMALL LETTER U WITH DIAERESIS}che 1", ["", "a\nb", "x" * 129]),
    ],
)
def test_words_that_cannot_be_used_get_an_advice(check: object, good: str, wrong: list[str]) -> None:
    """Each word that would end in a file or a command is checked first."""
    assert callable(check)
    assert check(good) == ""
    assert all(check(word).startswith("write ") for word in wrong)


def value(settings: Settings, path: str) -> object:
    found: object = settings
    for word in path.split("."):
        found = getattr(found, word)
    return found


def test_the_networks_are_the_daemon_s() -> None:
    """A key file for each network that the ring knows."""
    assert RING_NETWORKS == host_config.NETWORKS
