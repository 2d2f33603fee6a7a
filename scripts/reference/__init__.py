"""Writes the generated parts of the reference from the code: routes, settings, error codes, event kinds.

A page is hand-written but for what lies between two markers; only that is replaced. Knows nothing of the command
line, whose page is written by `weft.cli.reference`.
"""
