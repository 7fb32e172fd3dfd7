"""What KIE sells: both models, their sizes in words, and what its pages say of limits.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from wanbridge.adapters.offers import Limits, Offer, RateLimits
from wanbridge.adapters.wan_limits import PICTURES
from wanbridge.errors import Charge
from wanbridge.model.size_rules import SizeLimits

_SOURCE = "https://docs.kie.ai/market/wan/2-7-image, read 2026-11-20"
# "resolution": 4K for text-to-image outside sets only (model). The standard model's list has it
# too, but its maker ends it at 2K.
_UP_TO_2K = SizeLimits(tiers=("1K", "2K"), source=_SOURCE)
_UP_TO_4K = SizeLimits(tiers=("1K", "2K", "4K"), source=_SOURCE)
# "aspect_ratio" (model, where the last one has blanks around it).
RATIOS = ("1:1", "16:9", "4:3", "21:9", "3:4", "9:16", "8:1", "1:8")
_FIELDS = frozenset(
    {
        *("images", "regions", "n", "sequential", "size", "thinking", "color_palette", "seed"),
        *("watermark", "callback_url"),
    }
)


def _offer(model: str, alias: str, text: SizeLimits) -> Offer:
    limits = Limits(
        text=text,
        edit=_UP_TO_2K,
        set=_UP_TO_2K,
        source=_SOURCE,
        prompt_required=True,
        image_schemes=frozenset({"https", "http", "data"}),
        data_bytes=20_000_000,  # the maker's as well
        pictures=PICTURES,  # likewise: KIE states no rule of its own
        missing_grace=60.0,  # as long as clients allow for "recordInfo is null"
        # 20 creates in 10 s and roughly 100 running tasks for an account (guide).
        rates=RateLimits(creates=2.0, running=100),
    )
    return Offer(
        model=model,
        alias=alias,
        fields=_FIELDS,
        limits=limits,
        failure_charge=Charge.MAYBE,  # no written policy; the credits of the last reply decide
    )


OFFERS = (
    _offer("wan2.7-image", "wan/2-7-image", _UP_TO_2K),
    _offer("wan2.7-image-pro", "wan/2-7-image-pro", _UP_TO_4K),
)
