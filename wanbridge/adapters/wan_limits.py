"""What Wan 2.7 takes by its maker's page: resellers state the same of their own, or nothing.

An offer that rests on a reseller's own page gives that as the ``source``.
"""

from __future__ import annotations

from attrs import evolve

from wanbridge.adapters.offers import PictureLimits
from wanbridge.model.size_rules import SizeLimits

MAKER = (
    "https://help.aliyun.com/zh/model-studio/wan-image-generation-and-editing-api-reference, "
    "read 2026-11-20"
)
# "size": total pixels and a ratio from 1:8 to 8:1; no limit on a side.
UP_TO_2K = SizeLimits(tiers=("1K", "2K"), min_area=768 * 768, max_area=2048 * 2048, source=MAKER)
UP_TO_4K = evolve(UP_TO_2K, tiers=("1K", "2K", "4K"), max_area=4096 * 4096)
# "image", without its list of formats.
PICTURES = PictureLimits(min_side=240, max_side=8000, max_ratio=8, source=MAKER)
