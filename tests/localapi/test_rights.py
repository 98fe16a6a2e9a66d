import pytest

from mirosd.core.interfaces import Credentials
from mirosd.errors import NotPermittedError
from mirosd.localapi.rights import EVERYTHING, MEMBERS, Grant, Policy, Rights, Rule, grant

ALL = Rights.READ | Rights.TRANSMIT | Rights.OPERATE
POLICY = Policy(own_uid=990, member_gid=101, operator_gid=102)
WATCHERS, BOSSES = 201, 202


def caller(uid: int, gid: int = 1000, groups: tuple[int, ...] = ()) -> Credentials:
    return Credentials(1, uid, gid, frozenset(groups))


def ruled(*rules: Rule) -> Policy:
    return Policy(own_uid=990, member_gid=101, operator_gid=102, rules=rules)


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (caller(0), EVERYTHING),
        (caller(990), EVERYTHING),
        (caller(1000, groups=(102,)), EVERYTHING),
        (caller(1000, gid=102), EVERYTHING),
        (caller(1000, groups=(101, 102)), EVERYTHING),
        (caller(1000, groups=(5, 101)), MEMBERS),
        (caller(1000, gid=101), MEMBERS),
        (caller(1000), Grant()),
        (caller(65534, gid=65534, groups=(65534,)), Grant()),
    ],
)
def test_uid_and_groups_decide(who: Credentials, expected: Grant) -> None:
    """Root, the daemon's own user and operators do everything, members read and transmit, others nothing."""
    assert expected == POLICY.grant_of(who)


def test_what_the_two_groups_have() -> None:
    """Operators hear all networks, members the mesh: the charts of other hosts are not theirs to see."""
    assert Grant(ALL, frozenset({"mesh", "snoop_trace", "snoop_spy"})) == EVERYTHING
    assert Grant(Rights.READ | Rights.TRANSMIT, frozenset({"mesh"})) == MEMBERS


def test_a_group_that_does_not_exist_has_no_members() -> None:
    """Where the groups were never made, only root and the daemon's own user have rights."""
    policy = Policy(own_uid=1000, member_gid=None, operator_gid=None)

    assert Grant() == policy.grant_of(caller(1001))
    assert EVERYTHING == policy.grant_of(caller(1000))


def test_rights_are_said_in_words() -> None:
    """A Welcome lists the rights by name, in one order."""
    assert ALL.words == ["read", "transmit", "operate"]
    assert Rights(0).words == []


@pytest.mark.parametrize(
    ("may", "networks", "rights", "hears"),
    [
        (["read"], [], Rights.READ, set()),
        (["transmit"], [], Rights.TRANSMIT, {"mesh"}),
        (["operate"], [], Rights.OPERATE, {"snoop_trace", "snoop_spy"}),
        (["read"], ["snoop_trace"], Rights.READ, {"snoop_trace"}),
        (["read"], ["mesh"], Rights.READ, set()),
        (["transmit"], ["mesh"], Rights.TRANSMIT, {"mesh"}),
        (["transmit"], ["snoop_spy"], Rights.TRANSMIT, {"snoop_spy"}),
        (["read", "transmit"], ["mesh", "snoop_spy"], Rights.READ | Rights.TRANSMIT, {"mesh", "snoop_spy"}),
    ],
)
def test_what_a_rule_grants(may: list[str], networks: list[str], rights: Rights, hears: set[str]) -> None:
    """Its words, and the networks it names: to hear the mesh takes transmit, to hear a named snoop network any word."""
    assert Grant(rights, frozenset(hears)) == grant(may, networks)


def test_rules_add_up() -> None:
    """What a user's rule, a group's, a primary group's and the two groups give is given together, and not to others."""
    policy = ruled(
        Rule(grant(["read"], ["snoop_trace"]), gid=WATCHERS),
        Rule(grant(["read"], ["snoop_spy"]), uid=1000),
        Rule(grant(["operate"]), gid=BOSSES),
    )

    assert grant(["read"], ["snoop_trace"]) == policy.grant_of(caller(1001, groups=(WATCHERS,)))
    assert grant(["read"], ["snoop_trace", "snoop_spy"]) == policy.grant_of(caller(1000, groups=(WATCHERS,)))
    assert Grant(MEMBERS.rights, frozenset({"mesh", "snoop_spy"})) == policy.grant_of(caller(1000, groups=(101,)))
    assert grant(["operate"]) == policy.grant_of(caller(1002, gid=BOSSES))
    assert Grant() == policy.grant_of(caller(1002))


