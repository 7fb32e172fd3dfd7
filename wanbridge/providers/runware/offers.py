"""What Runware sells: both models, their sizes by side, and what its pages say of limits.

Sources as in `adapter`.
"""

from __future__ import annotations

from attrs import evolve

from wanbridge.adapters.offers import Limits, Offer
from wanbridge.adapters.wan_limits import MAKER, PICTURES
from wanbridge.errors import Charge
from wanbridge.model.size_rules import SizeLimits

_PAGE = "https://runware.ai/docs/models/alibaba-wan2-7-image"
_FIELDS = frozenset({
    "images", "regions", "n", "sequential", "size", "thinking", "color_palette", "seed",
    "output_format", "inline", "callback_url",
})  # fmt: skip
# Model page: each side 768 to 2048 in steps of 16, in every mode. No rule on area or ratio.
_TO_2048 = SizeLimits(
    tiers=("1K", "2K"),
    min_side=768,
    max_side=2048,
    exact_step=16,
    source=f"{_PAGE}, read 2026-11-20",
)
# The pro page could be read in part: that it has the same parameters and modes is its own word,
# its sizes are what three public integrations agree they read there. Upstream ends sets at 2K.
_PRO_2048 = evolve(_TO_2048, source=f"{_PAGE}-pro, recorded by third parties, read 2026-11-20")
_PRO_4096 = evolve(_PRO_2048, tiers=("1K", "2K", "4K"), max_side=4096)
# The formats of inline pictures stand in an older reference. The rest is upstream's, as the maker's
# page has it (read 2026-11-20): a generation that fails on it may cost money here.
_PICTURES = evolve(
    PICTURES,
    formats=frozenset({"image/png", "image/jpeg", "image/webp"}),
    source=f"https://runware.ai/docs and {MAKER}",
)
_LIMITS = Limits(
    text=_TO_2048,
    edit=_TO_2048,
    set=_TO_2048,
    source=_TO_2048.source,
    prompt=3000,
    prompt_required=True,
    image_schemes=frozenset({"https", "http", "data", "ref"}),
    data_bytes=20_000_000,  # upstream's; Runware publishes none of its own
    pictures=_PICTURES,
    missing_grace=30.0,  # users' advice, none is documented
    # No rates: 2 to 4 at a time is advice (docs/platform/rate-limits, read 2026-11-20).
)
OFFERS = (
    Offer(
        model="wan2.7-image",
        alias="alibaba:wan@2.7-image",
        fields=_FIELDS,
        limits=_LIMITS,
        failure_charge=Charge.MAYBE,  # "not charged" is third parties' word only
    ),
    Offer(
        model="wan2.7-image-pro",
        alias="alibaba:wan@2.7-image-pro",
        fields=_FIELDS,
        limits=evolve(
            _LIMITS, text=_PRO_4096, edit=_PRO_2048, set=_PRO_2048, source=_PRO_2048.source
        ),
        failure_charge=Charge.MAYBE,
    ),
)
