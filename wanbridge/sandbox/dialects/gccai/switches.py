"""Where GCCAI is known, or thought, to vary; what tests may switch.

Most of it is known from a twin: a service with the same pages, tables and prices. What each switch
leaves open is from sections 1, 3, 4, 5, 9 and 10 of our wire page on GCCAI, read 2026-11-20.
"""

from __future__ import annotations

from typing import Final

from wanbridge.sandbox.dialect import Switch

_NO_YES: Final = (False, True)

SWITCHES: Final = (
    Switch(
        "submit_shape",
        "A",
        ("A", "B", "C"),
        'an accepted submit: code "success" (the Wan page), code 200 (other pages), or no code '
        "and data as an object (the twin, newest version)",
    ),
    Switch("status_code", 200, (200, "200", "success"), "code of a status reply"),
    Switch("url_shape", "array", ("array", "string"), "url of an image; older pages: a string"),
    Switch(
        "images_shape", "objects", ("objects", "one"), "n objects of one URL, or one object of n"
    ),
    Switch("running_word", "processing", ("processing", "in_progress"), "a task at work"),
    Switch("failed_word", "failed", ("failed", "cancelled"), "how a task ends that gives nothing"),
    Switch(
        "failed_shape",
        "object",
        ("object", "string", "message"),
        "error of such a task: an object, text, or a message beside status",
    ),
    Switch("id_shape", "ulid", ("ulid", "unified"), "task_ and 26 characters, or an older form"),
    Switch("cost", True, (True, False), "whether completed tasks have cost and credits_cost"),
    Switch("expires_at", True, (True, False), "whether images have expires_at"),
    Switch("link_hours", 24, None, "life of result URLs; 24 on GCCAI's pages, 72 at the twin"),
    Switch("retention_days", 7, None, "after which a task is unknown; set by the operator"),
    Switch("unknown_task", 404, (404, 200), "HTTP status for an unknown task; 200 has code 404"),
    Switch("errors_in_200", False, _NO_YES, "every error comes with HTTP 200"),
    Switch(
        "error_shape",
        "error",
        ("error", "code", "success"),
        "an error inside HTTP 200: an error object, a code beside message, or success: false",
    ),
    Switch("retry_after", "seconds", ("seconds", "date"), "form of Retry-After"),
    Switch("data_images", True, (True, False), "whether data: URIs are taken; pages disagree"),
    Switch("prompt_check", False, _NO_YES, "the check before submission refuses every prompt"),
    Switch("idempotency", False, _NO_YES, "act on Idempotency-Key, as the twin does"),
    Switch("balance_status", 200, (200, 401), "HTTP status of a balance page without a good key"),
    Switch("balance_credits", False, _NO_YES, "balances have the twin's two more fields"),
    Switch("unlimited", False, _NO_YES, "the key has no quota: -1, and never 402"),
    Switch("upload_megabytes", 20, None, "largest file that may be uploaded; not documented"),
)