@pytest.mark.parametrize(
    ("held", "sends"),
    [
        (grant(["transmit"]), {"mesh", "snoop_trace", "snoop_spy"}),
        (grant(["transmit"], ["snoop_trace"]), {"snoop_trace", "snoop_spy"}),
        (grant(["read", "operate"]), set()),
    ],
)
def test_who_transmits_shows_its_charts(held: Grant, sends: set[str]) -> None:
    """Its own charts' lines go with any right to transmit; events with one that holds for the mesh."""
    assert sends == {network for network in ("mesh", "snoop_trace", "snoop_spy") if held.may_send(network)}


def test_less_is_not_covered() -> None:
    """A grant covers what it holds all of: rights and networks."""
    assert EVERYTHING.covers(MEMBERS)
    assert MEMBERS.covers(MEMBERS)
    assert not MEMBERS.covers(EVERYTHING)
    assert not grant(["read", "transmit"], ["snoop_trace"]).covers(MEMBERS)


@pytest.mark.parametrize(
    ("right", "group"), [(Rights.OPERATE, "boss"), (Rights.TRANSMIT, "crew"), (Rights.READ, "crew")]
)
def test_a_denial_says_what_would_permit_it(right: Rights, group: str) -> None:
    """The text names the group, the command that joins it, that one must log in again, and the rule that would do."""
    policy = Policy(1, None, None, member_group="crew", operator_group="boss")

    with pytest.raises(
        NotPermittedError, match=f'`x` needs group {group}: sudo usermod -aG {group} "[$]USER", and log in'
    ) as denied:
        policy.require(right, Grant(), "`x`")
    assert f"{{user: NAME, may: [{right.words[0]}]}}" in str(denied.value)
    policy.require(right, Grant(right), "`x`")


def test_a_denial_names_the_groups_of_rules() -> None:
    """A group that a rule lets do just this comes first: it is given less than the operators are."""
    policy = ruled(Rule(grant(["read"], ["snoop_trace"]), gid=WATCHERS, name="watchers"), Rule(EVERYTHING, uid=7))

    with pytest.raises(NotPermittedError) as denied:
        policy.require_hearing("snoop_trace", MEMBERS, "x")
    assert 'x needs group watchers (or mirosd-admin): sudo usermod -aG watchers "$USER"' in str(denied.value)
    assert "{user: NAME, may: [read], networks: [snoop_trace]}" in str(denied.value)
    with pytest.raises(NotPermittedError, match=r"x needs group mirosd-admin: .* networks: \[snoop_spy\]"):
        policy.require_hearing("snoop_spy", MEMBERS, "x")
    with pytest.raises(NotPermittedError, match=r"x needs group mirosd: .*may: \[transmit\], networks: \[mesh\]"):
        policy.require_hearing("mesh", grant(["read"]), "x")
    policy.require_hearing("mesh", MEMBERS, "x")


def test_sending_where_it_is_not_permitted_is_told() -> None:
    """Who may send lines and no events is told what would let it."""
    lines_alone = grant(["transmit"], ["snoop_trace"])

    with pytest.raises(NotPermittedError, match="x needs group mirosd: "):
        POLICY.require_sending("mesh", lines_alone, "x")
    POLICY.require_sending("snoop_trace", lines_alone, "x")
    with pytest.raises(NotPermittedError, match=r"x needs group mirosd: .*networks: \[snoop_trace\]"):
        POLICY.require_sending("snoop_trace", grant(["read"]), "x")


def test_without_a_group_of_members_the_operators_are_named() -> None:
    """Where `socket.group` is null there is none to join."""
    with pytest.raises(NotPermittedError, match="x needs group mirosd-admin: "):
        Policy(1, None, None, member_group="").require(Rights.READ, Grant(), "x")
