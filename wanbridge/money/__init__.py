"""Prices, quotes, comparisons, exchange rates and the spend guard. No I/O."""
