"""Recorded data: what a snapshot holds, reading a run's prices from it, comparing two sets of data."""
