"""The host's ledger, kept: what rooms and machines were promised and have, by their records."""
