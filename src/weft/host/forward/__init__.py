"""The forwarder: a small process that leads published ports of the host to a machine.

It has the listening sockets as inherited descriptors, made in the host's network namespace, and runs in the fabric's,
so what it connects leads to the machine. It knows nothing else, holds no privilege, and outlives the daemon.

This package imports the standard library and itself only, and little of that: in the walls it is all there is of Weft,
and it runs without site-packages. One epoll loop of its own, since asyncio would double its memory.
"""
