"""The library that speaks the API. Imports nothing that is slow to load."""
