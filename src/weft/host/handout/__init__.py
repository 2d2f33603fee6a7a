"""The hand-out: a small process that gives files over HTTP, to each machine those that are there for it.

It has the listening socket as an inherited descriptor, sees one folder, and in it knows a folder for each address. Who
asks is told by the address, to which a machine's port is held. It tells who boots that there is no IPv6 router to wait
for, too. It can write nothing, and outlives the daemon.

This package imports the standard library and itself only: in the walls it is all there is of Weft.
"""
