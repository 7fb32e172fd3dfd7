"""Where EmpirioLabs is known, or thought, to vary; what tests may switch.

What each leaves open is from sections 3, 4, 5, 7 and 10 of our wire page on EmpirioLabs, read
2026-11-20.
"""

from __future__ import annotations

from typing import Final

from wanbridge.sandbox.dialect import Switch

_YES_NO: Final = (True, False)

SWITCHES: Final = (
    Switch("default_mode", "job", ("job", "result"), "what comes without sync; pages disagree"),
    Switch("accept_status", 200, (200, 201, 202), "HTTP status of a job that was accepted"),
    Switch(
        "poll_url",
        "relative",
        ("relative", "absolute", "foreign", "absent"),
        "how the envelope names the job; foreign is another host, to be refused",
    ),
    Switch("sync_seconds", 900, None, "longest that a sync call is held; the gateway: 900"),
    Switch("sync_late", "job", ("job", "cut"), "what comes then: the job, or a gateway's 504"),
    Switch("queue_seconds", 0, None, "seconds that every job is queued"),
    Switch("running_word", "processing", ("processing", "running"), "a job at work; both seen"),
    Switch("done_word", "completed", ("completed", "succeeded"), "a job that is done; both seen"),
    Switch("cancel_word", "cancelled", ("cancelled", "canceled"), "spelling is not documented"),
    Switch("cancel_route", "post", ("post", "delete", "none"), "POST .../cancel, DELETE, neither"),
    Switch("job_error_code", "string", ("string", "number"), "code of a failed job; both seen"),
    Switch("result_shape", "data", ("data", "images", "url"), "where a result has its images"),
    Switch("result_usage", True, _YES_NO, "whether results have usage"),
    Switch("item_details", False, _YES_NO, "type, size and prompt beside each image's URL"),
    Switch("b64_in_jobs", True, _YES_NO, "whether b64_json works in jobs; else they have URLs"),
    Switch(
        "error_shape",
        "object",
        ("object", "string", "detail", "message"),
        "the documented envelope, error as plain text, or text under another name",
    ),
    Switch("failed_charge", False, _YES_NO, "whether a failed job costs; not documented"),
    Switch("set_images", 12, None, "most images the model makes of a set, whatever was allowed"),
    Switch("edit_aspect", "honoured", ("honoured", "ignored"), "aspect_ratio in an edit"),
    Switch("boxes", "either", ("either", "flat"), "depth of bbox_list: also upstream's, or not"),
    Switch("unknown_fields", "refuse", ("refuse", "ignore"), "fields the page does not have"),
    Switch(
        "template_code",
        "template_not_found",
        ("template_not_found", "template_model_unsupported"),
        "why every template is refused",
    ),
    Switch("requests_per_minute", 0, None, "0 is no limit; the provider's own is 50"),
)
