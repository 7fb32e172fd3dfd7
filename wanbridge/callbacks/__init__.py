"""Receiving providers' callbacks, and waking the calls that wait for them."""
