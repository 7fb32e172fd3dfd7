"""The public API in a typed program: mypy and pyright check it strictly, nothing runs it."""

# pyright: strict

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, ClassVar, assert_type

import PIL.Image
from attrs import field, frozen

import wanbridge
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.offers import Limits, Offer, PollInterval
from wanbridge.adapters.replies import ErrorDetail
from wanbridge.adapters.steps import (
    Cancelled,
    Delivery,
    Done,
    Exchange,
    ModelInfo,
    NotAccepted,
    Op,
    Pending,
    Step,
    StillUnknown,
    TooLate,
)
from wanbridge.errors import CreditExhausted
from wanbridge.model.size_rules import SizeLimits
from wanbridge.wire import HttpRequest, HttpResponse, compact, json_request


def buy(client: wanbridge.Client) -> None:
    """Fields by name, a request, and a route, which is a name or a value."""
    result = client.generate("a kite", size="16:9@2K", n=2, seed=7, provider="runware")
    assert_type(result, wanbridge.ImageResult)
    assert_type(result.images, tuple[wanbridge.Image, ...])
    assert_type(result.cost, wanbridge.Money | None)
    assert_type(result.attempts[0].charge, wanbridge.Charge)

    request = wanbridge.ImageRequest(
        "a kite",
        images=(wanbridge.InputImage.from_file("a.jpg", regions=[(0, 0, 9, 9)]),),
        size=wanbridge.Size(resolution="2K"),
    )
    route = wanbridge.Route("any", order="cheapest", budget=wanbridge.Money("0.50", "USD"))
    assert_type(client.generate(request, route=route, may_drop=("seed",)), wanbridge.ImageResult)
    assert_type(client.compare(request, currency="EUR"), list[wanbridge.Quote])
    assert_type(client.save(result.images[0], Path("kite")), Path)
    assert_type(client.save(result.images[0], "s3://bucket/kite"), Path | str)
    assert_type(client.save_all(result, Path("kites"), metadata="prompt"), list[Path])


def keep(store: wanbridge.ObjectStore) -> None:
    """A store by its URL, as settings or as a value."""
    assert_type(store.link("s3://bucket/kite.png", 60), str)
    client = wanbridge.Client.from_env(storage="s3://bucket/prefix")
    assert_type(client.storage, wanbridge.ObjectStore | None)
    wanbridge.Client(storage={"url": "s3://bucket/prefix", "region": "eu-central-1"})


def give_pictures(client: wanbridge.Client, upload: bytes, photo: PIL.Image.Image) -> None:
    """Whatever is held, one alone or several."""
    several: list[wanbridge.PictureLike] = ["a.jpg", Path("b.png"), upload, photo]
    client.generate("a kite", images=several, size=(1024, 768))
    client.generate("a kite", images=io.BytesIO(upload))
    with Path("a.jpg").open("rb") as file:
        client.generate("a kite", images=[file, {"url": "b.png", "regions": [(0, 0, 9, 9)]}])
    client.generate("a kite", images=wanbridge.InputImage.of(photo, regions=[(0, 0, 9, 9)]))


def collect(client: wanbridge.Client, text: str) -> wanbridge.ImageResult | None:
    """A job now, its pictures later, and a receipt where the outcome is unknown."""
    try:
        job = client.submit("a kite", on_progress=show)
        assert_type(job, wanbridge.Job)
        outcome = client.cancel(job)
        assert_type(outcome, Cancelled | TooLate)
        return client.wait(wanbridge.Job.from_json(text), deadline=60.0)
    except wanbridge.SubmissionUncertain as error:
        assert_type(error.receipt, wanbridge.Receipt | None)
        if error.receipt is not None:
            found = client.reconcile(error.receipt)
            assert_type(found, wanbridge.Job | NotAccepted | StillUnknown)
    except wanbridge.CallFailed as error:
        assert_type(error.elsewhere, bool)
    except wanbridge.AllProvidersFailed as error:
        assert_type(error.attempts, tuple[wanbridge.Attempt, ...])
    return None


