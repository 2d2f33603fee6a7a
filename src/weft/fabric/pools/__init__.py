"""Pools: copies of templates kept ready, and how one becomes a machine. What to start and end is for `plan.pool`."""
