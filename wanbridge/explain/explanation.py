"""What each provider would be sent, field by field, without a call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import FittedRequest, judge, refuse_digests
from wanbridge.adapters.staging import Staging
from wanbridge.errors import UnsupportedFeature
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.money.account_quotes import quote_account
from wanbridge.money.price_book import PriceBook
from wanbridge.money.quotes import Quote
from wanbridge.wire import HttpRequest

Outcome = Literal["sent", "met", "adapted", "ignored", "dropped", "refused"]


@frozen
class FieldReport:
    """What becomes of one canonical field.

    Attributes:
        outcome: ``sent``; ``met`` (not sent, the provider always does so); ``adapted`` (sent
            with another effect); ``ignored``; ``dropped``; ``refused``.
        detail: What there is to know about it; empty for most that is ``sent``.
    """

    outcome: Outcome
    detail: str = ""


def outcome_of(note: Note) -> Outcome:
    """The outcome that a fitting's note stands for."""
    if note.kind == "info":
        return "met" if note.field == "output_format" else "sent"
    return note.kind


@frozen(kw_only=True)
class Explanation:
    """What one account would make of a request.

    Attributes:
        ok: Whether it can be sent.
        model: The provider's own name of the model; None if it does not sell it.
        fields: A report for each field that is set, prompt and model first.
        http: The exact message, the key as a placeholder; None if it cannot be sent.
        quote: What it would cost.
        problems: Why it cannot be sent, everything at once.
        verified: False if the offer rests on guesses or third parties only.
    """

    ok: bool
    model: str | None
    fields: Mapping[str, FieldReport]
    http: HttpRequest | None
    quote: Quote
    problems: tuple[UnsupportedFeature, ...]
    verified: bool


def explain(
    adapter: Adapter,
    request: ImageRequest,
    *,
    prices: PriceBook,
    may_drop: Collection[str] = (),
    check_limits: bool = True,
    staging: Staging | None = None,
) -> Explanation:
    """What *adapter* would send for *request*.

    Raises:
        InvalidRequest: no provider could be sent this.
    """
    refuse_digests(request)
    verdict = judge(adapter, request, may_drop=may_drop, check_limits=check_limits, staging=staging)
    fitted = verdict.fit
    quote = quote_account(adapter, request, prices=prices)
    return Explanation(
        ok=not verdict.problems,
        model=None if fitted is None else fitted.offer.alias,
        fields=_fields(request, fitted, verdict.problems),
        http=verdict.http,
        quote=evolve(quote, refused=verdict.refused),
        problems=verdict.problems,
        verified=fitted is None or fitted.offer.verified,
    )


def _fields(
    request: ImageRequest, fitted: FittedRequest | None, problems: tuple[UnsupportedFeature, ...]
) -> dict[str, FieldReport]:
    reports = {}
    if fitted is not None:  # where the model is not sold, there is no more to say than that
        reports = {name: FieldReport("sent") for name in ("prompt", "model", *request.fields_set)}
        for note in fitted.notes:
            reports[note.field] = _with_note(reports.get(note.field), note)
    for problem in problems:
        reports[problem.field] = FieldReport("refused", problem.reason)
    return reports


def _with_note(report: FieldReport | None, note: Note) -> FieldReport:
    """A field's report with one more note; what is mere information changes no outcome."""
    outcome = outcome_of(note)
    if report is None or not report.detail:
        return FieldReport(outcome, note.detail)
    said = f"{report.detail}; {note.detail}"
    return FieldReport(report.outcome if outcome == "sent" else outcome, said)


def explain_all(
    adapters: Collection[Adapter],
    request: ImageRequest,
    *,
    prices: PriceBook,
    may_drop: Collection[str] = (),
    check_limits: bool = True,
    staging: Staging | None = None,
) -> dict[str, Explanation]:
    """`explain` for every account, by its name."""
    return {
        adapter.account: explain(
            adapter,
            request,
            prices=prices,
            may_drop=may_drop,
            check_limits=check_limits,
            staging=staging,
        )
        for adapter in adapters
    }
