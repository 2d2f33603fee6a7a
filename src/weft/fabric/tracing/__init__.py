"""Tracing packets: a room as it is, a real packet, and what firewalls say of it while it passes."""
