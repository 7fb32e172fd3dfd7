"""What Crun sells: both models, with the fields whose names in ``input`` are said.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import evolve

from wanbridge.adapters.offers import Limits, Offer, RateLimits
from wanbridge.errors import Charge
from wanbridge.model.size_rules import SizeLimits
from wanbridge.providers.crun.input import PARTS, WireName

# The page says 4K is sold, the bounds and the words for ratios are the maker's.
_SOURCE = "https://docs.crun.ai/models/wan/wan-2-7-image-pro and Wan's maker, read 2026-11-20"
_TO_2048 = SizeLimits(tiers=("1K", "2K"), min_side=768, max_side=2048, source=_SOURCE)
_TO_4096 = evolve(_TO_2048, tiers=("1K", "2K", "4K"), max_side=4096)
RATIOS = frozenset(
    {"1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "8:1", "1:8"},
)
_ALIASES = (
    ("wan2.7-image", "wan/2-7-image", _TO_2048),
    ("wan2.7-image-pro", "wan/2-7-image-pro", _TO_4096),
)


def offers_with(mapping: Mapping[str, WireName], said: Collection[str]) -> tuple[Offer, ...]:
    """The offers by which the fields *said* are sent, and the others of *mapping* refused."""
    reason = "Crun's name for it is a guess ({!r}); allow_unverified = true sends it"
    withheld = {
        name: reason.format(wire.name) for name, wire in mapping.items() if name not in said
    }
    return tuple(
        Offer(
            model=model,
            alias=alias,
            # The callback is documented and not part of ``input`` (model).
            fields=frozenset({*said, "size", "callback_url"} - PARTS),
            refused=withheld,
            limits=Limits(
                text=text,
                edit=_TO_2048,
                set=_TO_2048,
                source=_SOURCE,
                prompt_required=True,
                image_schemes=frozenset({"https", "http", "data"}),
                # Unpublished; what another client allows itself (clients).
                rates=RateLimits(creates=1.0),
            ),
            failure_charge=Charge.MAYBE,  # by the credits of the ended task (task)
            verified=all(wire.verified for wire in mapping.values()),
        )
        for model, alias, text in _ALIASES
    )
