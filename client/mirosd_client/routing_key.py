"""Which routing and binding keys there are: what AMQP 0-9-1 carries."""

from mirosd_client.errors import LocalProtocolError
from mirosd_client.limits import MAX_ROUTING_KEY_BYTES


def checked_key(key: object, what: str = "the routing key") -> str:
    """Give a key that can cross: text of at most 255 bytes.

    Args:
        what: it is called in the error.

    Raises:
        LocalProtocolError: it cannot.
    """
    if not isinstance(key, str):
        raise LocalProtocolError(f"{what} is text, and no {type(key).__name__}")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as exc:
        raise LocalProtocolError(f"{what} {key!a} is no text: it has bytes that are not UTF-8") from exc
    if size > MAX_ROUTING_KEY_BYTES:
        raise LocalProtocolError(f"{what} has at most {MAX_ROUTING_KEY_BYTES} bytes, not {size}")
    return key
