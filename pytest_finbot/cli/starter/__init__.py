"""What ``finbot init`` writes into a repository."""
