"""One logical image request through LiteLLM's Router; runs in LiteLLM's own environment.

    python with_litellm.py '{"one": URL, "two": URL, "timeout": 2, "retries": 0}'

Prints a JSON object as its last line. ``retries`` is given to both of its layers, Router and
deployment; null leaves the defaults.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any


def main(given: dict[str, Any]) -> dict[str, Any]:
    """Ask for one picture by a fresh Router with one fallback; how that ended."""
    litellm: Any = import_module("litellm")
    litellm.suppress_debug_info = True
    retries = given["retries"]
    deployments = [
        {
            "model_name": name,
            "litellm_params": {
                "model": "openai/wan2.7-image",
                "api_key": "k",
                "api_base": given[provider],
                "timeout": given["timeout"],
                **({} if retries is None else {"max_retries": retries}),
            },
        }
        for name, provider in (("img", "one"), ("img2", "two"))
    ]
    router = litellm.Router(
        model_list=deployments,
        fallbacks=[{"img": ["img2"]}],
        **({} if retries is None else {"num_retries": retries}),
    )
    urls: list[str | None] = []
    error: Exception | None = None
    began = time.perf_counter()
    try:
        result = router.image_generation(prompt="a red kite", model="img")
        urls = [image.url for image in result.data]
    except Exception as exc:
        error = exc
    return {
        "seconds": time.perf_counter() - began,
        "urls": urls,
        "error": type(error).__name__ if error else None,
        "charge": None,
        "message": str(error) if error else None,
        "versions": {name: version(name) for name in ("litellm", "openai")},
    }


if __name__ == "__main__":
    print("\n" + json.dumps(main(json.loads(sys.argv[1]))))
