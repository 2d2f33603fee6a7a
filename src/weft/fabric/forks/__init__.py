"""Forks: machines that go on from what others are, and whole rooms of them. Capturing moments is not done here."""
