"""What a result is worth: books, returns, drawdowns, metrics, and the facts of the reports."""
