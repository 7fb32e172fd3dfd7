"""Routes over several accounts: ranking, failover, hedging, health, and one purchase."""
