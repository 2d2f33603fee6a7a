"""Roots of diskless Plan 9 machines: served at their gateways while they run, images with changes of each one's own."""
