"""What the store remembers of rooms, machines, networks, inserts, volumes and pools.

A record is written before the act that it speaks of, so a daemon that dies at any instant leaves either the intention
or the result behind, and the next one goes on from there.
"""
