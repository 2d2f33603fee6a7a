"""Machines that boot from their network: what there is for each, and the servers at its gateway."""
