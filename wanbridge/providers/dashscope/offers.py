"""What DashScope sells: both models, their sizes, and what its pages say of limits and rates.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from wanbridge.adapters.offers import Limits, Offer, PictureLimits, RateLimits
from wanbridge.errors import Charge
from wanbridge.model.size_rules import SizeLimits

_SOURCE = (
    "https://help.aliyun.com/zh/model-studio/wan-image-generation-and-editing-api-reference, "
    "read 2026-11-20"
)
# "size": total pixels and a ratio from 1:8 to 8:1; no limit on a side (api).
_UP_TO_2K = SizeLimits(tiers=("1K", "2K"), min_area=768 * 768, max_area=2048 * 2048, source=_SOURCE)
_UP_TO_4K = SizeLimits(
    tiers=("1K", "2K", "4K"), min_area=768 * 768, max_area=4096 * 4096, source=_SOURCE
)
# "image" (api). An alpha channel is "not supported"; what becomes of one is not said.
_PICTURES = PictureLimits(
    formats=frozenset({"image/png", "image/jpeg", "image/bmp", "image/webp"}),
    min_side=240,
    max_side=8000,
    max_ratio=8,
    source=_SOURCE,
)
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
        edit=_UP_TO_2K,
        set=_UP_TO_2K,
        source=_SOURCE,
        image_schemes=frozenset({"https", "http", "data", "oss"}),
        # However they come: above `_INLINE` of `uploads` they are uploaded (api).
        data_bytes=20_000_000,
        pictures=_PICTURES,
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


OFFERS = (_offer("wan2.7-image", _UP_TO_2K), _offer("wan2.7-image-pro", _UP_TO_4K))
