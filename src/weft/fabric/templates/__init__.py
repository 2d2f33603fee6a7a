"""Templates: moments of machines that have yet to become somebody, made, kept, and chosen for machines that start.

Nothing here changes a machine: `fabric.lifecycle` asks for a moment and goes on from it, or boots.
"""