def show(event: wanbridge.Event) -> None:
    """Events are a union to match on."""
    match event:
        case wanbridge.Accepted(job):
            assert_type(job, wanbridge.Job)
        case wanbridge.Polled():
            assert_type(event.progress, float | None)
        case wanbridge.Submitting(receipt):
            assert_type(receipt, wanbridge.Receipt)
        case wanbridge.Asking() | wanbridge.Retrying():
            assert_type(event.account, str)


async def buy_async(adapter: Adapter) -> None:
    """The same calls to await."""
    async with wanbridge.AsyncClient([adapter], ledger=wanbridge.MemoryLedger()) as client:
        result = await client.generate("a kite", route="cheapest", deadline=90.0)
        assert_type(result, wanbridge.ImageResult)
        assert_type(await client.save(result.images[0], Path("kite"), metadata=False), Path)
        assert_type(await client.balance("runware"), wanbridge.Money)
        assert_type(await client.models(), tuple[ModelInfo, ...])


# -- an adapter in another package ---------------------------------------------------------

_SIZES = SizeLimits(tiers=("1K",), source="https://docs.halide.example, read 2026-08-22")


@frozen(kw_only=True)
class Options:
    """An adapter's own options."""

    region: str | None = None


@frozen
class Task:
    """The shape of a reply."""

    id: str
    links: list[str] = field(factory=list[str])


@frozen(kw_only=True)
class Halide(Adapter):
    """Class data without annotations, and the methods of every adapter."""

    name = "halide"
    default_url = "https://api.halide.example/v1"
    Options: ClassVar[type[Any]] = Options
    poll_interval = PollInterval(first=2.0, most=5.0)
    not_accepted = frozenset({400, 402})
    error_codes: ClassVar = {"NoCredit": CreditExhausted}
    reserved = frozenset({"model", "prompt"})
    offers = (
        Offer(
            model="wan2.7-image",
            alias="halide-wan",
            fields=frozenset({"size"}),
            limits=Limits(text=_SIZES, edit=_SIZES, set=_SIZES, source=_SIZES.source),
            failure_charge=wanbridge.Charge.NO,
        ),
    )

    def submit(self, request: wanbridge.ImageRequest, offer: Offer, *, key: str) -> HttpRequest:
        """The billable message."""
        body: dict[str, Any] = {"model": offer.alias, "prompt": request.prompt}
        url, extras = f"{self.base_url}/tasks", self.extras(request)
        return json_request("POST", url, headers=self.bearer(), body={**compact(body), **extras})

    def read_submission(
        self, response: HttpResponse, request: wanbridge.ImageRequest, *, key: str
    ) -> Step:
        """The task."""
        task = self.structure(response, Task)
        assert_type(task, Task)
        return Pending(self.job(response, request, task.id, key=key))

    def poll(self, job: wanbridge.Job) -> HttpRequest:
        """The task's state."""
        return json_request("GET", f"{job.base_url}/tasks/{job.id}", headers=self.bearer())

    def read_poll(self, response: HttpResponse, job: wanbridge.Job) -> Step:
        """The pictures."""
        task = self.structure(response, Task)
        images = tuple(wanbridge.Image(url=link) for link in task.links)
        return Done(Delivery(images=images, raw=response.json())) if images else Pending(job)

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """Code and message of an error reply."""
        return ErrorDetail(code=str(body["code"]), message=str(body["message"]))

    def balance(self) -> Exchange[wanbridge.Money]:
        """A conversation: yields a message, is sent the reply."""
        response = yield json_request("GET", f"{self.base_url}/balance", headers=self.bearer())
        assert_type(response, HttpResponse)
        return self.credits(len(self.read(response, Op.BALANCE, Task).links))


def accounts(registry: wanbridge.Registry) -> tuple[Adapter, ...]:
    """Adapters by class and by name."""
    registry.add(Halide)
    return Halide(api_key="sk", options=Options(region="eu")), registry.build("kie", api_key="sk")
