"""Routes over accounts at Halide, played by hand: who is asked, with what, and what is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

from attrs import define, evolve, field

from example_provider import Halide, _Options, reply
from flow_runner import FlowRunner
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import Delivery, Exchange, Found, StillUnknown
from wanbridge.engine.effects import Effect, Flow, Send, Sleep
from wanbridge.errors import Charge, ProviderError, TransportFailed
from wanbridge.ledger.memory import MemoryLedger
from wanbridge.ledger.protocol import Ledger
from wanbridge.model.handles import Handles
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, ImageResult
from wanbridge.money.exchange_rates import Rates
from wanbridge.money.quotes import Quote
from wanbridge.money.spend_guard import Guard
from wanbridge.routing.failover import failover
from wanbridge.routing.health import Health
from wanbridge.routing.purchase import Generate, SharedState
from wanbridge.routing.route import Candidate, Route
from wanbridge.wire import HttpResponse

T = TypeVar("T", ImageResult, Job)

KITE = ImageRequest("a red kite", seed=7)
KEY = "k-1"
RATES = Rates.of({"base": "USD", "date": "2026-11-20", "CNY": "0.14"})


class ExplicitHalide(Halide):
    """Halide, but it says more: when to look again, and that a failed task was charged for."""

    def find(self, receipt: Receipt) -> Exchange[Found]:
        exchange = Halide.find(self, receipt)
        answer = yield next(exchange)
        if (body := self.parse(answer)).get("status") == "later":
            # From *seconds* after the submit on.
            at = receipt.last_sent_at + timedelta(seconds=body["seconds"])
            return StillUnknown(detail="too early to tell", again_at=at)
        try:
            exchange.send(answer)
        except StopIteration as stop:
            found: Found = stop.value
            return found
        raise AssertionError("Halide reads one answer")

    def failure(self, response: HttpResponse, *, op: Any, job: Job | None = None) -> Any:
        error = Halide.failure(self, response, op=op, job=job)
        if isinstance(error, ProviderError) and error.code == "Charged":
            error.charge = Charge.YES
        return error


def account(name: str, cls: type[Halide] = Halide, **options: Any) -> Halide:
    """An account at Halide that is called *name*; *options* as its adapter has them."""
    return cls(api_key=f"sk-{name}-1", account=name, options=_Options(**options))


ASH, ELM, OAK = (account(name) for name in ("ash", "elm", "oak"))


def accepted(task: str) -> HttpResponse:
    """A task was made."""
    return reply({"task_id": task, "status": "queued"})


def done(task: str) -> HttpResponse:
    """A task has ended, with one picture."""
    return reply(
        {"task_id": task, "status": "done", "urls": [f"https://cdn.halide.example/{task}"]}
    )


def refused(code: str, status: int = 400, **headers: Any) -> HttpResponse:
    """A submit or poll was answered with an error."""
    return reply({"code": code}, status, **headers)


def failed(code: str | None = None) -> HttpResponse:
    """A task has ended without a picture; Halide charges nothing for that."""
    return reply({"task_id": "t", "status": "failed", "code": code})


def broken(name: str = "halide", charge: Charge = Charge.MAYBE) -> TransportFailed:
    """The line broke: after the first byte, or before it with ``Charge.NO``."""
    return TransportFailed(name, "the line broke", charge)


def in_usd(adapter: Adapter, money: Money, currency: str) -> Money | None:
    """How the guard converts here."""
    return RATES.convert(money, currency)


@define
class PlayedCall(Generic[T]):
    """What a flow asked for, and how it ended.

    Attributes:
        effects: In order, as they were asked for.
        result, error: One of them, None while the flow runs.
    """

    effects: list[Effect] = field(factory=list)
    result: T | None = None
    error: BaseException | None = None

    @property
    def posts(self) -> list[str]:
        """Who was sent a submit, in order."""
        return [e.account for e in self.effects if isinstance(e, Send) and e.billable]

    @property
    def sleeps(self) -> list[float]:
        """The waits, in order."""
        return [round(e.seconds, 3) for e in self.effects if isinstance(e, Sleep)]

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The trace, wherever it is."""
        found: tuple[Attempt, ...] = getattr(self.result or self.error, "attempts", ())
        return found

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """Account and outcome of each attempt."""
        return [(a.provider, a.outcome) for a in self.attempts]


