"""Moments: what machines are at an instant, captured from those that run and gone on from by others."""
