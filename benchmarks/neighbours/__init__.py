"""What neighbours cost: the parts of benchmarks/neighbour.py."""
