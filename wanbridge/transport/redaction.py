"""Keeps keys, signatures and pictures out of the log, whatever a record was made from.

One filter stands on the logger ``wanbridge``. It changes the record itself, so that no handler
and no formatter gets to see what was taken out. A logger's filter is not asked for records of
its children: all of wanbridge logs to ``wanbridge``.
"""

from __future__ import annotations

import json
import logging
import re
import weakref
from base64 import b64encode
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import quote

# Shorter ones would blot out ordinary words.
SHORTEST = 4
# Of a secret in base64: fewer characters occur by accident.
SHORTEST_BASE64 = 8
HIDDEN = "***"

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)((?:;[\w=.+-]+)*),[^\s'\"<>)\]}]*")
# A picture, or a token; from its first character only, so that long texts cost no more.
_BLOB = re.compile(r"(?<![\w+/-])[\w+/-]{200,}={0,2}")
_REPLACEMENTS = (
    # https://user:password@host
    (r"(://)[^/?#\s@'\"]+@", rf"\1{HIDDEN}@"),
    # As a header, a mapping, or a pair: up to the end of the value.
    (r"(?i)(\b(?:set-)?cookie['\"]?\s*[:=,]\s*(?:b?['\"])?)[^'\"\n]+", rf"\1{HIDDEN}"),
    (
        r"(?i)(\b(?:[\w-]*authorization|x-[\w-]*(?:key|token|secret|signature)|api[-_]?key)"
        r"(?:['\"]?\s*[:=]\s*|['\"],\s*)(?:b?['\"])?)"
        r"(?:(?:bearer|basic|digest|token)\s+)?[^\s'\",;&)}\]]+",
        rf"\1{HIDDEN}",
    ),
    (r"\b([Bb]earer|BEARER|Basic)(\s+)[\w.~+/=-]{8,}", rf"\1\2{HIDDEN}"),
    # Amazon S3, Alibaba Cloud OSS, Google, Azure, CloudFront.
    (
        r"(?i)(?<![\w-])([\w-]*(?:signature|token|secret|credential|password|api[-_]?key"
        r"|access[-_]?key(?:[-_]?id)?|accessid|key-pair-id)=)[^\s&'\"<>,;)\]}#]+",
        rf"\1{HIDDEN}",
    ),
    (r"(?i)([?&](?:sig|sign|key|auth|policy)=)[^\s&'\"<>,;)\]}#]+", rf"\1{HIDDEN}"),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FORMATTER = logging.Formatter()


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], str], ...]:
    """`_REPLACEMENTS`, compiled at the first record: that takes longer than most imports here."""
    return tuple((re.compile(pattern), instead) for pattern, instead in _REPLACEMENTS)


class RedactingFilter(logging.Filter):
    """Takes secrets out of records and lets every record through.

    Known are the keys it was given, as they are, in URLs, in JSON and inside base64; unknown
    ones are taken out by where they stand. Thread-safe.

    Args:
        secrets: Known for as long as the filter lives; see also `protect`.
    """

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        super().__init__()
        self._lock = Lock()
        self._always = _all_forms(secrets)
        self._owned: dict[int, tuple[weakref.ref[object], frozenset[str]]] = {}
        self._forms: tuple[str, ...] | None = None

    def protect(self, owner: object, secrets: Iterable[str | None]) -> None:
        """Know *secrets* while *owner* lives.

        They leave with it: a server that makes a client for each of its customers would
        otherwise gather all their keys, and every record would be searched for them.
        """
        number = id(owner)
        mine = weakref.ref(owner, lambda _: self._forget(number))
        with self._lock:
            self._owned[number] = (mine, _all_forms(secrets))
            self._forms = None

    def _forget(self, number: int) -> None:
        # Without the lock: garbage is collected anywhere, also while this thread holds it. What
        # `_known` makes of the old state at the same time knows a key too many, not too few.
        self._owned.pop(number, None)
        self._forms = None

    def _known(self) -> tuple[str, ...]:
        if (forms := self._forms) is None:
            with self._lock:
                owned = [forms for _, forms in list(self._owned.values())]
                every = self._always.union(*owned)
                # A key may be the beginning of another one.
                forms = self._forms = tuple(sorted(every, key=len, reverse=True))
        return forms

    def redact(self, text: str) -> str:
        """*text* without secrets, and with pictures by their length only."""
        if "data:" in text:
            text = _DATA_URI.sub(_shortened, text)
        if len(text) >= 200:
            text = _BLOB.sub(lambda found: f"<{len(found[0])} characters>", text)
        for form in self._known():
            if form in text:
                text = text.replace(form, HIDDEN)
        for pattern, instead in _compiled():
            text = pattern.sub(instead, text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact *record*; always True. Never raises: the record is about a call that goes on."""
        try:
            self._clean(record)
        except Exception as exc:
            reason = f"wanbridge: a record could not be redacted ({type(exc).__name__})"
            record.msg, record.args = reason, None
            record.exc_info = record.exc_text = record.stack_info = None
            for name in vars(record).keys() - _STANDARD:
                delattr(record, name)
        return True

    def _clean(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        clean = self.redact(message)
        if clean != message or not isinstance(record.msg, str) or not self._plain(record.args):
            record.msg, record.args = clean, None
        if record.exc_info:
            # As text: a handler that prints or sends a traceback's variables shows more of it.
            if record.exc_info[1] is not None and not record.exc_text:
                record.exc_text = _FORMATTER.formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        for name in vars(record).keys() - _STANDARD:
            value = getattr(record, name)
            said = value if isinstance(value, str) else repr(value)
            if (clean := self.redact(said)) != said:
                setattr(record, name, clean)

    def _plain(self, args: Any) -> bool:
        """Whether *args* may stay beside their message: numbers, and texts without a secret."""
        values = args.values() if isinstance(args, Mapping) else args or ()
        return all(
            value is None
            or isinstance(value, int | float | Decimal)
            or (isinstance(value, str) and self.redact(value) == value)
            for value in values
        )


def _shortened(found: re.Match[str]) -> str:
    return f"data:{found[1]}{found[2]},… ({len(found[0])} characters)"


def _all_forms(secrets: Iterable[str | None]) -> frozenset[str]:
    return frozenset(
        form for secret in secrets if secret and len(secret) >= SHORTEST for form in _forms(secret)
    )


def _forms(secret: str) -> set[str]:
    """*secret* as it may stand in a message, a URL, JSON, a repr or, anywhere, in base64."""
    forms = {
        secret,
        quote(secret, safe="", errors="replace"),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    }
    data = secret.encode("utf-8", "replace")
    # Where it begins inside three bytes decides which characters are its own.
    for before, first in ((0, 0), (1, 2), (2, 3)):
        whole = b64encode(bytes(before) + data).decode()
        own = whole[first : (before + len(data)) * 8 // 6]
        if len(own) >= SHORTEST_BASE64:
            forms |= {own, own.replace("+", "-").replace("/", "_")}
    return forms


FILTER = RedactingFilter()


def protect(owner: object, secrets: Iterable[str | None]) -> None:
    """Keep *secrets* out of wanbridge's log for as long as *owner* lives."""
    FILTER.protect(owner, secrets)
    logging.getLogger("wanbridge").addFilter(FILTER)  # which adds it once only
