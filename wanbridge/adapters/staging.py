"""What a configured object store can do for a provider that takes pictures only as links."""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Limits
from wanbridge.adapters.urls import LOOPBACK

# Stands for a link in a message that is not sent: nothing is stored or signed for it.
LINK_SHOWN = "https://<storage>/<sha256>?<signature>"


@frozen(kw_only=True)
class Staging:
    """An object store, as far as fitting a request has to know it.

    Attributes:
        place: Its address, for messages: ``s3://bucket/prefix``.
        scheme: Of the links that it signs, ``https`` or ``http``; None if it signs none.
        here: Whether they lead to this machine, where only a sandbox can follow them.
    """

    place: str
    scheme: str | None = "https"
    here: bool = False

    def problem(self, adapter: Adapter, limits: Limits) -> str | None:
        """Why its links are of no use to *adapter*; None if the provider can read them."""
        if self.scheme is None:
            return f"storage {self.place} is of no help, as it has no links; s3, gs and az have"
        if self.here:
            # A sandbox stands for the provider as a store beside it does for one on the internet.
            if urlsplit(adapter.base_url).hostname in LOOPBACK:
                return None
            return f"storage {self.place} is on this machine, where the provider cannot read it"
        if self.scheme not in limits.image_schemes:
            taken = ", ".join(sorted(limits.image_schemes))
            return f"storage {self.place} has {self.scheme}: links, not taken here; {taken}"
        return None
