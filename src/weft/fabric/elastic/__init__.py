"""Elastic machines: levers that change their sizes, and requests that use them."""
