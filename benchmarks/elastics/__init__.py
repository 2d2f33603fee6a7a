"""The sections of the benchmark `elastic`."""
