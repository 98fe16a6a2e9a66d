"""Bounds that both ends of a wire must agree on, each with its reason."""

MAX_PAYLOAD_BYTES = 256 * 1024
"""One event's encoded payload. Larger things belong in files or object stores, not in events."""

MAX_RECORDS = 256
"""Events in one body: a bound in bodies (prefetch, a broker's queue) is then a bound in events. Of typical events
(150 bytes of payload) so many fill a body's bytes; for a broker a body is a body, whatever is in it."""

MAX_BODY_BYTES = 64 * 1024
"""Bytes of records in one body of several; a single larger record travels alone."""

MAX_FRAME_BYTES = 512 * 1024
"""One frame on the local socket: the largest single record and its headers fit with room."""

MAX_ROUTING_KEY_BYTES = 255
"""AMQP 0-9-1 carries routing keys as short strings."""

MAX_HASHES = 2
"""`#` in one binding key. RabbitMQ tries every way to share the words of a routing key out among them, while all who
publish there wait: of the longest key 0.1 s with two, 9 s with three, more than anybody waits with four (3.10)."""

MAX_SIGNAL_CHARS = 128
"""Longest signal name that a receiver makes an Event of."""

MAX_RECEIPTS = 10_000
"""Receipts of one client that wait for their answer: some 10 MB of it at the most. A program that needs more of them at
once wants counters."""

EVENT_TTL_S = 50.0
"""Seconds from `transmit()` until nobody tries to deliver an event any more; the ancestor's queue TTL."""
