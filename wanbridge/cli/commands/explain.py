"""``wanbridge explain``: what would be sent, and what becomes of each field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from wanbridge.cli.accounts import all_accounts, select_accounts
from wanbridge.cli.codes import Exit
from wanbridge.cli.options import AsJson, ConfigFile, Prompt, RequestOptions
from wanbridge.cli.request import build_request
from wanbridge.cli.session import Session
from wanbridge.client.blocking import Client
from wanbridge.explain.explanation import Explanation, FieldReport
from wanbridge.money.quotes import Quote
from wanbridge.wire import HttpRequest

_STYLES = {
    "sent": "green",
    "met": "green",
    "adapted": "yellow",
    "ignored": "yellow",
    "dropped": "yellow",
    "refused": "red",
}


def explain(
    prompt: Prompt = None,
    /,
    *,
    what: RequestOptions = RequestOptions(),  # noqa: B008 - frozen
    provider: Annotated[
        str | None, Parameter(metavar="NAME", help="Only this account; by default all.")
    ] = None,
    config: ConfigFile = None,
    json: AsJson = False,
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Show what each provider would be sent, and what it costs. No call, no key needed.

    Without a configuration file, every provider there is. Each field is sent, met (the provider
    always does so), adapted (said in other words), ignored (no effect here), dropped (you
    allowed it) or refused.
    """
    request = build_request(prompt, what)
    settings = all_accounts(config, session)
    adapters = select_accounts(settings.adapters, provider)
    with Client(
        adapters, prices=settings.prices, fit=settings.fit, storage=settings.storage
    ) as client:
        found = client.explain(
            request, may_drop=what.may_drop, check_limits=not what.no_check_limits
        )
    from wanbridge.cli import screen

    if json:
        screen.show_json(session, {name: _document(e) for name, e in found.items()})
    else:
        _show(found, session)
    return Exit.OK


# -- for people --------------------------------------------------------------------------


def _show(found: Mapping[str, Explanation], session: Session) -> None:
    from rich.text import Text

    from wanbridge.cli import screen

    out = screen.console()
    for number, (account, explanation) in enumerate(found.items()):
        if number:
            out.print()
        out.print(_title(account, explanation), soft_wrap=True)
        fields = screen.table("field", "outcome", "")
        for name, report in explanation.fields.items():
            style = _STYLES[report.outcome]
            fields.add_row(name, Text(report.outcome, style=style), Text(report.detail))
        out.print(fields)
        if line := _quoted(explanation.quote):
            out.print(line, style="dim", soft_wrap=True)
        if explanation.http is not None:
            out.print()
            out.print(_message(explanation.http), soft_wrap=True)


def _title(account: str, explanation: Explanation) -> Any:
    from rich.text import Text

    from wanbridge.cli import screen

    title = Text(account, style="bold")
    if explanation.model is not None:
        title.append(f"  {explanation.model}", style="not bold")
    if explanation.ok:
        title.append("  would be sent", style="not bold green")
        title.append(f"  {screen.money(explanation.quote.money)}", style="not bold")
    else:
        title.append("  cannot be sent", style="not bold red")
    if not explanation.verified:
        title.append("  unverified", style="not bold yellow")
    return title


def _quoted(quote: Quote) -> str:
    """Where a price is from, and what it rests on."""
    if quote.amount is None:
        return "price unknown"
    parts = [f"price {quote.confidence}, read {quote.read} at {quote.source}"]
    parts += [f"assuming {a}" for a in quote.assumes]
    if quote.credits is not None:
        parts.append(f"{quote.credits} credits")
    return "; ".join(parts)


def _message(http: HttpRequest) -> str:
    from wanbridge.cli import screen

    head = [f"{http.method} {http.url}", *(f"{k}: {v}" for k, v in http.headers.items())]
    return "\n".join([*head, "", screen.pretty(http.body)])


# -- for programs ------------------------------------------------------------------------


def _document(explanation: Explanation) -> dict[str, Any]:
    return {
        "ok": explanation.ok,
        "model": explanation.model,
        "verified": explanation.verified,
        "fields": {name: _field(report) for name, report in explanation.fields.items()},
        "problems": [{"field": p.field, "reason": p.reason} for p in explanation.problems],
        "quote": _quote(explanation.quote),
        "http": _http(explanation.http),
    }


def _field(report: FieldReport) -> dict[str, str]:
    return {"outcome": report.outcome, "detail": report.detail}


def _quote(quote: Quote) -> dict[str, Any]:
    return {
        "amount": None if quote.amount is None else f"{quote.amount:f}",
        "currency": quote.currency,
        "credits": quote.credits,
        "source": quote.source,
        "read": quote.read and quote.read.isoformat(),
        "confidence": quote.confidence,
        "assumes": list(quote.assumes),
        "refused": quote.refused,
    }


def _http(http: HttpRequest | None) -> dict[str, Any] | None:
    if http is None:
        return None
    return {
        "method": http.method,
        "url": http.url,
        "headers": dict(http.headers),
        "body": http.json() if http.body else None,
    }
