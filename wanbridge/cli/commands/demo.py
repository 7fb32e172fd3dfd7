"""``wanbridge demo``: the same two requests at every fake provider, over real HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from attrs import Factory, define
from cyclopts import Parameter

from wanbridge.cli.accounts import sandbox_client, sandbox_running
from wanbridge.cli.call_state import CallState
from wanbridge.cli.codes import Exit, code_of
from wanbridge.cli.files import check_folder
from wanbridge.cli.progress import live_progress
from wanbridge.cli.session import Session
from wanbridge.cli.usage import UsageError
from wanbridge.client.asynchronous import AsyncClient
from wanbridge.errors import UnsupportedFeature, WanbridgeError
from wanbridge.model.inputs import InputImage
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult
from wanbridge.model.size import Size
from wanbridge.storage.filenames import short

LATENCY_SECONDS = 1.0
# Marks the directory of an earlier demo, whose pictures may be replaced.
_MARK = ".wanbridge-demo"
_NAMES = {"edit": "1-edit", "text": "2-text"}
# Fake pictures are none the worse for a guess.
_OPTIONS = {"crun": {"allow_unverified": True}}

# The sandbox looks at no input picture, so these need not exist.
EDIT = ImageRequest(
    "Hang the paper lantern of image 1 in the marked corner of image 2; keep the evening light",
    images=(
        InputImage(
            "https://assets.example.com/paper-lantern.png",
            regions=((180, 120, 620, 700),),
            width=1024,
            height=1024,
        ),
        InputImage(
            "https://assets.example.com/tea-house.jpg",
            regions=((560, 90, 900, 400),),
            width=1024,
            height=1024,
        ),
    ),
    size=Size(resolution="1K"),
    color_palette=(
        PaletteColor("#1E2A39", "34"),
        PaletteColor("#C6A15B", "26"),
        PaletteColor("#E8E2D6", "24"),
        PaletteColor("#8C3B2E", "16"),
    ),
    seed=7,
)
TEXT = ImageRequest(
    "A ferry crossing a fjord at first light, one gull above it, soft rain",
    size=Size(resolution="1K", aspect_ratio="4:3"),
    seed=11,
)


@define
class _Order:
    """One request at one provider.

    Attributes:
        refused: Why this provider cannot be asked for it; nothing was sent.
        error: Why there is no picture.
    """

    provider: str
    request: ImageRequest
    path: Path
    call_state: CallState = Factory(CallState)
    result: ImageResult | None = None
    saved: Path | None = None
    refused: UnsupportedFeature | None = None
    error: Exception | None = None


def demo(
    *,
    output: Annotated[
        Path, Parameter(name=("--output", "-o"), metavar="DIR", help="Where pictures go.")
    ] = Path("wanbridge-demo"),
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Draw pictures at every fake provider. No key, no internet, no cost.

    Two requests, an edit of marked regions with a palette and a picture from words alone, go to
    each provider that the sandbox knows, over real HTTP on this machine. What a provider cannot be
    asked for is refused before anything is sent, and shown with the reason.
    """
    with sandbox_running(session, latency=LATENCY_SECONDS) as sandbox:
        orders = [
            _Order(name, request, output / f"{name}-{_NAMES[request.mode]}")
            for name in sandbox.providers
            for request in (EDIT, TEXT)
        ]
        _prepare(output, orders)
        with live_progress(session, [order.call_state for order in orders]):
            client = sandbox_client(AsyncClient, sandbox, options=_OPTIONS)
            asyncio.run(_run_orders(client, orders))
    _show(orders, output, session)
    return _exit_code(orders, session)


def _prepare(folder: Path, orders: Sequence[_Order]) -> None:
    """Create the directory; in one that is not of an earlier demo no picture is replaced."""
    if not os.path.lexists(folder):
        folder.mkdir(parents=True)
    check_folder(folder)
    if (folder / _MARK).exists():
        return
    for order in orders:
        for taken in sorted(folder.glob(f"{order.path.name}.*")):
            raise UsageError(f"{taken} exists and is not of an earlier demo", "-o names another")
    (folder / _MARK).touch()


async def _run_orders(client: AsyncClient, orders: Sequence[_Order]) -> None:
    async with client:
        await asyncio.gather(*(_run_order(client, order) for order in orders))


async def _run_order(client: AsyncClient, order: _Order) -> None:
    call_state = order.call_state
    call_state.name, call_state.label = order.provider, order.request.mode
    try:
        order.result = await client.generate(
            order.request, provider=order.provider, on_progress=call_state.on_event
        )
        call_state.status = "saving"
        order.saved = await client.save(order.result.images[0], order.path, force=True)
        call_state.finish("done")
    except UnsupportedFeature as exc:
        order.refused = exc
        call_state.finish("refused")
    except (WanbridgeError, OSError, ValueError) as exc:
        order.error = exc
        call_state.finish("failed")


def _show(orders: Sequence[_Order], folder: Path, session: Session) -> None:
    from rich.text import Text

    from wanbridge.cli import screen

    out = screen.console()
    made = screen.table(*_COLUMNS, right=("polls", "seconds", "cost"))
    for order in orders:
        made.add_row(*(Text(session.line(cell)) for cell in _row(order)))
    out.print(made)
    saved = sum(order.saved is not None for order in orders)
    asked = sum(order.refused is None for order in orders)
    out.print()
    out.print(f"{saved} of {asked} pictures are in {folder.resolve()}", soft_wrap=True)
    out.print("Fake pictures, fake money: nothing left this machine.", style="dim")


_COLUMNS = ("provider", "model", "mode", "job", "polls", "seconds", "cost", "file")


def _row(order: _Order) -> tuple[str, ...]:
    from wanbridge.cli import screen

    result = order.result
    return (
        order.provider,
        order.request.model,
        order.request.mode,
        short(result.job_id or "") if result else "",
        str(order.call_state.polls),
        screen.seconds_of(result) if result else "",
        screen.money(result.cost) if result else "",
        _file(order),
    )


def _file(order: _Order) -> str:
    if order.refused is not None:
        refused = order.refused
        return "; ".join(f"refused: {r.field}: {r.reason}" for r in (refused, *refused.also))
    return order.saved.name if order.saved else "none"


def _exit_code(orders: Sequence[_Order], session: Session) -> Exit:
    """0 only if every picture that could be asked for was saved; why not, on standard error."""
    from wanbridge.cli.screen import print_stderr

    code = Exit.OK
    for order in orders:
        if order.error is not None:
            print_stderr(session, f"wanbridge: {order.request.mode}: {order.error}")
            if code is Exit.OK:
                code = _code(order.error)
    return code


def _code(error: Exception) -> Exit:
    return code_of(error) if isinstance(error, WanbridgeError) else Exit.UNAVAILABLE
