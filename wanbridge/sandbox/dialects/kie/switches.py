"""Where KIE is known, or thought, to vary; what tests may switch.

What each leaves open is from sections 1, 4, 5, 6, 9 and 10 of our wire page on KIE, read
2026-11-20.
"""

from __future__ import annotations

from typing import Final

from wanbridge.sandbox.dialect import Switch

_YES_NO: Final = (True, False)

SWITCHES: Final = (
    Switch(
        "error_style",
        "body",
        ("body", "http"),
        "errors come with HTTP 200, but for 429, or the HTTP status is their code",
    ),
    Switch("message_key", "msg", ("msg", "message"), "how replies name their message"),
    Switch("bad_input", 422, (422, 500), "code for a create that breaks a rule; 500 seen live"),
    Switch(
        "mode_conflicts",
        "refuse",
        ("refuse", "ignore"),
        "fields that do not belong to the mode; not documented",
    ),
    Switch("rates", True, _YES_NO, "hold the account to 20 creates in 10 seconds"),
    Switch(
        "state",
        "active",
        ("active", "key_limit", "disabled", "maintenance"),
        "creates get 433 or 505, or every call gets 455",
    ),
    Switch("null_seconds", 0, None, "seconds after create when recordInfo is 422 'is null'"),
    Switch("unknown_task", 422, (422, 404), "code for a task that does not exist"),
    Switch(
        "result_shape",
        "string",
        ("string", "object", "response"),
        "resultJson is text or, as clients have met, an object; or there is a response instead",
    ),
    Switch(
        "state_words",
        "market",
        ("market", "older"),
        "success and fail, or completed and failed",
    ),
    Switch("fail_code", "501", ("501", "INTERNAL_ERROR"), "failCode is a number or a word"),
    Switch("credits_consumed", True, _YES_NO, "whether ended tasks have creditsConsumed"),
    Switch("credits_4k", 12, None, "price of a 4K image; a client catalogue says 18"),
    Switch("link_hours", 24, None, "life of result URLs; 24 hours or 14 days"),
    Switch("nsfw", False, _YES_NO, "what the filter finds, where nsfw_checker turns it on"),
    Switch(
        "callback_frame",
        "market",
        ("market", "guide"),
        "callbacks look like recordInfo, or as in the signature guide",
    ),
    Switch("signed", True, _YES_NO, "whether the account has a webhook key"),
)
