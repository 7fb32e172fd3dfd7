"""What Runware's error codes mean, by pattern.

Sources as in `adapter`.
"""

from __future__ import annotations

import re

from wanbridge.errors import (
    AuthenticationFailed,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)

# The catalogue is long and unstable, so the official client goes by pattern (sdk). Order matters:
# "providerInsufficientCredits" is about money, "invalidProviderContent" about content. In any
# letter case: the published "timeoutProvider" escapes the client's own "Timeout".
_CODES: tuple[tuple[str, type[ProviderError]], ...] = (
    ("content(policyviolation|moderation)|(sensitive|unsafe|nsfw)content", ContentRefused),
    ("(prompt|image)blocked|moderationfailed|invalidprovidercontent", ContentRefused),
    ("apikey|^unauthorized$|^authenticationfailed$|^token(expired|invalid)$", AuthenticationFailed),
    ("^(accountsuspended|organizationdisabled|forbidden)$|permission", AuthenticationFailed),
    ("credits|quota|balance|paymentrequired", CreditExhausted),
    ("ratelimit", RateLimited),
    ("timeout|^task(cancelled|failed)$", GenerationFailed),
    ("(notfound|expired)$", RequestRejected),
    ("^(internalservererror|(service|server)unavailable)$", ProviderUnavailable),
    ("^(unknownerror|standarderror|unrecognizedresponse)$", ProviderUnavailable),
    ("^provider|^inferenceerror$|^(processing|download|upload)failed$", GenerationFailed),
    ("^noavailableserver$|^model(unavailable|notready|disabled)$", GenerationFailed),
    ("^(invalid|missing|unsupported|conflict|duplicate|value|array|max)", RequestRejected),
    ("^(unknownparameter|incompatibleparameters|validationfailed)$", RequestRejected),
)
CONFLICT = "conflictTaskUUID"
UNKNOWN_TASK = re.compile("task.*(notfound|expired)$", re.IGNORECASE)


def class_of_code(code: str) -> type[ProviderError] | None:
    """By the first pattern that fits."""
    return next((c for p, c in _CODES if re.search(p, code, re.IGNORECASE)), None)
