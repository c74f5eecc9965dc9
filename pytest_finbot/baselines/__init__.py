"""Accepted results: keep, find, compare, explain, waive."""
