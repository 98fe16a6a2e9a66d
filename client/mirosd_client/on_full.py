"""What becomes of an event for which the window has no room, as a program chooses it."""

from typing import Literal, get_args

from mirosd_client.errors import LocalProtocolError

OnFull = Literal["refuse", "drop_oldest", "raise"]


def checked_policy(name: OnFull) -> OnFull:
    """Give a policy; LocalProtocolError when there is none of that name, which would show only in a full window."""
    if name not in get_args(OnFull):
        raise LocalProtocolError(f"on_full={name!r}: there are {', '.join(get_args(OnFull))}")
    return name
