"""Accepted generations and receipts of submits, as values another process can go on with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.stored import StoredValue


@frozen(kw_only=True)
class Job(StoredValue):
    """An accepted generation as a plain value: another process can wait for it.

    Attributes:
        provider: Adapter name.
        account: Name of the configured account.
        base_url: Where it was accepted, and is polled.
        id: The provider's task id.
        request: What was asked, ``data:`` URIs by their SHA-256.
        submitted_at: When it was accepted, aware.
        key: The key of the logical call.
        state: What the adapter needs besides; private to it, JSON-safe.
        collect_by: When the provider forgets it, aware; None if undocumented.
    """

    provider: str
    account: str
    base_url: str
    id: str
    request: ImageRequest
    submitted_at: datetime
    key: str
    state: Mapping[str, Any] = field(factory=dict)
    collect_by: datetime | None = None


@frozen(kw_only=True)
class Receipt(StoredValue):
    """What is known of a submit, before its outcome and whatever its outcome.

    Attributes:
        provider, account, base_url, key, request: As in `Job`.
        digest: SHA-256 of the body that was sent, hex.
        first_sent_at, last_sent_at: Aware; they differ where the same key was sent again.
        at_risk: What it costs if it was accepted; None if unknown, which is not zero.
    """

    provider: str
    account: str
    base_url: str
    key: str
    request: ImageRequest
    digest: str
    first_sent_at: datetime
    last_sent_at: datetime
    at_risk: Money | None = None
