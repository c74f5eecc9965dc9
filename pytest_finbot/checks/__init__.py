"""What is asked of every result: the contract of engines, and that the books add up."""