class RoutedCalls:
    """A client's side of a route: a stage, cool-downs, and a ledger.

    Args:
        prices: What each account asks for the request, in dollars; None is unknown. Accounts
            that are not named here are unknown.
        ledger: The caller's own, which takes note of everything.
        terms: As `FlowRunner` takes them.
    """

    def __init__(
        self,
        prices: Mapping[str, str | Money | None] | None = None,
        *,
        ledger: Ledger | None = None,
        **context: Any,
    ) -> None:
        self.prices = dict(prices or {})
        self.runner = FlowRunner(**{"price": self._price, **context})
        self.ledger = ledger or MemoryLedger()
        self.health = Health()
        guard = Guard(self.ledger, in_usd, record_all=ledger is not None)
        self.shared = SharedState(self.health, guard)

    def money(self, name: str) -> Money | None:
        """The price of an account."""
        price = self.prices.get(name)
        return Money(price, "USD") if isinstance(price, str) else price

    def _price(
        self, adapter: Adapter, request: ImageRequest, delivery: Delivery | None
    ) -> Money | None:
        return self.money(adapter.account)

    def candidates(self, adapters: Sequence[Adapter]) -> list[Candidate]:
        """They, in the order given."""
        found = []
        for number, adapter in enumerate(adapters, 1):
            money = self.money(adapter.account)
            quote = Quote(
                provider=adapter.account,
                model=KITE.model,
                amount=None if money is None else money.amount,
                currency=None if money is None else money.currency,
            )
            reason = f"{number} of {len(adapters)}, as given"
            found.append(Candidate(adapter=adapter, quote=quote, reason=reason))
        return found

    def flow(
        self,
        *adapters: Adapter,
        route: Route | None = None,
        operation: Any = None,
        candidates: Sequence[Candidate] | None = None,
        key: str = KEY,
        **context: Any,
    ) -> Flow[Any]:
        """A call by *route*, which is a plain one by default."""
        return failover(
            operation or Generate(),
            route or Route(),
            self.candidates(adapters) if candidates is None else candidates,
            KITE,
            key=key,
            context=evolve(self.runner.context, **{"handles": Handles(), **context}),
            shared=self.shared,
        )

    def play(self, flow: Flow[T], *replies: object) -> PlayedCall[T]:
        """Carry *flow* out; replies as `FlowRunner.play` takes them. Whatever ends it is kept."""
        played: PlayedCall[T] = PlayedCall()
        try:
            played.result, _ = self.runner.play(_watched(flow, played.effects), *replies)
        except AssertionError:
            raise
        except BaseException as exc:
            played.error = exc
            asked = sum(not isinstance(effect, Sleep) for effect in played.effects)
            assert asked == len(replies), f"{len(replies) - asked} replies were not asked for"
        return played

    def ask(
        self, *adapters: Adapter, replies: Sequence[object], **options: Any
    ) -> PlayedCall[ImageResult]:
        """`flow`, played."""
        return self.play(self.flow(*adapters, **options), *replies)

    def listed(self) -> list[tuple[str, str]]:
        """Account and state of each purchase that the ledger lists."""
        return [(hold.account, hold.state) for hold in self.ledger.open()]

    def spent(self, route: Route) -> Decimal:
        """What is held or settled under the route's first budget."""
        budget = route.budgets[0]
        name = f"{route.scope}/{budget.limit.currency}/{budget.period or 'ever'}"
        return self.ledger.spent(name, budget.bucket(self.runner.context.now()))


def _watched(flow: Flow[T], effects: list[Effect]) -> Flow[T]:
    try:
        effect = next(flow)
        while True:
            effects.append(effect)
            try:
                answer = yield effect
            except BaseException as exc:
                effect = flow.throw(exc)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
