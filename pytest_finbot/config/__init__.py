"""Batch file -> validated models -> expanded runs. Start at :func:`expand.load_batch`."""
