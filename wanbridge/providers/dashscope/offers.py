"""What DashScope sells: both models, their sizes, and what its pages say of limits and rates.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from attrs import evolve

from wanbridge.adapters.offers import Limits, Offer, RateLimits
from wanbridge.adapters.wan_limits import MAKER, PICTURES, UP_TO_2K, UP_TO_4K
from wanbridge.errors import Charge
from wanbridge.model.size_rules import SizeLimits

# "image" (api). An alpha channel of a PNG is "not supported"; what becomes of one is not said.
_FORMATS = frozenset({"image/png", "image/jpeg", "image/bmp", "image/webp"})
_OPAQUE = frozenset({"image/png"})
# negative_prompt is listed by one page and called unsupported for 2.7 by the guide: not sold.
_FIELDS = frozenset(
    {
        *("images", "regions", "n", "sequential", "size", "thinking", "color_palette", "seed"),
        "watermark",
    }
)


def _offer(model: str, text: SizeLimits) -> Offer:
    limits = Limits(
        text=text,
        edit=UP_TO_2K,
        set=UP_TO_2K,
        source=MAKER,
        image_schemes=frozenset({"https", "http", "data", "oss"}),
        # However they come: above `_INLINE` of `uploads` they are uploaded (api).
        data_bytes=20_000_000,
        pictures=evolve(PICTURES, formats=_FORMATS, opaque=_OPAQUE),
        # Not documented; a fresh id may read UNKNOWN for some seconds.
        missing_grace=30.0,
        # Creates and running tasks for one model; polls for the whole account (rate-limit, tasks).
        rates=RateLimits(creates=5.0, running=5, polls=20.0),
    )
    return Offer(
        model=model,
        alias=model,
        fields=_FIELDS,
        limits=limits,
        output="png",  # api, "image": a link to a PNG
        failure_charge=Charge.NO,  # "nothing that fails is billed" (error-code)
    )


OFFERS = (_offer("wan2.7-image", UP_TO_2K), _offer("wan2.7-image-pro", UP_TO_4K))
