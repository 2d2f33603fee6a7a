"""Roots of Plan 9 machines: taken from tars and OCI images, kept as one file that root servers read.

Nothing of it is ever unpacked on the host: contents go from the layers into the pack, paths into its index.
"""
