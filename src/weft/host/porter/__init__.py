"""The porter: a small process at a network's gateway, where diskless machines ask for their roots.

It takes each connection and hands it to the server of the machine that it comes from. It knows nothing else, holds no
privilege, and outlives the daemon. Like the forwarder it imports the standard library and itself only.
"""
