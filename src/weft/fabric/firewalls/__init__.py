"""Firewalls: what they say of themselves, and changes of their settings for people who do not want to write lines.

What an answer of a firewall means, and what a change comes to, is decided in `weft.firewall`.
"""
