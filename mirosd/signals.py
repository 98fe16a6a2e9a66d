"""Every signal of the daemon's charts, made at import and no later.

Public signals (upper case) cross charts; private ones (lower case) a chart posts to
itself, or a backend posts to the chart that asked. The names of the first two blocks
are those of the seed documents.
"""

from mirosd_client.shell import signals as _signals


class Public:
    """Published or posted between charts."""

    CACHE_FILE_READ = _signals.CACHE_FILE_READ  # anyone -> cache_file : read the file and publish CACHE
    CACHE_FILE_WRITE = _signals.CACHE_FILE_WRITE  # anyone -> cache_file : CacheWritePayload
    CACHE_FILE_DESTROY = _signals.CACHE_FILE_DESTROY  # owner -> cache_file : finish and leave the file alone
    CACHE = _signals.CACHE  # cache_file -> all : CacheReadPayload
    EVALUATE_HOSTS_FILE = _signals.EVALUATE_HOSTS_FILE  # anyone -> man_net : read the hosts files and scout again
    AMQP_CONSUMER_CHECK = _signals.AMQP_CONSUMER_CHECK  # scout -> all : AMQPConsumerCheckPayload
    REFACTOR_SEARCH = _signals.REFACTOR_SEARCH  # anyone -> a scout : search again (dict of the seeds)
    RECCE_LAN = _signals.RECCE_LAN  # anyone -> lan_recce : search the LAN
    LAN_RECCE_COMPLETE = _signals.LAN_RECCE_COMPLETE  # lan_recce -> lan : RecceCompletePayload
    LAN_HOST_ANSWERED = _signals.LAN_HOST_ANSWERED  # lan_recce -> peer : HostsSightedPayload, of a node to be proved
    LAN_HOST_FOUND = _signals.LAN_HOST_FOUND  # lan_recce -> lan : LanHostFoundPayload, a host was proved
    HOSTS_SIGHTED = _signals.HOSTS_SIGHTED  # lan, peer -> lan_recce : HostsSightedPayload, ask whether they are there
    LAN_CACHE_FLUSH = _signals.LAN_CACHE_FLUSH  # people -> lan : empty the LAN cache and search
    CONNECTION_DISCOVERY = _signals.CONNECTION_DISCOVERY  # lan, man_net -> producer_factory
    HOSTS_LISTED = _signals.HOSTS_LISTED  # man_net -> peer : HostsListedPayload, the manual hosts in force
    PEER_GONE = _signals.PEER_GONE  # peer -> all : PeerGonePayload, its queues are no longer owed anything
    PEER_ADRIFT = _signals.PEER_ADRIFT  # peer -> all : PeerGonePayload, its broker is away: prove its hosts again
    NODES_FORGOTTEN = _signals.NODES_FORGOTTEN  # peer -> lan_recce : NodesForgottenPayload, all that are to be ignored


class Private:
    """Posted by a chart to itself, or by a backend to its chart."""

    # cache_file
    file_read = _signals.file_read
    file_write = _signals.file_write
    read_successful = _signals.read_successful
    write_successful = _signals.write_successful
    file_access_failed = _signals.file_access_failed
    # scout
    try_to_connect_to_consumer = _signals.try_to_connect_to_consumer
    consumer_test_complete = _signals.consumer_test_complete
    # man_net
    network_evaluated = _signals.network_evaluated
    scout_again = _signals.scout_again
    host_added = _signals.host_added
    host_removed = _signals.host_removed
    # lan_recce
    recce_lan = _signals.recce_lan
    arp_time_out = _signals.arp_time_out
    ip_addresses_found = _signals.ip_addresses_found
    lan_recce_complete = _signals.lan_recce_complete
    ask_again = _signals.ask_again
    lan_answered = _signals.lan_answered
    lan_heard = _signals.lan_heard
    lan_changed = _signals.lan_changed
    # lan
    connections_discovered = _signals.connections_discovered
    cache_expired = _signals.cache_expired
    cache_due = _signals.cache_due
    # producer_factory
    ips_discovered = _signals.ips_discovered
    ready = _signals.ready
    # peer
    peer_heard = _signals.peer_heard
    peer_returned = _signals.peer_returned
    peer_routed = _signals.peer_routed
    peer_link_up = _signals.peer_link_up
    peer_link_down = _signals.peer_link_down
    peer_blocked = _signals.peer_blocked
    peer_left = _signals.peer_left
    peer_silent = _signals.peer_silent
    peer_expired = _signals.peer_expired
    peer_alien = _signals.peer_alien
    peer_gossip = _signals.peer_gossip
    peer_own_blocked = _signals.peer_own_blocked
    peer_own_free = _signals.peer_own_free
    peer_tombstone_over = _signals.peer_tombstone_over
    peer_forgotten = _signals.peer_forgotten
    peer_allowed = _signals.peer_allowed
