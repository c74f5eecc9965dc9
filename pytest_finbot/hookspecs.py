"""What other plugins may say."""
