"""Local prices, calendars and factor panels, checked. Start at :func:`store.load_market`."""
