"""Machines that bring their own system: how they are started, when they run, how they are ended."""
