"""What the adapters of third-party engines have in common."""
