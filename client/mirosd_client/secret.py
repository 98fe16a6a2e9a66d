"""Who a process is: a secret that it draws, and the public id that follows from it.

The hello shows the secret to the local daemon, which recomputes the id; an id, which
every receiver sees, can therefore not be taken over by somebody who read it.
"""

import hashlib
import secrets

from mirosd_client.record import CLIENT_ID_BYTES

SECRET_BYTES = 32


def draw_secret() -> bytes:
    """Give a new secret; one per process, and another in a forked child."""
    return secrets.token_bytes(SECRET_BYTES)


def client_id(secret: bytes) -> bytes:
    """Give the 16 byte id that belongs to a secret."""
    return hashlib.sha256(secret).digest()[:CLIENT_ID_BYTES]
