"""What ``finbot doctor`` looks at. Each check does what a session would do, and tells what came of it."""
