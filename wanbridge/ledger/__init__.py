"""Where purchases and budgets are kept: the protocol, in memory, in SQLite."""
