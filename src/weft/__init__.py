"""Weft: a microVM fabric. Small machines on QEMU, and a network whose physical structure changes under traffic."""

__version__ = "0.1.0"
