"""Snapshots and suspended machines: moments on disk, with all that a machine needs to go on from them."""
