"""Sizes of elastic machines: how memory is laid out, and what makes one grow and shrink."""
