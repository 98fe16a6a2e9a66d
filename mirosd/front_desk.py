"""The desk of the local API, as this host is set up: who may do what, and how much of it."""

import os
from collections.abc import Iterable, Iterator

import structlog

from mirosd.backends.local_socket import group_id, peer_credentials, user_id
from mirosd.core.interfaces import ClientSink
from mirosd.core.settings import RightsRule, Settings, SocketSettings
from mirosd.core.shown import Board
from mirosd.localapi.census import Census
from mirosd.localapi.desk import Desk, Identity
from mirosd.localapi.rights import Policy, Rule, grant
from mirosd.localapi.verb import DaemonView

log = structlog.get_logger()


def desk_of(settings: Settings, *, sink: ClientSink, view: DaemonView, board: Board, identity: Identity) -> Desk:
    """Give what all sessions share."""
    limits = settings.limits
    return Desk(
        sink=sink,
        view=view,
        board=board,
        identity=identity,
        policy=policy_of(settings.socket, settings.rights),
        census=Census(
            connections_per_uid=limits.connections_per_uid,
            queues_per_uid=limits.queues_per_uid,
            unsent_bytes_per_uid=limits.unsent_bytes_per_uid,
        ),
        credentials_of=peer_credentials,
    )


def policy_of(settings: SocketSettings, rules: Iterable[RightsRule]) -> Policy:
    """Give who may do what; a name that this machine does not know is a warning. May ask the network (NSS)."""
    members, operators = settings.group or "", settings.operators
    return Policy(
        own_uid=os.getuid(),
        member_gid=group_id(members) if members else None,
        operator_gid=group_id(operators),
        member_group=members,
        operator_group=operators,
        rules=tuple(_known(rules)),
    )


def _known(rules: Iterable[RightsRule]) -> Iterator[Rule]:
    for rule in rules:
        gid = None if rule.group is None else group_id(rule.group)
        uid = None if rule.user is None else user_id(rule.user)
        if gid is None and uid is None:
            name = {"group": rule.group} if rule.user is None else {"user": rule.user}
            log.warning("rights_name_unknown", line=rule.line, **name, cure="make it, or correct it, and reload mirosd")
            continue
        yield Rule(grant(rule.may, rule.networks), gid=gid, uid=uid, name=rule.group or "")
