"""mirosctl: asks the daemon of this host, and prints what it says.

It imports neither miros nor, before there is a table to print, rich: a command is over in the time that takes.
"""
