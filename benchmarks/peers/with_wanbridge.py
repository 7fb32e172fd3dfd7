"""One logical image request through a route of wanbridge; runs in an environment of its own.

    python with_wanbridge.py '{"one": URL, "two": URL, "timeout": 2, "on_uncertain": "stop"}'

Prints a JSON object. Both accounts are EmpirioLabs', whose reply with the pictures at once has
the shape of OpenAI's.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

from wanbridge import Client, Registry, Timeouts
from wanbridge.errors import CallFailed, WanbridgeError
from wanbridge.routing.route import Route
from wanbridge.transport.library import httpx


def main(given: dict[str, Any]) -> dict[str, Any]:
    """Ask for one picture by a route of two accounts; how that ended."""
    registry = Registry()
    accounts = [
        registry.build("empiriolabs", account=name, api_key="k", base_url=given[name])
        for name in ("one", "two")
    ]
    route = Route(("one", "two"), on_uncertain=given["on_uncertain"])
    timeouts = Timeouts(connect_timeout=given["timeout"], read_timeout=given["timeout"])
    urls: list[str | None] = []
    error: WanbridgeError | None = None
    with Client(accounts, timeouts=timeouts) as client:
        began = time.perf_counter()
        try:
            result = client.generate("a red kite", route=route)
            urls = [image.url for image in result.images]
        except WanbridgeError as exc:
            error = exc
        seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "urls": urls,
        "error": type(error).__name__ if error else None,
        "charge": error.charge.value if isinstance(error, CallFailed) else None,
        "message": str(error) if error else None,
        "versions": {name: version(name) for name in ("wanbridge", httpx.__name__)},
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
