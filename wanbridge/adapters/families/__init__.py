"""Base classes between `Adapter` and a provider: what several providers' dialects really share."""
