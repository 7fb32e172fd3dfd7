"""What the cassettes show: one short story each, for the recorder and for the replay.

A story is a generator that yields ``(method, arguments, options)`` of a client and is sent what
the method gives, so that both clients can play it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from attrs import evolve, field, frozen

from sandbox_calls import SharedClock
from wanbridge import AsyncClient, Client, ImageRequest, InputImage, PaletteColor, Receipt
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.registry import Registry

KEY = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"
START = 1_795_168_800.0  # 2026-11-20 10:00 UTC
SECRET = "sk-replayed"

RUNWARE = "https://runware.ai/docs/models/alibaba-wan2-7-image"
RUNWARE_ERRORS = "https://runware.ai/docs/platform/errors"
RUNWARE_POLLING = "https://runware.ai/docs/platform/task-polling"
REAPI = "https://reapi.ai/docs/wan-2-7-image"
REAPI_TASKS = "https://reapi.ai/docs/api/tasks"
REAPI_ERRORS = "https://reapi.ai/docs/api/errors"
REAPI_BALANCE = "https://reapi.ai/docs/api/balance"
ALIYUN = "https://help.aliyun.com/zh/model-studio"
DASHSCOPE = f"{ALIYUN}/wan-image-generation-and-editing-api-reference"
DASHSCOPE_TASKS = f"{ALIYUN}/manage-asynchronous-tasks"
DASHSCOPE_ERRORS = f"{ALIYUN}/error-code"
GCCAI = "https://gccai.heqingsong.uk/en/api-reference/images/wan2.7-image/generation"
# GCCAI's own page on tasks could not be read; its twin's says the same.
GCCAI_TASKS = "https://docs.apimart.ai/en/api-reference/tasks/status"
GCCAI_BALANCE = "https://gccai.heqingsong.uk/en/api-reference/account/token-balance"
KIE = "https://docs.kie.ai/market/wan/2-7-image"
KIE_TASKS = "https://docs.kie.ai/market/common/get-task-detail"
KIE_BALANCE = "https://docs.kie.ai/common-api/get-account-credits"
EMPIRIOLABS = "https://docs.empiriolabs.ai/models/wan2-7-image"
EMPIRIOLABS_JOBS = "https://docs.empiriolabs.ai/api-reference/api-reference/jobs/retrieve-job"
EMPIRIOLABS_ERRORS = "https://docs.empiriolabs.ai/api-reference-overview"
EMPIRIOLABS_LIST = "https://github.com/EmpirioLabs-AI/mcp"
CRUN = "https://docs.crun.ai/models/wan/wan-2-7-image-pro"
CRUN_TASKS = "https://docs.crun.ai/models/common/get-task-info"
CRUN_BALANCE = "https://docs.crun.ai/common-api/get-account-credits"

Play = Generator[tuple[str, tuple[Any, ...], dict[str, Any]], Any, Any]
Script = Callable[[], Play]

KITE = ImageRequest("a red kite over dunes", size="1K", n=2, seed=7)
DOORS = ImageRequest(
    "paint the two marked doors and leave the rest",
    size="1024x1024",
    images=(
        InputImage(
            "https://assets.example.com/in/terrace.jpg",
            regions=([60, 300, 260, 900], [700, 310, 910, 905]),
        ),
    ),
    color_palette=(
        PaletteColor("#1E2A39", "34.00"),
        PaletteColor("#C6A15B", "33.25"),
        PaletteColor("#E8E1D6", "32.75"),
    ),
)
# Where a size is a word, never pixels.
IN_WORDS = evolve(DOORS, size="1K")
# Without a seed, whose name is a guess at Crun.
PLAIN = ImageRequest("a red kite over dunes", size="1K", n=2)
MOON = ImageRequest("one bay under four phases of the moon", size="1K", n=4, sequential=True)


class Clock(SharedClock):
    """From when the stories play; sleeping moves it, nobody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.at = START


def bought(request: ImageRequest) -> Script:
    """``generate``, by one submit and as many polls as it takes."""

    def script() -> Play:
        return (yield "generate", (request,), {"key": KEY})

    return script


