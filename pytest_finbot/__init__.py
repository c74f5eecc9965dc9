"""Regression testing of trading backtests, as a pytest plugin.

The nouns of the house are in :mod:`pytest_finbot.contracts`; users' engines and
strategies import them from there. Importing this package imports nothing else.
"""

__version__ = "0.1.0"
