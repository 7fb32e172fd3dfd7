"""Every exception that wanbridge raises on purpose.

::

    WanbridgeError
    ├── InvalidRequest (ValueError)          breaks the canonical schema; .problems with JSON paths
    ├── UnsupportedFeature (ValueError)      this provider cannot say it; .provider .field .reason
    ├── ConfigurationError                   a setting is missing or wrong
    │   ├── UnknownProvider
    │   └── MissingCredentials
    ├── BudgetExceeded                       .needed .left
    ├── CallbackRefused                      .status to answer
    ├── CallFailed                           .provider .charge .elsewhere .attempts .job .receipt
    │   ├── TransportFailed                  no HTTP reply, and surely nothing was bought
    │   ├── SubmissionUncertain              unknown whether it was bought; .receipt
    │   ├── DeadlineExceeded (TimeoutError)  accepted, still pending; .job
    │   ├── JobCancelled
    │   ├── DownloadFailed                   .image .expired; the picture itself is paid for
    │   ├── StorageFailed                    an object store did not take or sign what it was given
    │   └── ProviderError                    .status .code .request_id .retry_after .raw
    │       ├── AuthenticationFailed         stop
    │       ├── RequestRejected              stop
    │       ├── ContentRefused               stop
    │       ├── CreditExhausted              elsewhere
    │       ├── RateLimited                  elsewhere
    │       ├── ProviderUnavailable          elsewhere
    │       ├── GenerationFailed             elsewhere
    │       ├── TaskLost                     elsewhere
    │       └── MalformedResponse            elsewhere
    └── AllProvidersFailed (ExceptionGroup)  every candidate of a route was tried or skipped

*stop* and *elsewhere* say whether another provider could help (``.elsewhere``). ``.charge``
says whether the failed call cost money. Fields are positional, so that every error survives
pickling (process pools); what is set later (``.job``, ``.attempts``) travels along.

``str`` of each is one line that says what happened and why, see `one_line`; ``.message`` is as the
provider wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field, frozen

if TYPE_CHECKING:
    from wanbridge.model.jobs import Job, Receipt
    from wanbridge.model.money import Money
    from wanbridge.model.result import Attempt, Image


# Characters of a message, and of the words in it that are another's.
MESSAGE_MOST = 4000
WORDS_MOST = 500
# Scheme, user with password, host with path, query and fragment; also with slashes as in JSON.
_URL = re.compile(
    r"(\b[a-z][a-z0-9+.-]{0,20}:(?:\\?/){2})(?:[^\s/?#'\"<>]*@)?([^\s?#'\"<>]*)([?#][^\s'\"<>]*)?",
    re.IGNORECASE,
)
_DATA = re.compile(r"(\bdata:[\w.+-]+/[\w.+;=-]+,)[^\s'\"<>)\]}]+", re.IGNORECASE)


def one_line(text: str, most: int = MESSAGE_MOST) -> str:
    """*text* as a message may show it: in one line, cut, and without what a URL may hide.

    Of a URL neither user nor password, query or fragment are shown, of a ``data:`` URI no
    payload. Whatever does not print counts as a space.

    Args:
        most: Characters that are shown.
    """
    line = text[: 4 * most]  # a reply may have megabytes
    if "data:" in line:
        line = _DATA.sub(r"\1…", line)
    if ":/" in line or ":\\/" in line:
        line = _URL.sub(_without_secrets, line)
    if not line.isprintable():
        line = " ".join("".join(c if c.isprintable() else " " for c in line).split())
    whole = len(text) <= 4 * most and len(line) <= most
    return line if whole else f"{line[:most]}… ({len(text):,} characters)"


def _without_secrets(url: re.Match[str]) -> str:
    scheme, place, query = url.groups()
    # Of a sentence, not of the URL.
    ends = "" if query is None else query[len(query.rstrip(".,;:!?)]}")) :]
    return f"{scheme}{place}{ends}"


class Charge(StrEnum):
    """Whether a call cost money: no, unknown, or yes."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class WanbridgeError(Exception):
    """Base of everything wanbridge raises on purpose; ``str`` is always one line."""

    def __str__(self) -> str:
        return one_line(self._says())

    def _says(self) -> str:
        """What happened and why, before `one_line`."""
        return Exception.__str__(self)


