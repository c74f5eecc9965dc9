"""What is wrong or odd about prices, one kind of question a module; ``quality`` asks them all."""
