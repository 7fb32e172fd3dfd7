"""The addresses that providers call: signed, one for each account and logical call.

An address is ``{base_url}/{adapter}/{token}``. The token is base64url of an HMAC-SHA256, the first
16 bytes of the call's digest, and the account; the HMAC is over the adapter's name, too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from attrs import frozen

from wanbridge.adapters.base import Adapter
from wanbridge.engine.effects import call_of
from wanbridge.errors import ConfigurationError, UnknownProvider

SECRET_LEAST = 16

_MAC, _CALL = hashlib.sha256().digest_size, 16


@frozen(kw_only=True)
class Addressee:
    """Whom an address is for: the adapter that reads the callback, and the call it is about."""

    adapter: Adapter
    call: str


class Addresses:
    """Makes addresses, and verifies those that are called.

    Args:
        base_url: Public https address under which calls arrive, without the last two steps.
        secret: At least 16 bytes; random if None.
        adapters: By account.

    Raises:
        ConfigurationError: *base_url* is not https, or *secret* is too short.
    """

    def __init__(
        self, base_url: str, secret: str | bytes | None, adapters: Mapping[str, Adapter]
    ) -> None:
        self.base_url = _checked_url(base_url)
        self._secret = _checked_secret(secret)
        self._adapters = adapters

    def url_for(self, account: str, key: str) -> str:
        """Where the provider of *account* is to call for the logical call *key*.

        Raises:
            UnknownProvider: there is no such account here.
        """
        if (adapter := self._adapters.get(account)) is None:
            known = ", ".join(self._adapters) or "none"
            raise UnknownProvider(f"no account is called {account!r}; there are: {known}")
        call = bytes.fromhex(call_of(key))
        raw = self._mac(adapter, call) + call + account.encode()
        token = base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
        return f"{self.base_url}/{adapter.name}/{token}"

    def addressee(self, name: str, token: str) -> Addressee | None:
        """Whom *token* at adapter *name* is for; None if it was not signed here, or for another."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            account = raw[_MAC + _CALL :].decode()
        except (binascii.Error, ValueError):
            return None
        mac, call = raw[:_MAC], raw[_MAC : _MAC + _CALL]
        adapter = self._adapters.get(account)
        if adapter is None or adapter.name != name:
            return None
        if not hmac.compare_digest(mac, self._mac(adapter, call)):
            return None
        return Addressee(adapter=adapter, call=call.hex())

    def _mac(self, adapter: Adapter, call: bytes) -> bytes:
        # The name holds no NUL and the call is of one length: no two addresses sign the same.
        message = b"\0".join([b"wanbridge.callbacks", adapter.name.encode(), call])
        return hmac.digest(self._secret, message + adapter.account.encode(), "sha256")


def _checked_url(url: str) -> str:
    """A base URL without its last slash; providers call https only."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(f"callbacks: base_url {url!r} is not like https://host/path")
    return url.rstrip("/")


def _checked_secret(secret: str | bytes | None) -> bytes:
    if secret is None:
        return secrets.token_bytes(32)
    raw = secret.encode() if isinstance(secret, str) else secret
    if len(raw) < SECRET_LEAST:
        # The secret is not shown.
        raise ConfigurationError(f"callbacks: the secret has fewer than {SECRET_LEAST} bytes")
    return raw
