"""The configuration: what is accepted, and that every fault is told with its line and its cure."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mirosd.core.broker import BrokerAddress
from mirosd.core.config import MAX_FAULTS, MAX_SECTIONS, parse_config, setting_paths
from mirosd.core.config_text import MAX_CONFIG_CHARS, MAX_DEPTH
from mirosd.core.setting_checks import broker_address
from mirosd.core.settings import RightsRule, Settings
from mirosd.errors import ConfigError
from tests.properties import TOTAL

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


def faults_of(text: str) -> list[str]:
    """Give the faults of a text that must have some."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return caught.value.faults


def paths_in(node: yaml.MappingNode, prefix: str = "") -> list[str]:
    """Give the dotted paths that a text sets."""
    paths: list[str] = []
    for key, child in node.value:
        path = prefix + key.value
        paths += paths_in(child, f"{path}.") if isinstance(child, yaml.MappingNode) else [path]
    return paths


def test_the_example_is_the_defaults() -> None:
    """The example loads and means exactly what an empty file means."""
    assert Settings() == parse_config(EXAMPLE.read_text())
    assert Settings() == parse_config("")


def test_the_example_holds_every_setting() -> None:
    """Each setting stands in the example, in the order of its definition, and nothing else does."""
    root = yaml.compose(EXAMPLE.read_text(), Loader=yaml.SafeLoader)

    assert isinstance(root, yaml.MappingNode)
    assert list(setting_paths()) == paths_in(root)


def test_values_arrive() -> None:
    """Values of each kind land in their places, with their types."""
    settings = parse_config(
        "name: no\n"
        "socket: {mode: 0600, group: null}\n"
        "broker:\n  advertise: [10.0.0.7, 'name:5673', '[fe80::1%eth0]']\n  password: 0123\n"
        "log: {level: debug}\n"
        "delivery:\n  ttl_s: 2.5\n  prefetch: 7\n"
    )

    assert settings.name == "no"
    assert settings.socket.mode == 0o600
    assert settings.socket.group is None
    assert settings.broker.advertise == ("10.0.0.7", "name:5673", "[fe80::1%eth0]")
    assert settings.broker.password == "0123"
    assert settings.log.level == "debug"
    assert settings.delivery.ttl_s == 2.5
    assert settings.delivery.prefetch == 7


def test_rules_arrive() -> None:
    """A list of sections: each with its values, and the line where it stands."""
    rules = parse_config(
        "rights:\n"
        "  - {group: 1001, may: [read, transmit]}\n"
        "  - user: ann\n    may: [read]\n    networks: [snoop_trace, snoop_spy]\n"
    ).rights

    assert (
        RightsRule(group="1001", may=("read", "transmit")),
        RightsRule(user="ann", may=("read",), networks=("snoop_trace", "snoop_spy")),
    ) == rules
    assert [2, 3] == [rule.line for rule in rules]


@pytest.mark.parametrize("text", ["rights: []", "rights:", "rights: null"])
def test_no_rules_are_the_default(text: str) -> None:
    """An empty list of sections is like none."""
    assert Settings() == parse_config(text)


