"""The library that speaks the API: one `Client` per fabric. Imports nothing that is slow to load; decides nothing."""

from weft.client.client import Client

__all__ = ["Client"]
