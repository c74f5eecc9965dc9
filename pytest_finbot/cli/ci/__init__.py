"""``finbot ci``: what a job of CI does beside running pytest. Nothing here runs a backtest by itself."""
