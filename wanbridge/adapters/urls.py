"""Base URLs as settings give them, checked."""

from __future__ import annotations

from urllib.parse import urlsplit

from wanbridge.errors import (
    ConfigurationError,
)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def checked_url(url: str, setting: str = "base_url", *, keys: str = "keys go into api_key") -> str:
    """The URL of a setting without its last slash; https, or http on this machine.

    Args:
        keys: Where a key belongs that may have been put into the URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"{setting} is not an https URL like https://host/v1") from None
    # Neither is shown: a key may stand there by mistake.
    if parts.username or parts.password:
        raise ConfigurationError(f"{setting} holds a user name or password; {keys}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{setting} holds a query or fragment; {keys}")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ConfigurationError(f"{setting} {url!r} is not an https URL like https://host/v1")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigurationError(f"{setting} {url!r}: plain http is for this machine only")
    return url.rstrip("/")
