"""What to do about each code that the daemon gives as a reason, in one sentence.

A test reads the codes out of the daemon's source, and fails for one that has no cure here.
"""

_CURES = {
    # stages of reaching a broker
    "resolve": "check the name's spelling and this host's DNS, or list the address instead",
    "tcp": "check that the host is up and that a firewall on neither side drops TCP 5672",
    "tcp(refused)": "no broker listens there: start RabbitMQ on it (systemctl start rabbitmq-server)",
    "tcp(silent)": "nothing answers: the host is down, the address is wrong, or a firewall drops TCP 5672",
    "tls": "the TLS handshake failed: check the port (amqps, 5671); the broker's log says which versions and "
    "certificates it asks for",
    "tls(untrusted)": "nobody whom this host trusts signed the broker's certificate: set tls.ca_file to the authority "
    "that did",
    "tls(name)": "the broker's certificate does not name the host as it is addressed: address it by a name that stands "
    "there (hosts file, broker.advertise on that host), or add this one",
    "tls(expired)": "renew the broker's certificate; if it is not too old, this host's clock is wrong (timedatectl)",
    "tls(client_cert)": "the broker wants a certificate of ours, signed by its authority (ssl_options.cacertfile): "
    "set tls.cert_file and tls.key_file",
    "tls(no_tls)": "that port speaks no TLS: name the one that does (5671), or ask for none (amqp:// in broker.url, "
    "peers.tls: off)",
    "amqp": "what listens there speaks no AMQP 0-9-1: check the port",
    "amqp(tls)": "that port speaks TLS: write amqps:// in broker.url, or peers.tls: on for the brokers of other hosts",
    "amqp(slow)": "the broker looks this host's name up before it greets: give it DNS that answers, or /etc/hosts",
    "auth": "the broker refused user or password: compare them with the broker's (rabbitmqctl authenticate_user)",
    "guest_remote": "RabbitMQ lets guest in from loopback only: make an account (rabbitmqctl add_user) and set it",
    "vhost": "give the account the virtual host (rabbitmqctl set_permissions -p VHOST USER ...), or correct its name",
    "exchange": "no mirosd of this system declared its exchanges there: start mirosd on that host, compare `system`",
    "unproved": "no mirosd with our key says that this broker is its own, so our account is not sent there: start "
    "mirosd on that host and let UDP 27672 through, or list the address (mirosctl hosts add)",
    "lost": "the connection broke; it is tried again",
    "internal": "mirosd met what nobody foresaw, and tries again: its log says what (journalctl -u mirosd); report it",
    "closed": "the broker closed the connection; its log says why",
    "blocked": "the broker is out of memory or disk: see rabbitmqctl status, free some",
    # stages of proving a peer
    "daemon": "its broker is there and its mirosd is not: start mirosd on that host",
    "daemon(silent)": "its mirosd took the challenge and did not answer: see its log there, restart it",
    "key": "the keys differ: give both hosts the same mesh.key",
    "no_key": "do it on a host that has the network's key, or lay that down here beside the others and restart mirosd",
    "version": "the two daemons share no protocol version: update the older one",
    "system": "that host belongs to another mesh: compare `system` in both configurations",
    "self": "the address is this host's own; nothing to do",
    "clone": "two hosts run on copies of one state directory; the one that started last draws a new node id by itself",
    "no_broker": "its mirosd answers, and its broker serves its own host alone: set broker.advertise there, or let "
    "RabbitMQ listen on the LAN",
    # states of a peer
    "suspect(broker)": "the link to its broker is down, and is tried again: mirosctl scout with its address tells why",
    "crashed": "its mirosd ended without a farewell: see its log there (journalctl -u mirosd), and start it again",
    "silent": "it sends no heartbeats: check that the host is up, and the network between",
    "one-way(in)": "it is heard, and what we send does not reach it: try mirosctl scout with its address",
    "one-way(out)": "it is reached, and not heard: try mirosctl scout there, with the address of this host",
    "alien": "nobody listed or found it, and discovery.aliens is deny: list it, if you know it (mirosctl hosts add)",
    "quarantined": "nobody listed or found it, and discovery.aliens is quarantine: mirosctl peers allow, if you know "
    "it",
    # reasons of the daemon itself
    "chart_stuck": "systemd ends mirosd and starts it anew by its watchdog; without it, restart mirosd; report the "
    "line of the log (journalctl -u mirosd MIROSD_EVENT=chart_stuck)",
    "clock_skew": "a host's clock is more than 60 s ahead: let NTP set it (timedatectl set-ntp true)",
    "hosts_ignored": "broker.url memory:// is for one host alone: name a RabbitMQ there, or list no hosts",
    "memory": "broker.url memory:// is for one host alone: name a RabbitMQ there, or list no hosts",
    "hosts_file": "correct the hosts file, or if it cannot be written the state directory's space and owner; the last "
    "good one stays in force until then",
    "lan_cache": "the LAN is searched instead; check the state directory's space and owner, or mirosctl cache flush",
    "lan_port_taken": "stop the other program, or set another discovery.lan.port on every host; until then this host "
    "finds others, and their searches do not find it",
    "deaf": "free memory or disk on this host (rabbitmqctl status tells which alarm), or restart its RabbitMQ",
    "peers_file": "the last good list stays in force; check the state directory's space and owner",
    "too_many_watches": "end a watch that is on (mirosctl trace, spy, record), or wait until one ends",
    "keys_not_stored": "keys stay as they are until they can be stored: check the state directory's space and owner",
    "too_many_recalls": "end one of the `mirosctl charts --watch`, or ask again in a minute",
    "node_conflict": "two hosts share one state directory's identity: remove node.json on the copy and restart it",
}


def cure(code: str) -> str:
    """Give the advice for a code ("tcp(refused)", "broker tcp(refused)", "tcp"), "" when there is none."""
    name = code.removeprefix("broker").lstrip(" _:")
    return _CURES.get(name) or _CURES.get(name.partition("(")[0], "")
