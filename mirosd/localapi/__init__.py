"""The local API: what programs and `mirosctl` on this host may ask of the daemon, on one Unix socket.

server.py accepts; connection.py is one client's bytes, session.py what they mean;
census.py knows who is there and keeps the bounds per user, rights.py says who may do
what, verbs.py answers questions, desk.py holds what all of them share.
Frames and messages are the client's (mirosd_client.wire and .messages): one definition.

Everything here runs on the daemon's loop. Events go to the bridge through
`core.interfaces.ClientSink`; what people may see comes from `verbs.DaemonView` as
display copies. A client that breaks the protocol loses its own connection, with the
reason as the last message, and harms nothing else.
"""
