"""What each provider would be sent, field by field, without a call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from attrs import evolve, frozen

from wanbridge.adapter import Adapter
from wanbridge.errors import UnsupportedFeature
from wanbridge.model import ImageRequest
from wanbridge.plan import Plan, fields_set, plan, refuse_digests
from wanbridge.pricing import PriceBook, Quote
from wanbridge.wire import HttpRequest

Outcome = Literal["sent", "met", "adapted", "ignored", "dropped", "refused"]

# Stands where the key and the client-made id go in a message that is not sent.
KEY_SHOWN = "<key>"
ID_SHOWN = "00000000-0000-4000-8000-000000000000"


@frozen
class FieldReport:
    """How one canonical field fares.

    Attributes:
        outcome: ``sent``; ``met`` (not sent, the provider always does so); ``adapted`` (said
            in other words with another effect); ``ignored``; ``dropped``; ``refused``.
        detail: One sentence; empty for ``sent``.
    """

    outcome: Outcome
    detail: str = ""


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
) -> Explanation:
    """What *adapter* would send for *request*.

    Raises:
        InvalidRequest: no provider could be sent this.
    """
    refuse_digests(request)
    quote = prices.quote(
        adapter.name,
        adapter.account,
        request,
        region=adapter.price_region,
        assumes=adapter.price_assumes,
    )
    try:
        fitted = plan(adapter, request, may_drop=may_drop, check_limits=check_limits)
    except UnsupportedFeature as exc:
        return _refused(request, quote, exc)
    problems, http = fitted.problems, None
    if not problems:
        shown = evolve(adapter, api_key=KEY_SHOWN)
        try:
            http = shown.submit(fitted.request, fitted.offer, key=ID_SHOWN)
        except UnsupportedFeature as exc:
            problems = (exc,)
    if problems:
        quote = evolve(quote, refused="; ".join(f"{p.field}: {p.reason}" for p in problems))
    return Explanation(
        ok=not problems,
        model=fitted.offer.alias,
        fields=_fields(request, fitted, problems),
        http=http,
        quote=quote,
        problems=problems,
        verified=fitted.offer.verified,
    )


def _refused(request: ImageRequest, quote: Quote, exc: UnsupportedFeature) -> Explanation:
    return Explanation(
        ok=False,
        model=None,
        fields={exc.field: FieldReport("refused", exc.reason)},
        http=None,
        quote=evolve(quote, refused=f"{exc.field}: {exc.reason}"),
        problems=(exc,),
        verified=True,
    )


def _fields(
    request: ImageRequest, fitted: Plan, problems: tuple[UnsupportedFeature, ...]
) -> dict[str, FieldReport]:
    reports = {name: FieldReport("sent") for name in ("prompt", "model", *fields_set(request))}
    for note in fitted.notes:
        outcome: Outcome = "met" if note.kind == "info" else note.kind
        reports[note.field] = FieldReport(outcome, note.detail)
    for problem in problems:
        reports[problem.field] = FieldReport("refused", problem.reason)
    return reports


def explain_all(
    adapters: Collection[Adapter],
    request: ImageRequest,
    *,
    prices: PriceBook,
    may_drop: Collection[str] = (),
    check_limits: bool = True,
) -> dict[str, Explanation]:
    """`explain` for every account, by its name."""
    return {
        adapter.account: explain(
            adapter, request, prices=prices, may_drop=may_drop, check_limits=check_limits
        )
        for adapter in adapters
    }
