"""Looking after a registry of files: is it whole, two into one, what may go, out of it."""
