"""Where GCCAI is known, or thought, to vary; what tests may switch.

Most of it is known from a twin: a service with the same pages, tables and prices. What each switch
leaves open is from sections 1, 3, 4, 5, 9 and 10 of our wire page on GCCAI, read 2026-11-20.
"""

from __future__ import annotations

from typing import Any, Final

from wanbridge.sandbox.dialect import Switch

_NO_YES: Final = (False, True)


def _switch(name: str, default: Any, values: tuple[Any, ...] | None, doc: str) -> Switch:
    return Switch(name=name, default=default, values=values, doc=doc)


SWITCHES: Final = (
    _switch(
        "submit_shape",
        "A",
        ("A", "B", "C"),
        'an accepted submit: code "success" (the Wan page), code 200 (other pages), or no code '
        "and data as an object (the twin, newest version)",
    ),
    _switch("status_code", 200, (200, "200", "success"), "code of a status reply"),
    _switch("url_shape", "array", ("array", "string"), "url of an image; older pages: a string"),
    _switch(
        "images_shape", "objects", ("objects", "one"), "n objects of one URL, or one object of n"
    ),
    _switch("running_word", "processing", ("processing", "in_progress"), "a task at work"),
    _switch("failed_word", "failed", ("failed", "cancelled"), "how a task ends that gives nothing"),
    _switch(
        "failed_shape",
        "object",
        ("object", "string", "message"),
        "error of such a task: an object, text, or a message beside status",
    ),
    _switch("id_shape", "ulid", ("ulid", "unified"), "task_ and 26 characters, or an older form"),
    _switch("cost", True, (True, False), "whether completed tasks have cost and credits_cost"),
    _switch("expires_at", True, (True, False), "whether images have expires_at"),
    _switch("link_hours", 24, None, "life of result URLs; 24 on GCCAI's pages, 72 at the twin"),
    _switch("retention_days", 7, None, "after which a task is unknown; set by the operator"),
    _switch("unknown_task", 404, (404, 200), "HTTP status for an unknown task; 200 has code 404"),
    _switch("errors_in_200", False, _NO_YES, "every error comes with HTTP 200"),
    _switch(
        "error_shape",
        "error",
        ("error", "code", "success"),
        "an error inside HTTP 200: an error object, a code beside message, or success: false",
    ),
    _switch("retry_after", "seconds", ("seconds", "date"), "form of Retry-After"),
    _switch("data_images", True, (True, False), "whether data: URIs are taken; pages disagree"),
    _switch("prompt_check", False, _NO_YES, "the check before submission refuses every prompt"),
    _switch("idempotency", False, _NO_YES, "act on Idempotency-Key, as the twin does"),
    _switch("balance_status", 200, (200, 401), "HTTP status of a balance page without a good key"),
    _switch("balance_credits", False, _NO_YES, "balances have the twin's two more fields"),
    _switch("unlimited", False, _NO_YES, "the key has no quota: -1, and never 402"),
    _switch("upload_megabytes", 20, None, "largest file that may be uploaded; not documented"),
)
