"""Who may do what, out of the configuration: names are made numbers, and those that nobody knows are told."""

import grp
import os
import pwd

from structlog.testing import capture_logs

from mirosd.core.config import parse_config
from mirosd.core.interfaces import Credentials
from mirosd.front_desk import policy_of
from mirosd.localapi.rights import Grant, Policy, grant

OTHER_GID, OTHER_UID = 23_456, 23_457
KNOWN_GROUP, KNOWN_USER = grp.getgrgid(1).gr_name, pwd.getpwuid(1).pw_name


def policy(text: str) -> Policy:
    settings = parse_config(text)
    return policy_of(settings.socket, settings.rights)


def caller(uid: int, *groups: int) -> Credentials:
    return Credentials(1, uid, OTHER_GID + 5, frozenset(groups))


def test_names_and_numbers_are_known() -> None:
    """Rules count for groups and users by name, and by number where there is no such name."""
    rules = [
        f"{{group: {KNOWN_GROUP}, may: [read]}}",
        f"{{group: {OTHER_GID}, may: [transmit]}}",
        f"{{user: {KNOWN_USER}, may: [operate]}}",
        f"{{user: {OTHER_UID}, may: [read], networks: [snoop_spy]}}",
    ]
    made = policy(f"rights: [{', '.join(rules)}]")

    assert grant(["read"]) == made.grant_of(caller(OTHER_UID + 1, 1))
    assert grant(["transmit"]) == made.grant_of(caller(OTHER_UID + 1, OTHER_GID))
    assert grant(["operate"]) == made.grant_of(caller(1))
    assert grant(["read"], ["snoop_spy"]) == made.grant_of(caller(OTHER_UID))
    assert Grant() == made.grant_of(caller(OTHER_UID + 1))
    assert [KNOWN_GROUP, str(OTHER_GID), "", ""] == [rule.name for rule in made.rules]


def test_a_name_that_nobody_knows_is_told_with_its_line() -> None:
    """It stops nothing: the other rules count."""
    with capture_logs() as logs:
        made = policy(
            "rights:\n  - {group: no-such-group, may: [read]}\n  - {user: no-such-user, may: [read]}\n"
            f"  - {{user: {OTHER_UID}, may: [read]}}\n"
        )

    assert [(2, "no-such-group", None), (3, None, "no-such-user")] == [
        (line["line"], line.get("group"), line.get("user")) for line in logs
    ]
    assert {("rights_name_unknown", "warning")} == {(line["event"], line["log_level"]) for line in logs}
    assert grant(["read"]) == made.grant_of(caller(OTHER_UID))


def test_the_groups_of_the_socket_come_from_its_settings() -> None:
    """As they always did, and this very user operates."""
    made = policy(f"socket: {{group: {KNOWN_GROUP}, operators: {OTHER_GID}}}")

    assert Policy(os.getuid(), 1, OTHER_GID, KNOWN_GROUP, str(OTHER_GID)) == made
