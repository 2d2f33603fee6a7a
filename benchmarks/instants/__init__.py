"""The sections of the benchmark `instant`."""