@frozen
class Problem:
    """One thing wrong with a document.

    Attributes:
        path: JSON path of the value, ``$.images[0].regions[1]``.
        message: What was given and what would be right.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"

    def under(self, prefix: str) -> Problem:
        """The same problem, seen from a document that holds this one at *prefix*."""
        return Problem(prefix + self.path.removeprefix("$"), self.message)


def step(key: str | int) -> str:
    """One step of a JSON path: ``.name``, ``[3]``, or ``["an odd name"]``."""
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if key.replace("-", "_").isidentifier() else f"[{json.dumps(key)}]"


def _all(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(problems)


@define(slots=False, eq=False)
class InvalidRequest(WanbridgeError, ValueError):
    """A value breaks the canonical schema; nothing was sent.

    Attributes:
        problems: Everything that is wrong, not only the first thing.
    """

    problems: tuple[Problem, ...] = field(converter=_all)

    def _says(self) -> str:
        return "; ".join(map(str, self.problems))


@define(slots=False, eq=False)
class UnsupportedFeature(WanbridgeError, ValueError):
    """A provider does not support a field's value; nothing was sent.

    Attributes:
        field: The canonical field, as in ``may_drop=(field,)``.
        reason: What was given and what this provider takes instead.
        also: Further refusals of the same request by the same provider.
    """

    provider: str
    field: str
    reason: str
    also: tuple[UnsupportedFeature, ...] = ()

    def _says(self) -> str:
        said = f"{self.provider}: {self.field}: {self.reason}"
        return "; ".join([said, *(f"{p.field}: {p.reason}" for p in self.also)])


class ConfigurationError(WanbridgeError):
    """A setting is missing, unknown or contradicts another."""


class UnknownProvider(ConfigurationError):
    """No account or adapter of that name; the message lists those there are."""


class MissingCredentials(ConfigurationError):
    """A call needs a key that is not configured; the message names where to put it."""


@define(slots=False, eq=False)
class BudgetExceeded(WanbridgeError):
    """The spend guard has not enough left; nothing was sent."""

    needed: Money
    left: Money

    def _says(self) -> str:
        return f"budget: this call may cost {self.needed}, {self.left} is left"


@define(slots=False, eq=False)
class CallbackRefused(WanbridgeError):
    """A callback is forged, stale or unreadable.

    Attributes:
        status: HTTP status to answer the sender with.
    """

    message: str
    status: int = 400

    def _says(self) -> str:
        return self.message


@define(slots=False, eq=False)
class CallFailed(WanbridgeError):
    """A call to a provider failed.

    Attributes:
        charge: Whether this call cost money.
        job: Set once the provider has accepted: ``client.wait(error.job)`` goes on from there.
        receipt: Set while that is unknown: ``client.reconcile(error.receipt)``.
        attempts: Every attempt of the logical call, in order.
    """

    elsewhere: ClassVar[bool] = True

    provider: str
    message: str
    charge: Charge = Charge.MAYBE
    job: Job | None = field(default=None, repr=False)
    receipt: Receipt | None = field(default=None, repr=False)
    attempts: tuple[Attempt, ...] = ()

    def _says(self) -> str:
        return f"{self.provider}: {one_line(self.message, WORDS_MOST)}"


class TransportFailed(CallFailed):
    """The connection failed. From a submit: before anything was sent."""


class SubmissionUncertain(CallFailed):
    """A submit was sent and its outcome is unknown: it may be bought, it may not.

    Never sent again by wanbridge. ``client.reconcile(error.receipt)`` looks it up where the
    provider allows that. The provider's own error, if there was one, is ``__cause__``.
    """

    elsewhere = False


class DeadlineExceeded(CallFailed, TimeoutError):
    """The caller's deadline passed while the provider was still working; ``.job`` goes on."""

    elsewhere = False


class JobCancelled(CallFailed):
    """The job was cancelled at the provider."""

    elsewhere = False


@define(slots=False, eq=False)
class DownloadFailed(CallFailed):
    """A delivered picture could not be fetched.

    Attributes:
        image: What was to be fetched; its URL may still work later.
        expired: True if the provider says that the link has ended, None if unknown.
    """

    elsewhere: ClassVar[bool] = False

    image: Image | None = field(default=None, repr=False)
    expired: bool | None = None


class StorageFailed(CallFailed):
    """An object store could not be used: it is down, full, slow, or refuses the key.

    For an input picture before a submit: ``.charge`` is ``no``, and a provider that takes the
    picture itself could help. For a delivered one: ``yes``; its link may be saved again later.
    """


@define(slots=False, eq=False)
class ProviderError(CallFailed):
    """The provider replied with an error.

    Attributes:
        status: HTTP status of the reply, None if the failure stood inside a good one.
        code: The provider's own code, as text.
        request_id: The provider's id of the call, for its support.
        retry_after: Seconds to wait as the provider says; None if it does not.
        raw: The reply as parsed JSON, or its first bytes as text.
        final: True if the *job* has ended with this, False if only this one call failed.
    """

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    raw: Any = field(default=None, repr=False)
    final: bool = False

    def _says(self) -> str:
        facts = [
            self.code and f"code {one_line(self.code, WORDS_MOST)}",
            self.status and f"HTTP {self.status}",
            self.request_id and f"request {one_line(self.request_id, WORDS_MOST)}",
        ]
        known = ", ".join(fact for fact in facts if fact)
        return CallFailed._says(self) + (f" ({known})" if known else "")


class AuthenticationFailed(ProviderError):
    """The key is wrong, of another region, or may not do this."""

    elsewhere = False


class RequestRejected(ProviderError):
    """The provider rejects the request as invalid."""

    elsewhere = False


class ContentRefused(ProviderError):
    """Prompt, input or output met the provider's content rules."""

    elsewhere = False


class CreditExhausted(ProviderError):
    """The account has no money left."""


class RateLimited(ProviderError):
    """Too many calls; ``.retry_after`` if the provider said how long."""


class ProviderUnavailable(ProviderError):
    """The provider, or a gateway in front of it, is unavailable."""


class GenerationFailed(ProviderError):
    """The job was accepted and ended without a picture."""


class TaskLost(ProviderError):
    """The provider accepted a task and no longer knows it."""


class MalformedResponse(ProviderError):
    """A reply that does not have the documented shape; the message names the path."""


class AllProvidersFailed(ExceptionGroup[Exception], WanbridgeError):
    """Every candidate of a route was tried or skipped; one exception each, in order."""

    def __str__(self) -> str:
        return one_line(f"{self.message}: {'; '.join(map(_of_account, self.exceptions))}")

    def derive(self, excs: Sequence[Any], /) -> AllProvidersFailed:  # type: ignore[override]
        return AllProvidersFailed(self.message, excs)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every attempt of every candidate, in order."""
        return tuple(a for exc in self.exceptions for a in getattr(exc, "attempts", ()))


def _of_account(exc: Exception) -> str:
    """The account that a member of a group is about, and its reason."""
    reason = str(exc) or type(exc).__name__
    account = next((attempt.provider for attempt in getattr(exc, "attempts", ())), None)
    named = account is None or reason.startswith(f"{account}: ")
    return reason if named else f"{account}: {reason}"
