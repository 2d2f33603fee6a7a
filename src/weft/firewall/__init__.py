"""The firewall: what its settings mean, and the files that make a machine one. Pure; knows the model alone."""
