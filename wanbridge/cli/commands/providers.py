"""``wanbridge providers``: accounts, models and fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Offer
from wanbridge.adapters.staging import Staging
from wanbridge.cli.accounts import all_accounts
from wanbridge.cli.codes import Exit
from wanbridge.cli.options import AsJson, ConfigFile
from wanbridge.cli.session import Session
from wanbridge.client.blocking import Client
from wanbridge.explain.support_table import support


def providers(
    *,
    config: ConfigFile = None,
    json: AsJson = False,
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """List providers: models, keys, addresses, fields.

    The accounts of the configuration; without one, every provider there is. No call is made,
    so a key that is there may still be wrong.
    """
    settings = all_accounts(config, session)
    adapters = settings.adapters
    with Client(adapters, storage=settings.storage) as client:
        staging = None if client.storage is None else client.storage.staging
    from wanbridge.cli import screen

    if json:
        screen.show_json(session, {"providers": [_document(a, staging) for a in adapters]})
    else:
        _show(adapters, staging)
    return Exit.OK


def _show(adapters: Sequence[Adapter], staging: Staging | None) -> None:
    from rich.text import Text

    from wanbridge.cli import screen

    out = screen.console()
    accounts = screen.table("account", "adapter", "key", "address")
    models = screen.table("account", "model", "its name there", "facts")
    for adapter in adapters:
        key = Text("yes", style="green") if adapter.api_key else Text("no", style="yellow")
        accounts.add_row(adapter.account, adapter.name, key, adapter.base_url)
        for offer in adapter.offers:
            models.add_row(adapter.account, offer.model, offer.alias, _verified(offer))
    out.print(accounts)
    out.print()
    out.print(models)
    out.print()
    out.print(_fields(adapters, staging))
    if staging is not None:
        out.print()
        out.print(f"A local picture that is staged is put in {staging.place}.", soft_wrap=True)


def _verified(offer: Offer) -> str:
    return "verified" if offer.verified else "unverified"


def _fields(adapters: Sequence[Adapter], staging: Staging | None) -> Any:
    """Which account takes which field: with all its models, some of them, or none."""
    from wanbridge.cli import screen

    known = sorted({f for a in adapters for o in a.offers for f in o.fields})
    made = screen.table("field", *(a.account for a in adapters))
    for name in known:
        made.add_row(name, *(_for(adapter, name) for adapter in adapters))
    made.add_row("local picture", *(_local_picture(adapter, staging) for adapter in adapters))
    return made


def _local_picture(adapter: Adapter, staging: Staging | None) -> str:
    """How a picture given by its bytes gets there."""
    ways = [_way(adapter, offer, staging) for offer in adapter.offers]
    return " or ".join(dict.fromkeys(ways)) or "-"


def _way(adapter: Adapter, offer: Offer, staging: Staging | None) -> str:
    if "images" not in offer.fields:
        return "-"
    if "data" in offer.limits.image_schemes:
        return "sent"
    if staging is None:
        return "needs storage"
    return "-" if staging.problem(adapter, offer.limits) else "staged"


def _for(adapter: Adapter, field: str) -> str:
    takes = [offer.model for offer in adapter.offers if field in offer.fields]
    if len(takes) == len(adapter.offers):
        return "yes"
    return ", ".join(takes) or "-"


def _document(adapter: Adapter, staging: Staging | None) -> dict[str, Any]:
    return {
        "account": adapter.account,
        "adapter": adapter.name,
        "key": bool(adapter.api_key),
        "base_url": adapter.base_url,
        "models": [
            {
                "model": offer.model,
                "alias": offer.alias,
                "verified": offer.verified,
                "fields": sorted(offer.fields),
            }
            for offer in adapter.offers
        ],
        "support": [
            {
                "row": cell.row,
                "field": cell.field,
                "outcome": cell.outcome,
                "detail": cell.detail,
                "source": cell.source,
                "verified": cell.verified,
            }
            for cell in support([adapter], staging=staging)
        ],
    }
