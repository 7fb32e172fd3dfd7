"""KIE's callbacks: two frames, and a signature that covers the task's id but not the body.

Sources: docs.kie.ai/common-api/webhook-verification and, for the body, older Market pages, read
2026-11-20 (wire page, 6). How far apart the retries are is not documented: 1 s, doubling, is our
choice, and so is that a retry is the same request again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from wanbridge.sandbox.callbacks import Retries

# 15 s for an HTTP 200; three failed retries and it stops.
RETRIES: Final = Retries(first=1, factor=2, attempts=4, taken=range(200, 201), timeout=15)


def signature(task_id: str, at: int, key: str) -> Mapping[str, str]:
    """The two headers; *at* in seconds since 1970."""
    message = f"{task_id}.{at}".encode()
    digest = hmac.digest(key.encode(), message, hashlib.sha256)
    return {
        "X-Webhook-Timestamp": str(at),
        "X-Webhook-Signature": base64.b64encode(digest).decode(),
    }


def market_frame(code: int, record: Mapping[str, Any], *, left: int | float) -> dict[str, Any]:
    """What recordInfo says, and the credits.

    Args:
        record: The ``data`` of recordInfo, with ``creditsConsumed``.
        left: Credits that the account still has.
    """
    data = {name: value for name, value in record.items() if name != "creditsConsumed"}
    if code == 200:
        del data["failCode"], data["failMsg"]
    elif code == 501:
        data["failCode"] = "500"
    # Seconds, where recordInfo has milliseconds.
    data["costTime"] //= 1000
    data |= {"consumeCredits": record["creditsConsumed"], "remainedCredits": left}
    return {"code": code, "msg": _message(code), "data": data}


def guide_frame(code: int, task_id: str) -> dict[str, Any]:
    """As the signature guide has it."""
    data = {"task_id": task_id, "callbackType": "task_completed"}
    return {"taskId": task_id, "code": code, "msg": _message(code), "data": data}


def _message(code: int) -> str:
    return "task finished" if code == 200 else "task failed"
