"""Rooms made to match a fabric file: looked at, and changed step by step. What to do is decided in `weft.plan`."""