def cancelled() -> Play:
    """``submit``, then ``cancel``."""
    job = yield "submit", (KITE,), {"key": KEY}
    return (yield "cancel", (job,), {})


def asked_for_balance() -> Play:
    """``balance``."""
    return (yield "balance", (), {})


def looked_up() -> Play:
    """``submit``, then ``reconcile`` as if its reply had been lost."""
    job = yield "submit", (KITE,), {"key": KEY}
    receipt = Receipt(
        provider=job.provider,
        account=job.account,
        base_url=job.base_url,
        key=job.key,
        request=job.request,
        digest="0" * 64,
        first_sent_at=job.submitted_at,
        last_sent_at=job.submitted_at,
    )
    return (yield "reconcile", (receipt,), {})


@frozen(kw_only=True)
class Scenario:
    """One cassette.

    Attributes:
        name: Of the file, ``provider/what_it_shows``.
        page: Where the provider documents what is shown.
        simulated: False if its cassette is written by hand from that page.
        options: Of the adapter.
        latency, faults, switches, balance: Of the sandbox, for recording.
    """

    name: str
    page: str
    script: Script
    simulated: bool = True
    options: Mapping[str, Any] = field(factory=dict)
    latency: float = 3.0
    faults: tuple[dict[str, Any], ...] = ()
    switches: Mapping[str, Any] = field(factory=dict)
    balance: int | None = None

    @property
    def provider(self) -> str:
        return self.name.partition("/")[0]

    def play(self, *, base_url: str | None = None, key: str = SECRET, clock: Clock) -> Any:
        """The story through `Client`: what it gives, or the error."""
        client = Client(
            [self._account(base_url, key)],
            clock=clock,
            now=clock.now,
            sleep=clock.sleep,
            chance=lambda: 0.0,
        )
        play = self.script()
        with client:
            try:
                method, given, named = next(play)
                while True:
                    method, given, named = play.send(getattr(client, method)(*given, **named))
            except StopIteration as stop:
                return stop.value

    async def play_async(self, *, clock: Clock) -> Any:
        """The same through `AsyncClient`."""
        client = AsyncClient(
            [self._account(None, SECRET)],
            clock=clock,
            now=clock.now,
            sleep=clock.sleep_async,
            chance=lambda: 0.0,
        )
        play = self.script()
        async with client:
            try:
                method, given, named = next(play)
                while True:
                    method, given, named = play.send(await getattr(client, method)(*given, **named))
            except StopIteration as stop:
                return stop.value

    def _account(self, base_url: str | None, key: str) -> Adapter:
        return Registry().build(
            self.provider, api_key=key, base_url=base_url, options=dict(self.options)
        )


def _runware(name: str, script: Script, page: str = RUNWARE, **more: Any) -> Scenario:
    return Scenario(name=f"runware/{name}", script=script, page=page, latency=2.0, **more)


def _reapi(name: str, script: Script, page: str = REAPI, **more: Any) -> Scenario:
    return Scenario(name=f"reapi/{name}", script=script, page=page, **more)


def _dashscope(name: str, script: Script, page: str = DASHSCOPE, **more: Any) -> Scenario:
    return Scenario(name=f"dashscope/{name}", script=script, page=page, **more)


def _gccai(name: str, script: Script, page: str = GCCAI, **more: Any) -> Scenario:
    return Scenario(name=f"gccai/{name}", script=script, page=page, **more)


def _kie(name: str, script: Script, page: str = KIE, **more: Any) -> Scenario:
    return Scenario(name=f"kie/{name}", script=script, page=page, **more)


def _empiriolabs(name: str, script: Script, page: str = EMPIRIOLABS, **more: Any) -> Scenario:
    return Scenario(name=f"empiriolabs/{name}", script=script, page=page, **more)


def _crun(name: str, script: Script, page: str = CRUN, **more: Any) -> Scenario:
    return Scenario(name=f"crun/{name}", script=script, page=page, **more)


