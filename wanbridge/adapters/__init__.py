"""What every provider's adapter is built from: offers, steps, messages, fitting, registry. Pure."""
