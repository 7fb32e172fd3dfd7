"""Where Crun is known, or thought, to vary; what tests may switch.

What each leaves open is from sections 2.3, 5 to 8 and 10 of our wire page on Crun, read
2026-11-20. The prices are ours: no page has any, hence the estimate endpoints.
"""

from __future__ import annotations

from typing import Final

from wanbridge.sandbox.dialect import Switch

_YES_NO: Final = (True, False)

SWITCHES: Final = (
    Switch("error_style", "http", ("http", "body"), "status as the code, or 200 with it inside"),
    Switch("images_field", "img_urls", ("img_urls", "input_urls", "images"), "its name in input"),
    Switch("count_field", "n", ("n", "num_outputs", "num_images"), "its name in input"),
    Switch(
        "size_fields",
        "resolution",
        ("resolution", "resolution_and_pixels", "size"),
        "tiers; also size as W*H; or either of them in size",
    ),
    Switch("fields", "guess", ("guess", "house"), "all of the guess, or the documented style only"),
    Switch("data_uris", False, _YES_NO, "whether images may be data: URIs"),
    Switch("price_pro", 12, None, "credits per image of the pro model; ours"),
    Switch("price_standard", 6, None, "credits per image of the other; ours"),
    Switch("estimates", "both", ("both", "new", "old"), "which estimate endpoints there are"),
    Switch("credits_type", "number", ("number", "string", "absent"), "credits in a task"),
    Switch("failed_charge", False, _YES_NO, "whether a failed task keeps its credits"),
    Switch("set_images", 12, None, "most images the model makes of a set, whatever n allows"),
    Switch("pending_seconds", 0, None, "seconds that every task is pending"),
    Switch("visible_after", 0, None, "seconds during which a new task is 404"),
    Switch("id_shape", "uuid", ("uuid", "text"), "36 characters, or other text; both seen"),
    Switch("ack", "full", ("full", "empty"), "whether a create tells the task_id it made"),
    Switch("omit_optional", False, _YES_NO, "leave out what is null in a task"),
    Switch("callback_body", "bare", ("bare", "wrapped"), "the task, or code, message and data"),
    Switch("service", "on", ("on", "maintenance", "disabled"), "455 for all, or 505 for creates"),
    Switch("key_state", "active", ("active", "disabled"), "a disabled key is 403"),
    Switch("edge", False, _YES_NO, "refuse the User-Agents that HTTP libraries have by default"),
)
