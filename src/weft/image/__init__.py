"""What machines boot: kernels, recipes and the stores that keep them. Starts no machine."""
