"""Carry: events from local clients to brokers, and from the own broker to local clients.

Everything here runs on the daemon's asyncio loop. Charts reach it through
`call_soon_threadsafe` (Bridge), and it reaches them by posting events.

    kept_link    one connection that comes back by itself
    body         what is owed to brokers, and who waits for it
    account      how far each client's events have come: safe, settled
    lane         one distinct broker: what it is owed, oldest first
    outbound     gathers records, seals them once, owes them to every lane
    inbound      one queue per subscription on the own broker; opens, hands over, acknowledges
    control      challenges answered, heartbeats sent and heard
    bridge       puts these together; adopts and retires producers
"""
