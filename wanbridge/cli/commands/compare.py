"""``wanbridge compare``: what a request, or a file of them, costs where."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import attrs
from attrs import frozen
from cyclopts import Group, Parameter

from wanbridge.adapters.base import Adapter
from wanbridge.bulk.reading import RequestFile
from wanbridge.cli.accounts import all_accounts, select_accounts
from wanbridge.cli.codes import Exit
from wanbridge.cli.files import check_folder, write
from wanbridge.cli.options import ConfigFile, Prompt, RequestOptions
from wanbridge.cli.report import comparison
from wanbridge.cli.report.comparison import Basis, Comparison
from wanbridge.cli.request import build_request
from wanbridge.cli.session import Session
from wanbridge.cli.usage import UsageError
from wanbridge.client.blocking import Client
from wanbridge.errors import ConfigurationError, InvalidRequest
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.money.exchange_rates import Rates

_MONEY = Group.create_ordered("Money", default_parameter=Parameter(show_default=False))
_OUTPUT = Group.create_ordered("Output", default_parameter=Parameter(show_default=False))
_RATE = re.compile(r"([A-Za-z-]+)=([0-9]+(?:\.[0-9]+)?)")


@Parameter(name="*")
@frozen(kw_only=True)
class MoneyOptions:
    """What amounts are compared in."""

    currency: Annotated[str | None, Parameter(group=_MONEY, metavar="CODE")] = None
    """To compare in; USD unless the configuration has another base."""
    rate: Annotated[tuple[str, ...], Parameter(group=_MONEY, metavar="CODE=AMOUNT")] = ()
    """What one of a currency is worth in the base: CNY=0.1406; once for each. Those of the
    configuration are not used then."""
    rates_date: Annotated[date | None, Parameter(group=_MONEY, metavar="DATE")] = None
    """Day of the rates given, like 2026-11-20; today by default."""


@Parameter(name="*")
@frozen(kw_only=True)
class ReportOptions:
    """Where the comparison goes."""

    json: Annotated[bool, Parameter(group=_OUTPUT, negative="")] = False
    """Print JSON and nothing else."""
    csv: Annotated[bool, Parameter(group=_OUTPUT, negative="")] = False
    """Print CSV and nothing else, a row for each account."""
    html: Annotated[Path | None, Parameter(group=_OUTPUT, metavar="FILE")] = None
    """Write a page too, which needs no network to be read."""
    force: Annotated[bool, Parameter(group=_OUTPUT, negative="")] = False
    """Replace a page that exists."""


def compare(
    prompt: Prompt = None,
    /,
    *,
    what: RequestOptions = RequestOptions(),  # noqa: B008 - frozen
    requests: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            help="A workload instead, JSONL or CSV with a column for each field. With totals.",
        ),
    ] = None,
    provider: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="NAME",
            help="Only this account; once for each. By default all.",
            show_default=False,
        ),
    ] = (),
    live: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Ask those who estimate before a purchase, with their key. Buys nothing.",
        ),
    ] = False,
    config: ConfigFile = None,
    money: MoneyOptions = MoneyOptions(),
    where: ReportOptions = ReportOptions(),
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Compare what a request costs at each provider. Buys nothing, needs no key.

    Without a configuration file, every provider there is. The cheapest comes first; then prices
    in a currency without a rate, unknown prices, and those who cannot take the request, with the
    reason. No call is made without --live: exchange rates are yours, and each price has the day
    on which it was read.
    """
    _check_outputs(where)
    settings = all_accounts(config, session)
    basis = _basis(money, settings.rates or Rates.of(None))
    adapters = _selected_accounts(settings.adapters, provider)
    with Client(
        adapters,
        timeouts=settings.timeouts,
        prices=settings.prices,
        fit=settings.fit,
        storage=settings.storage,
    ) as client:
        if requests is None:
            request = build_request(prompt, what)
            found = _compare_request(client, request, what, basis, live=live)
        else:
            _check_only_file(prompt, what, live=live)
            found = _compare_file(client, requests, what, basis)
    _write_outputs(found, where, session)
    return Exit.OK


# -- what is compared --------------------------------------------------------------------


def _selected_accounts(adapters: Sequence[Adapter], names: Collection[str]) -> tuple[Adapter, ...]:
    found = [a for name in names for a in select_accounts(adapters, name)]
    chosen = tuple(found if names else adapters)
    if not chosen:
        raise UsageError("there is no account to compare", "see: wanbridge providers")
    return chosen


