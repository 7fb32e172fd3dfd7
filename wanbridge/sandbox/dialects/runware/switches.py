"""Where Runware is known, or thought, to vary; what tests may switch.

What each leaves open is from the pages named in `server` and from the source of the official
clients, read 2026-11-20.
"""

from __future__ import annotations

from typing import Final

from wanbridge.sandbox.dialect import Switch

SWITCHES: Final = (
    Switch(
        "ack",
        "element",
        ("element", "empty"),
        "an async submit is acknowledged by one element per task, or by data: []",
    ),
    Switch(
        "running_word",
        "processing",
        ("processing", "pending", "queued"),
        "status while running; older editions and clients know the others",
    ),
    Switch("progress", False, (False, True), "running elements carry progress, 0 to 100"),
    Switch(
        "missing_image",
        "error",
        ("error", "absent"),
        "an image that does not come has an error entry, or is just not there",
    ),
    Switch(
        "failed_image",
        "errors",
        ("errors", "data"),
        "on polling a failure stands in errors, or in data with a nested error",
    ),
    Switch(
        "unknown_task",
        "empty",
        ("empty", "error"),
        "getResponse for an unknown UUID gives data: [], or taskNotFound; both reported",
    ),
    Switch(
        "sync_timeout",
        120,
        None,
        "seconds after which a held connection gets 504 failedTaskTimeout; work goes on",
    ),
    Switch("nsfw", False, (False, True), "what the safety check finds, where a task asks for one"),
    Switch(
        "webhook_form",
        "bare",
        ("bare", "wrapped"),
        "a webhook has one item at the top level, or inside data or errors; both reported",
    ),
    Switch(
        "dry_run",
        False,
        (False, True),
        "answer X-Runware-Dry-Run in a guessed shape; off: refuse the header, so that "
        "nobody takes a paid run for a dry one",
    ),
)
