"""What EmpirioLabs sells: both variants of one model, and what its pages say of limits and rates.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from attrs import evolve

from wanbridge.adapters.offers import Limits, Offer, RateLimits
from wanbridge.adapters.wan_limits import PICTURES
from wanbridge.errors import Charge
from wanbridge.model.size_rules import SizeLimits

_SOURCE = "https://docs.empiriolabs.ai/models/wan2-7-image, read 2026-11-20"
_FORMATS = frozenset({"image/jpeg", "image/png", "image/bmp", "image/webp"})
# "resolution", "custom_width", "custom_height": 4K and more than 2048 is for pro and text (model).
_TO_2048 = SizeLimits(tiers=("1K", "2K"), min_side=768, max_side=2048, source=_SOURCE)
_TO_4096 = evolve(_TO_2048, tiers=("1K", "2K", "4K"), max_side=4096)
# What "aspect_ratio" takes; with images no page says whether it has effect; pixels have.
RATIOS = frozenset({"16:9", "1:1", "9:16", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5"})
_FIELDS = frozenset(
    {"images", "regions", "n", "sequential", "size", "color_palette", "seed", "watermark"}
)


def _limits(text: SizeLimits) -> Limits:
    return Limits(
        text=text,
        edit=_TO_2048,
        set=_TO_2048,
        source=_SOURCE,
        prompt_required=True,
        image_schemes=frozenset({"https", "http"}),  # "URLs"; data: URIs are not mentioned (model)
        # JPEG, PNG, BMP or WEBP, up to 20 MB each (model).
        pictures=evolve(PICTURES, formats=_FORMATS, source=_SOURCE),
        # 50 requests a minute for all keys of an account (limits). That polls count is an
        # inference, and the shares are ours.
        rates=RateLimits(creates=15 / 60, polls=35 / 60),
    )


OFFERS = (
    Offer(
        model="wan2.7-image",
        alias="wan2.7-image",
        fields=_FIELDS,
        limits=_limits(_TO_2048),
        ignored={"thinking": "thinking has effect only with wan2.7-image-pro here"},  # model
        failure_charge=Charge.MAYBE,  # not stated (billing)
    ),
    Offer(
        model="wan2.7-image-pro",
        alias="wan2.7-image-pro",
        fields=_FIELDS | {"thinking"},
        limits=_limits(_TO_4096),
        failure_charge=Charge.MAYBE,
    ),
)