def _compare_request(
    client: Client, request: ImageRequest, what: RequestOptions, basis: Basis, *, live: bool
) -> Comparison:
    quotes = client.compare(
        request,
        rates=basis.rates,
        currency=basis.currency,
        may_drop=what.may_drop,
        check_limits=not what.no_check_limits,
        live=live,
    )
    return comparison.of_quotes(request, quotes, basis)


def _compare_file(client: Client, file: Path, what: RequestOptions, basis: Basis) -> Comparison:
    lines = RequestFile(file, allow_outside=what.allow_outside)
    try:
        load = client.compare_all(
            lines.requests(),
            rates=basis.rates,
            currency=basis.currency,
            may_drop=what.may_drop,
            check_limits=not what.no_check_limits,
        )
    except InvalidRequest as exc:
        if any(problem.path == "$.may_drop" for problem in exc.problems):
            raise
        raise UsageError(f"{file}:{lines.number}: {exc}") from None
    except OSError as exc:
        raise UsageError(f"{file}: {exc.strerror or exc}") from None
    if not load.requests:
        raise UsageError(f"{file}: there is no request in it", _ONE_A_LINE)
    return comparison.of_workload(str(file), load, basis)


_ONE_A_LINE = """write one request on each line: {"prompt": "a red kite", "n": 2}"""


def _check_only_file(prompt: str | None, what: RequestOptions, *, live: bool) -> None:
    """Refuse flags that change a request together with ``--requests``."""
    plain = RequestOptions(
        may_drop=what.may_drop,
        no_check_limits=what.no_check_limits,
        allow_outside=what.allow_outside,
    )
    fields = (f.name for f in attrs.fields(RequestOptions))
    given = [name for name in fields if getattr(what, name) != getattr(plain, name)]
    flags = ["-n" if name == "n" else f"--{name.replace('_', '-')}" for name in given]
    if prompt is not None:
        flags.insert(0, "a prompt")
    if flags:
        raise UsageError(
            f"--requests and {', '.join(flags)}: each line of the file is a whole request"
        )
    if live:
        raise UsageError("--live asks about one request; --requests may hold thousands")


# -- money -------------------------------------------------------------------------------


def _basis(money: MoneyOptions, configured: Rates) -> Basis:
    """Currency and rates; those of the flags stand in the place of the configured ones."""
    today = datetime.now(UTC).date()
    rates = configured
    if money.rate:
        rates = _rates(money.rate, configured.base, money.rates_date or today)
    elif money.rates_date is not None:
        raise UsageError("--rates-date: there is no --rate that it could be the day of")
    currency = configured.base if money.currency is None else _currency(money.currency)
    undated = bool(money.rate) and money.rates_date is None
    return Basis(currency=currency, rates=rates, day=today, assumed_day=undated)


def _rates(given: Sequence[str], base: str, day: date) -> Rates:
    rates: dict[str, object] = {"base": base, "date": day}
    for text in given:
        match = _RATE.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"--rate: {text!r} does not say what one is worth in {base}: CNY=0.14")
        if (code := match[1].upper()) in rates:
            raise UsageError(f"--rate: {code} stands twice")
        rates[code] = match[2]
    try:
        return Rates.of(rates)
    except ConfigurationError as exc:
        raise UsageError(f"--rate: {str(exc).removeprefix('rates: ')}") from None


def _currency(given: str) -> str:
    try:
        return Money(1, given.upper()).currency
    except InvalidRequest:
        raise UsageError(f"--currency: {given!r} is not a currency code like 'USD'") from None


# -- where it goes -----------------------------------------------------------------------


def _check_outputs(where: ReportOptions) -> None:
    """Check the output flags before anything is read or compared."""
    if where.json and where.csv:
        raise UsageError("--json and --csv both go to standard output; give one")
    if (file := where.html) is None:
        return
    if str(file) == "-" or file.is_dir():
        raise UsageError(f"--html: {file} is not the name of a file")
    check_folder(file.parent)
    if not where.force and os.path.lexists(file):
        raise UsageError(f"{file} exists", "--force replaces it")


def _write_outputs(found: Comparison, where: ReportOptions, session: Session) -> None:
    from wanbridge.cli import screen
    from wanbridge.cli.report import documents, page
    from wanbridge.cli.report import screen as report

    if where.html is not None:
        write(where.html, session.hide(page.page(found)), force=where.force)
    if where.json:
        screen.show_json(session, documents.document(found))
    elif where.csv:
        print(session.hide(documents.table(found)), end="", flush=True)
    else:
        report.show(found, session)
        if where.html is not None:
            print(f"\npage: {shlex.quote(str(where.html))}")
