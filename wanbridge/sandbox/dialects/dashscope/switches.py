"""Where DashScope is known, or thought, to vary: its regions, and what tests may switch.

Prices: https://help.aliyun.com/zh/model-studio/model-pricing (Beijing) and the provider's own
skill scripts (Singapore), read 2026-11-20 (wire page, 7). What each switch leaves open is from
the wire page's section 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from attrs import frozen

from wanbridge.sandbox.dialect import Switch
from wanbridge.sandbox.dialects.dashscope.body import PRO, STANDARD
from wanbridge.sandbox.dialects.dashscope.errors import BILLING, CONTENT, SERVER, THROTTLING


@frozen(kw_only=True)
class Region:
    """What depends on where the account is (7)."""

    id: str
    currency: str
    prices: Mapping[str, Decimal]


REGIONS: Final = {
    "singapore": Region(
        id="ap-southeast-1",
        currency="USD",
        prices={STANDARD: Decimal("0.03"), PRO: Decimal("0.075")},
    ),
    "beijing": Region(
        id="cn-beijing",
        currency="CNY",
        prices={STANDARD: Decimal("0.20"), PRO: Decimal("0.50")},
    ),
}

_YES_NO: Final = (True, False)

SWITCHES: Final = (
    Switch("region", "singapore", tuple(REGIONS), "whose prices; CNY in beijing, else USD"),
    Switch("rates", True, _YES_NO, "hold callers to the documented rates"),
    Switch("default_n", 4, (4, 1), "images outside sets if n is absent; pages disagree"),
    Switch("set_images", 12, None, "most images the model makes of a set, whatever n allows"),
    Switch("choices", "Nx1", ("Nx1", "1xN"), "choices x images in each, outside sets"),
    Switch("text_item", False, _YES_NO, "a text item before the images of each choice"),
    Switch("usage", True, _YES_NO, "whether replies have usage"),
    Switch("times", True, _YES_NO, "whether tasks have times"),
    Switch("failed_shape", "nested", ("nested", "top"), "where a FAILED task has its code"),
    Switch("late_checks", False, _YES_NO, "async: wrong images and parameters fail the task"),
    Switch("errors_in_200", False, _YES_NO, "refusals come with HTTP 200"),
    Switch("unknown_model", 404, (404, 400), "ModelNotFound or InvalidParameter"),
    Switch("unknown_task", 200, (200, 404), "state UNKNOWN or NotFound"),
    Switch("visible_after", 0, None, "seconds during which a new task is UNKNOWN"),
    Switch("queue_seconds", 0, None, "seconds that every async task is PENDING"),
    Switch("sync_seconds", 300, None, "longest a sync call may take; 300 or 600"),
    Switch("uploads", True, _YES_NO, "whether the region has temporary uploads"),
    Switch("policy_seconds", 300, None, "life of an upload policy"),
    Switch("upload_megabytes", 100, None, "largest file that an upload policy allows"),
    Switch("throttling_code", "Throttling.RateQuota", tuple(THROTTLING), "how 429 is worded"),
    Switch("billing_code", "Arrearage", tuple(BILLING), "how an account that cannot pay is told"),
    Switch("content_code", "DataInspectionFailed", tuple(CONTENT), "how refused content is told"),
    Switch("failure_code", "InternalError.Algo", tuple(SERVER), "how a failed task is told"),
)
