"""9P2000, the file protocol of Plan 9: messages, a server of any tree of files, a client.

Knows nothing of machines, and imports nothing but Python's own library: its servers run in walls of their own.
"""
