"""Fabric files: YAML becomes rooms, and everything that is wrong with it is told at once, with its place. Pure."""
