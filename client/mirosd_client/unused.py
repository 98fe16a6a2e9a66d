"""Words that older programs give, and that are not used any more: accepted, with one warning."""

import sys
import warnings
from types import FrameType

UNUSED = (
    "not used any more, mirosd holds them now: the broker's account in /etc/mirosd/config.yaml "
    "(broker.user, broker.password_file), the keys in /etc/mirosd/keys"
)


def warn_of_unused(**given: object) -> None:
    """Warn, once and where the object is made, of what was given and is not used.

    The source line is not quoted, as warnings otherwise do: a password may stand in it.
    """
    names = [name for name, value in given.items() if value is not None]
    if names:
        maker = _maker()
        warnings.warn_explicit(
            f"line {maker.f_lineno}: {', '.join(names)}: {UNUSED}",
            DeprecationWarning,
            maker.f_code.co_filename,
            lineno=0,
            module=maker.f_globals.get("__name__"),
            registry=maker.f_globals.setdefault("__warningregistry__", {}),
        )


def _maker() -> FrameType:
    """Give the frame that makes the object: constructors call each other, and the function above."""
    frame = sys._getframe(2)
    while frame.f_code.co_name == "__init__" and frame.f_back is not None:
        frame = frame.f_back
    return frame
