import pytest

from mirosd.core.interfaces import Credentials
from mirosd.errors import NotPermittedError
from mirosd.localapi.rights import Policy, Rights

ALL = Rights.READ | Rights.TRANSMIT | Rights.OPERATE
MEMBER = Rights.READ | Rights.TRANSMIT
POLICY = Policy(own_uid=990, member_gid=101, operator_gid=102)


def caller(uid: int, gid: int = 1000, groups: tuple[int, ...] = ()) -> Credentials:
    return Credentials(1, uid, gid, frozenset(groups))


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (caller(0), ALL),
        (caller(990), ALL),
        (caller(1000, groups=(102,)), ALL),
        (caller(1000, gid=102), ALL),
        (caller(1000, groups=(101, 102)), ALL),
        (caller(1000, groups=(5, 101)), MEMBER),
        (caller(1000, gid=101), MEMBER),
        (caller(1000), Rights(0)),
        (caller(65534, gid=65534, groups=(65534,)), Rights(0)),
    ],
)
def test_uid_and_groups_decide(who: Credentials, expected: Rights) -> None:
    """Root, the daemon's own user and operators do everything, members read and transmit, others nothing."""
    assert expected == POLICY.rights_of(who)


def test_a_group_that_does_not_exist_has_no_members() -> None:
    """Where the groups were never made, only root and the daemon's own user have rights."""
    policy = Policy(own_uid=1000, member_gid=None, operator_gid=None)

    assert Rights(0) == policy.rights_of(caller(1001))
    assert policy.rights_of(caller(1000)) == ALL


def test_rights_are_said_in_words() -> None:
    """A Welcome lists the rights by name, in one order."""
    assert ALL.words == ["read", "transmit", "operate"]
    assert Rights(0).words == []


@pytest.mark.parametrize(
    ("right", "group"), [(Rights.OPERATE, "boss"), (Rights.TRANSMIT, "crew"), (Rights.READ, "crew")]
)
def test_a_denial_says_what_would_permit_it(right: Rights, group: str) -> None:
    """The text names the group, the command that joins it, and that one must log in again."""
    policy = Policy(1, None, None, member_group="crew", operator_group="boss")

    with pytest.raises(
        NotPermittedError, match=f'`x` needs group {group}: sudo usermod -aG {group} "[$]USER", and log in'
    ):
        policy.require(right, Rights(0), "`x`")
    policy.require(right, right, "`x`")