SCENARIOS: tuple[Scenario, ...] = (
    _runware("submit_then_two_polls", bought(KITE)),
    _runware("two_regions_and_a_palette", bought(DOORS)),
    _runware("refused_prompt", bought(KITE), RUNWARE_ERRORS, faults=({"kind": "refuse_content"},)),
    _runware("out_of_credit", bought(KITE), RUNWARE_ERRORS, balance=0),
    _runware(
        "conflict_stands_for_a_lost_acknowledgement",
        bought(KITE),
        RUNWARE_ERRORS,
        faults=({"kind": "server_error", "accept": True, "status": 503},),
    ),
    _runware(
        "one_picture_of_two_fails",
        bought(KITE),
        RUNWARE_POLLING,
        faults=({"kind": "fewer_images"},),
    ),
    _runware("timeout_beside_a_picture", bought(KITE), RUNWARE_POLLING, simulated=False),
    _reapi("submit_then_two_polls", bought(KITE), REAPI_TASKS),
    _reapi("two_regions_and_a_palette", bought(DOORS)),
    _reapi("refused_prompt", bought(KITE), REAPI_TASKS, faults=({"kind": "refuse_content"},)),
    _reapi("out_of_credit", bought(KITE), REAPI_ERRORS, balance=10),
    _reapi(
        "too_many_requests_then_accepted",
        bought(KITE),
        REAPI_ERRORS,
        faults=({"kind": "rate_limit", "retry_after": 2},),
    ),
    _reapi("balance", asked_for_balance, REAPI_BALANCE),
    _reapi("completed_without_created_at", bought(KITE), REAPI, simulated=False),
    _dashscope("submit_then_two_polls", bought(KITE), DASHSCOPE_TASKS),
    _dashscope("two_regions_and_a_palette", bought(DOORS)),
    _dashscope("sync_answers_with_the_pictures", bought(KITE), options={"mode": "sync"}),
    _dashscope(
        "refused_prompt_inside_output",
        bought(KITE),
        DASHSCOPE_TASKS,
        faults=({"kind": "refuse_content"},),
    ),
    _dashscope(
        "refused_prompt_beside_output",
        bought(KITE),
        faults=({"kind": "refuse_content"},),
        switches={"failed_shape": "top"},
    ),
    _dashscope("out_of_credit", bought(KITE), DASHSCOPE_ERRORS, balance=0),
    _dashscope(
        "cancelled_while_queued", cancelled, DASHSCOPE_TASKS, switches={"queue_seconds": 60}
    ),
    _dashscope("list_of_candidates", looked_up, DASHSCOPE_TASKS),
    _dashscope("set_in_one_choice", bought(MOON), simulated=False, options={"mode": "sync"}),
    _gccai("submit_then_polls", bought(KITE), GCCAI_TASKS),
    _gccai("two_regions_and_a_palette", bought(DOORS)),
    _gccai("refused_prompt", bought(KITE), GCCAI_TASKS, faults=({"kind": "refuse_content"},)),
    _gccai("out_of_credit", bought(KITE), GCCAI_TASKS, balance=0),
    _gccai("balance", asked_for_balance, GCCAI_BALANCE),
    _kie("submit_then_polls", bought(KITE), KIE_TASKS),
    _kie("two_regions_and_a_palette", bought(IN_WORDS)),
    _kie("refused_prompt", bought(KITE), KIE_TASKS, faults=({"kind": "refuse_content"},)),
    _kie("out_of_credit_inside_200", bought(KITE), KIE_TASKS, balance=0),
    _kie("balance", asked_for_balance, KIE_BALANCE),
    _empiriolabs("submit_then_polls", bought(KITE), EMPIRIOLABS_JOBS),
    _empiriolabs("two_regions_and_a_palette", bought(DOORS)),
    _empiriolabs("out_of_credit", bought(KITE), EMPIRIOLABS_ERRORS, balance=0),
    _empiriolabs("list_of_candidates", looked_up, EMPIRIOLABS_LIST),
    _crun("submit_then_polls", bought(PLAIN), CRUN_TASKS),
    _crun(
        "two_regions_and_a_palette_by_guess",
        bought(IN_WORDS),
        options={"allow_unverified": True},
    ),
    _crun("out_of_credit", bought(PLAIN), balance=0),
    _crun("too_many_requests_stay_uncertain", bought(PLAIN), faults=({"kind": "rate_limit"},)),
    _crun("balance", asked_for_balance, CRUN_BALANCE),
)
