"""What a route costs: its decision, and a provider that is down.

The server runs in a process of its own. With provider one down (nothing listens there), the
first call finds out and goes on to provider two; the calls after it leave provider one alone
while it cools down, and are measured against direct calls to provider two, in turn, so that a
machine that slows down slows both.

The decision is measured against the raw exchanges of one generation (a submit and a poll, as
`benchmarks/overhead.py` has them), again in turn.

    python benchmarks/routes.py            # ratios and microseconds
    python benchmarks/routes.py --check    # exit 1 if a bound is missed
"""

from __future__ import annotations

import argparse
import logging
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from overhead import NO_WAIT, REQUEST, exchanges, served

from wanbridge import Client, ImageRequest, Registry, Route
from wanbridge.model.result import ImageResult
from wanbridge.routing.route import Order
from wanbridge.transport.library import httpx

DOWN_MOST = 1.05
# Of provider two; real ones take seconds.
GENERATION = 0.05
DECISION_MOST = 0.15
REQUESTS = Path(__file__).parent.parent / "tests" / "fixtures" / "requests"


def unused_port() -> int:
    """A port of this machine where nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def down(rounds: int, generation: float) -> tuple[float, float]:
    """Seconds of the first call by a route whose first provider is down; then the median ratio of
    a call by the route to a direct call, each of *rounds* measured one after the other.

    Args:
        generation: Seconds that provider two takes for a picture.
    """
    with served(generation) as url:
        registry = Registry()
        accounts = [
            registry.build("reapi", account=name, api_key="k", base_url=at)
            for name, at in (
                ("one", f"http://127.0.0.1:{unused_port()}/api/v1"),
                ("two", url),
            )
        ]
        route = Route(("one", "two"))
        with Client(accounts, timeouts=NO_WAIT) as client:

            def by_route() -> ImageResult:
                return client.generate(REQUEST, route=route)

            def direct() -> ImageResult:
                return client.generate(REQUEST, provider="two")

            first = seconds(by_route)
            for _ in range(20):
                direct()
            ratios = []
            for turn in range(rounds):
                order = (by_route, direct) if turn % 2 else (direct, by_route)
                took = {call: seconds(call) for call in order}
                ratios.append(took[by_route] / took[direct])
        return first, statistics.median(ratios)


def seconds(call: Callable[[], ImageResult]) -> float:
    """How long one call takes; it must have been delivered by provider two."""
    began = time.perf_counter()
    result = call()
    took = time.perf_counter() - began
    assert result.provider == "two"
    return took


def decision(url: str, order: Order, request: ImageRequest, rounds: int) -> tuple[float, float]:
    """Microseconds to rank seven accounts for *request*, and those of the raw exchanges of one
    generation; medians of *rounds*, each measured one after the other.
    """
    registry = Registry()
    accounts = [registry.build(name, api_key="k") for name in registry.names()]
    route = Route("any", order=order)
    ranked, raw = list[float](), list[float]()
    with Client(accounts, rates=RATES) as client, httpx.Client() as bare:
        context, router = client._calls._context(), client._calls.router
        messages = exchanges(url)
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in range(5):
                router.rank(route, request, context)
            middle = time.perf_counter()
            for method, target, body, headers in messages:
                bare.request(method, target, content=body, headers=headers).json()
            ranked.append((middle - began) / 5)
            raw.append(time.perf_counter() - middle)
    return statistics.median(ranked) * 1e6, statistics.median(raw) * 1e6


RATES = {"base": "USD", "date": "2026-11-20", "CNY": "0.1406"}


def main() -> int:
    """Measure and print; with ``--check`` 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description="What a route costs.")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    logging.getLogger("wanbridge").setLevel(logging.ERROR)
    first, ratio = down(options.rounds // 4, GENERATION)
    _, at_once = down(options.rounds, 0.0)
    print(f"provider one down, first call, s       {first:8.2f}")
    print(f"provider one down, then : direct       {ratio:8.3f}   bound {DOWN_MOST}")
    print(f"the same, if provider two took no time {at_once:8.3f}")
    slowest = 0.0
    with served() as url:
        for name in ("minimal", "two-regions", "six-references"):
            request = ImageRequest.from_json((REQUESTS / f"{name}.json").read_text("utf-8"))
            took = {order: decision(url, order, request, options.rounds) for order in ORDERS}
            shown = ", ".join(
                f"{order} {us:.0f} ({us / raw:.2f})" for order, (us, raw) in took.items()
            )
            print(f"seven accounts ranked, us (: raw) {name:15} {shown}")
            slowest = max(slowest, *(us / raw for us, raw in took.values()))
    print(f"seven accounts ranked : raw, slowest   {slowest:8.3f}   bound {DECISION_MOST}")
    missed = ratio > DOWN_MOST or slowest > DECISION_MOST
    print("MISSED" if missed else "ok")
    return int(options.check and missed)


ORDERS: tuple[Order, ...] = ("given", "cheapest", "fastest", "spread")

if __name__ == "__main__":
    sys.exit(main())
