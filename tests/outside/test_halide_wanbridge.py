"""An outside adapter keeps wanbridge's contract."""

from __future__ import annotations

import hmac
import json

from halide_wanbridge import Halide
from wanbridge.testing import AdapterContract, Samples, reply
from wanbridge.wire import HttpRequest

KEY = "whk-of-the-account"
CALL = json.dumps({"task_id": "t-1", "status": "done"}).encode()


class TestHalide(AdapterContract):
    """What every adapter promises, asked of Halide's."""

    samples = Samples(
        accepted=reply({"task_id": "t-1", "status": "queued"}),
        running=[reply({"task_id": "t-1", "status": "running"}, retry_after="3")],
        done=reply(
            {
                "task_id": "t-1",
                "status": "done",
                "pictures": [{"url": "https://cdn.halide.example/1.png", "seed": 7}],
            }
        ),
        failed=[
            reply({"task_id": "t-1", "status": "failed", "code": "Moderated", "reason": "no"}),
            reply({"task_id": "t-1", "status": "failed"}),
        ],
        unknown=[reply({"code": "NoSuchTask", "message": "no such task"}, status=404)],
        refusals=[
            reply({"code": "NoCredit", "message": "the account is empty"}, status=402),
            reply({"code": "Busy", "message": "slow down"}, status=429, retry_after="2"),
        ],
        callbacks=(
            HttpRequest(
                method="POST",
                url="https://app.example.com/hooks/halide",
                headers={
                    "Content-Type": "application/json",
                    "Halide-Signature": hmac.digest(KEY.encode(), CALL, "sha256").hex(),
                },
                body=CALL,
            ),
        ),
        signing_keys=(KEY,),
    )

    def adapter(self) -> Halide:
        return Halide(api_key="sk-halide-test")
