"""What results, jobs and receipts share: versioned JSON."""

from __future__ import annotations

from typing import Any, Final, Self

# Metadata of an attrs field that is no part of the stored form.
UNSTORED: Final[dict[str, Any]] = {"wanbridge.unstored": True}


class StoredValue:
    """What results, jobs and receipts share: versioned JSON, checked against their schema."""

    def to_json(self) -> str:
        """The value as JSON text with ``"version": 1``."""
        from wanbridge.model import codec

        return codec.dump(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidRequest: with every problem; a newer version is refused by name.
        """
        from wanbridge.model import codec

        return codec.load(cls, text)
