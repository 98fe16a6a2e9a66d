"""One file for each verb: its options, its question to the daemon, its answer for people."""