@pytest.mark.parametrize("mode", ["660", "0660", "0o660", '"0660"'])
def test_a_mode_is_octal(mode: str) -> None:
    """A file mode means the same in each way that people write it."""
    assert parse_config(f"socket: {{mode: {mode}}}").socket.mode == 0o660


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "broker:\n", "broker:\n  # url: x\n", "{}"])
def test_nothing_set_means_the_defaults(text: str) -> None:
    """An empty file, and an empty section, mean the defaults."""
    assert Settings() == parse_config(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("systm: a", "line 1: systm: there is no such setting; did you mean system?"),
        ("\nbroker:\n  usr: a", "line 3: broker.usr: there is no such setting; did you mean broker.user?"),
        ("ttl: 5", "line 1: ttl: there is no such setting; did you mean delivery.ttl_s?"),
        ("log: {xyzzy: 5}", "line 1: log.xyzzy: there is no such setting; those here are format, level"),
        ("log.level: info", "line 1: log.level: there is no such setting; a dot makes no section"),
        ("log: {level: loud}", "line 1: log.level: cannot be 'loud'; write debug, info, warning or error"),
        ("log: {level: [a]}", "line 1: log.level: is not a single value"),
        ("delivery: {prefetch: true}", "line 1: delivery.prefetch: 'true' is not a whole number"),
        ("delivery: {prefetch: 1.5}", "line 1: delivery.prefetch: '1.5' is not a whole number"),
        ("delivery: {prefetch: 010}", "line 1: delivery.prefetch: '010' is not a whole number"),
        ("delivery: {prefetch: 1:30}", "line 1: delivery.prefetch: '1:30' is not a whole number"),
        ("delivery: {prefetch: '5'}", "line 1: delivery.prefetch: '5' is not a whole number"),
        ("delivery: {prefetch: 0}", "line 1: delivery.prefetch: '0' is out of range; write 1 to 65535 bodies"),
        ("delivery: {queue_bytes: -1}", "line 1: delivery.queue_bytes: '-1' is out of range"),
        ("delivery: {queue_bytes: 64M}", "line 1: delivery.queue_bytes: '64M' is not a whole number"),
        ("delivery: {ttl_s: .nan}", "line 1: delivery.ttl_s: '.nan' is not a number"),
        ("delivery: {ttl_s: .inf}", "line 1: delivery.ttl_s: '.inf' is not a number"),
        ("delivery: {ttl_s: 1e999}", "line 1: delivery.ttl_s: '1e999' is out of range"),
        ("delivery: {ttl_s: soon}", "line 1: delivery.ttl_s: 'soon' is not a number"),
        ("delivery: {ttl_s: }", "line 1: delivery.ttl_s: has no value"),
        (
            "discovery: {lan: {enabled: yes}}",
            "line 1: discovery.lan.enabled: 'yes' is not a switch; write true or false",
        ),
        ("discovery: {lan: {ping: 'true'}}", "line 1: discovery.lan.ping: 'true' is not a switch"),
        ("discovery: {lan: {sweep: on}}", "line 1: discovery.lan.sweep: cannot be 'on'; write auto, always or off"),
        ("discovery: {lan: {deny: [10.0.0.1/8]}}", "line 1: discovery.lan.deny: cannot be used; write an interface"),
        ("delivery: 5", "line 1: delivery: write settings here"),
        ("socket: {mode: 999}", "line 1: socket.mode: '999' is not a file mode"),
        ("socket: {path: run/x}", "line 1: socket.path: cannot be used; write an absolute path"),
        ('socket: {path: "/a\\0b"}', "line 1: socket.path: is empty or holds a control character"),
        ("system: a.b", "line 1: system: cannot be used; write 1 to 64 letters"),
        ("system: !!python/name:os.system x", "line 1: system: is not a single value"),
        ("name: [a]", "line 1: name: is not a single value"),
        ("broker: {advertise: 10.0.0.7}", "line 1: broker.advertise: is not a list"),
        ("broker:\n  advertise:\n    - a\n    - a b", "line 4: broker.advertise: cannot be used; 'a b' is not a host"),
        ("broker: {url: 'http://a'}", "line 1: broker.url: cannot be used; write amqp://"),
        ("broker: {url: 'amqp://a:99999'}", "line 1: broker.url: cannot be used; write amqp://HOST:PORT/VHOST with"),
        ("broker: {url: 'amqp://a/b/c'}", "line 1: broker.url: cannot be used; write amqp://HOST:PORT/VHOST and"),
        ("peers: {password: a, password_file: /b}", "line 1: peers.password_file: peers.password is set too"),
        ("tls: {key_file: /a}", "line 1: tls.key_file: there is no certificate with it; write tls.cert_file too"),
        ("peers: {tls: always}", "line 1: peers.tls: cannot be 'always'; write auto, on or off"),
        ("system: a\nsystem: b", "line 2: system: set already on line 1; remove one of them"),
        ("? [a]\n: b", "line 1: ?: a setting's name is a plain word"),
        ("[1, 2]", "line 1: the file: write settings here"),
        ("hello", "line 1: the file: write settings here"),
        ("rights: {group: a}", "line 1: rights: is not a list of at most 256; write [], or `- NAME: VALUE` for each"),
        ("rights:\n  - a", "line 2: rights: write settings here, one NAME: VALUE a line"),
        ("rights:\n  -\n", "line 2: rights: write a group or a user"),
        ("rights:\n  - {may: [read]}", "line 2: rights: write a group or a user, one of them in each rule"),
        ("rights:\n  - {group: a, user: b, may: [read]}", "line 2: rights: write a group or a user, one of them"),
        ("rights:\n  - {group: a}", "line 2: rights: write what they may: read, transmit or operate"),
        ("rights:\n  - group: a\n    may: []", "line 2: rights: write what they may"),
        ("rights:\n  - group: a\n    may: read", "line 3: rights.may: is not a list; write [ONE, ANOTHER]"),
        ("rights:\n  - group: a\n    may: [fly]", "line 3: rights.may: cannot be 'fly'; write read, transmit or oper"),
        ("rights:\n  - {group: a, may: [read], networks: [trace]}", "line 2: rights.networks: cannot be 'trace'"),
        (
            "rights:\n  - {group: a, may: [operate], networks: [mesh]}",
            "line 2: rights: operate is for the whole host: write it in a rule without networks",
        ),
        ("rights:\n  - {groop: a, may: [read]}", "line 2: rights.groop: there is no such setting; did you mean rights"),
        ("rights:\n  - {group: a, may: [read], line: 5}", "line 2: rights.line: there is no such setting"),
        ("rights:\n  - {group: a, group: b, may: [read]}", "line 2: rights.group: set already on line 2"),
        ("a:\n\tb: 1", "line 2: this is not YAML (found character '\\t'"),
        ("broker: {url: a", "line 1: this is not YAML"),
        ("a: *b", "line 1: this is not YAML (found undefined alias 'b')"),
        ("a: b\n---\nc: d", "line 2: this is not YAML"),
        ("a\n\0", "line 2: this is not YAML (character 0 may not stand here)"),
        ('a: "\\UFFFFFFFF"', "line 1: this is not YAML"),
        ("[" * 30_000, "line 1: this is not YAML (lists or mappings stand too deep"),
        ("#" * (MAX_CONFIG_CHARS + 1), "line 1: the file is longer than"),
    ],
)
def test_a_fault_has_its_line_and_its_cure(text: str, fault: str) -> None:
    """A fault tells its line, the setting's path, and what to do."""
    faults = faults_of(text)

    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_all_faults_are_told_at_once() -> None:
    """One reading tells every fault, in the order of their lines, also those of two settings together."""
    faults = faults_of(
        "peers: {password: a, password_file: /b}\n"
        "delivery:\n  ttl_s: soon\n  prefetch: 0\nlog: {level: loud}\nsystm: a\n"
    )

    assert [fault[:6] for fault in faults] == ["line 1", "line 3", "line 4", "line 5", "line 6"]


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    """The cure says where an account goes, and no fault shows the password that was written (D53)."""
    faults = faults_of("broker:\n  url: amqp://u:hunter2@h\n  user: [hunter2]\npeers:\n  password: {hunter2: a}\n")

    assert len(faults) == 3
    assert "broker.password_file" in faults[0]
    assert "hunter2" not in "".join(faults)


