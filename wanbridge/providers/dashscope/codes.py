"""What DashScope's error codes mean, whatever their spelling.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

import re

from wanbridge.errors import (
    AuthenticationFailed,
    ContentRefused,
    CreditExhausted,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)

# Codes as `plain` has them, for their spelling varies; each also stands for all that follow it
# with a dot (error-code). "throttling" does so with any status (third parties).
_CODES: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = tuple(
    (re.compile(rf"({codes})(\..*)?"), cls)
    for codes, cls in (
        ("throttling.*|limitrequests|insufficientquota", RateLimited),
        # Their statuses mislead: 400, 403 and three times 429.
        (r"arrearage|allocationquota\.freetieronly", CreditExhausted),
        ("commoditynotpurchased|(pre|post)paidbilloverdue", CreditExhausted),
        ("datainspectionfailed|ipinfringementsuspect", ContentRefused),
        ("(customrole|faqrule)blocked", ContentRefused),
        ("invalidapikey|not authorized", AuthenticationFailed),
        (r"((model|workspace|endpoint|app)\.)?accessdenied", AuthenticationFailed),
        ("invalid(parameter|url|image|file)|badrequest", RequestRejected),
        ("unsupportedoperation|conflict|modelnotsupported", RequestRejected),
        (r"(model|workspace)?notfound|model\.notexist", RequestRejected),
        ("internalerror|systemerror|modelservicefailed|rewritefailed", ProviderUnavailable),
        ("requesttimeout|gatewaytimeout|modelservingerror", ProviderUnavailable),
        ("(model|service)unavailable", ProviderUnavailable),
    )
)


def class_of_code(code: str) -> type[ProviderError] | None:
    """The class of an error code, None if it is none of the known."""
    return next((cls for codes, cls in _CODES if codes.fullmatch(plain(code))), None)


def plain(code: str) -> str:
    """``data_inspection_failed`` and ``DataInspectionFailed`` are the same code."""
    return code.replace("_", "").lower()
