"""Forks: machines that go on from what others are, and whole rooms of them. How moments are captured is in `moments`."""