def test_a_password_does_not_show() -> None:
    """Printing settings prints no password."""
    assert "hunter2" not in repr(parse_config("broker: {password: hunter2}\npeers: {password: hunter2}"))


def test_aliases_do_not_multiply_the_work() -> None:
    """Nine levels of ten aliases each, a billion values when expanded, are refused like any wrong value."""
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))

    assert len(faults_of(bomb + "broker: {advertise: *a9}\n")) == 11


def test_aliases_do_not_multiply_rules() -> None:
    """A rule that a short file repeats by aliases counts as often, and only so often."""
    text = "rights: [&a {user: b, may: [read]}" + ", *a" * MAX_SECTIONS

    assert MAX_SECTIONS == len(parse_config(text[: -len(", *a")] + "]").rights)
    assert "line 1: rights: is not a list of at most 256" in faults_of(text + "]")[0]


def test_faults_without_end_are_told_to_a_bound() -> None:
    """The first hundred are told: each takes a search for the nearest name, and nobody reads more."""
    faults = faults_of("".join(f"x{number}: 1\n" for number in range(2 * MAX_FAULTS)))

    assert MAX_FAULTS == len(faults)
    assert faults[-1].startswith(f"line {MAX_FAULTS}: x{MAX_FAULTS - 1}: ")


def test_depth_is_bounded() -> None:
    """What stands one level deeper than settings ever do is refused as no YAML of ours."""
    assert "broker.advertise: is not a single value" in faults_of(f"broker: {{advertise: {'[' * 30}{']' * 30}}}")[0]
    assert "too deep" in faults_of(f"broker: {{advertise: {'[' * MAX_DEPTH}{']' * MAX_DEPTH}}}")[0]


def test_recursive_yaml_is_refused() -> None:
    """A section that contains itself leads nowhere."""
    assert faults_of("broker: &a {user: *a}") == [
        "line 1: broker.user: is not a single value; write one behind the colon"
    ]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("amqp://127.0.0.1:5672/%2F", BrokerAddress("127.0.0.1", 5672, "/", "u", "p")),
        ("amqp://h", BrokerAddress("h", 5672, "/", "u", "p")),
        ("amqps://h/a%20b", BrokerAddress("h", 5671, "a b", "u", "p", tls=True)),
        ("amqp://[::1]:5673", BrokerAddress("::1", 5673, "/", "u", "p")),
        ("memory://", None),
    ],
)
def test_a_broker_url_gives_an_address(url: str, address: BrokerAddress | None) -> None:
    """A URL gives the broker's address, with what is not written in it."""
    assert address == broker_address(url, user="u", password="p")


_WORDS = st.sampled_from(
    [
        *(part for path in setting_paths() for part in path.split(".")),
        "true",
        "5",
        "-1",
        ".nan",
        "&a",
        "*a",
        "!!int",
        "<<",
    ]
)
_LINES = st.tuples(st.integers(0, 3), _WORDS, st.sampled_from([":", ": ", "- ", "[", "{", ", ", "\t", '"']), _WORDS)
_YAML_LIKE = st.lists(_LINES, max_size=8).map(
    lambda lines: "\n".join(" " * indent + left + mark + right for indent, left, mark, right in lines)
)


@TOTAL
@given(st.text() | st.text("[]{}:,-?!&*#|>'\"%@`~\n\t \\xuU0a<.") | _YAML_LIKE)
def test_any_text_gives_settings_or_faults(text: str) -> None:
    """Whatever a file holds, there are settings or faults that name their lines."""
    try:
        settings = parse_config(text)
    except ConfigError as exc:
        assert exc.faults
        assert all(fault.startswith("line ") for fault in exc.faults)
    else:
        assert isinstance(settings, Settings)
