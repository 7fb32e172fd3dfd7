"""Runware's peculiarities; what every adapter promises is tested elsewhere."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from wanbridge.adapters.fitting import fit
from wanbridge.adapters.steps import (
    Delivery,
    Done,
    Found,
    Missing,
    NotAccepted,
    Op,
    Pending,
    Resend,
    StillUnknown,
)
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    ContentRefused,
    CreditExhausted,
    GenerationFailed,
    InvalidRequest,
    MalformedResponse,
    MissingCredentials,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    UnsupportedFeature,
)
from wanbridge.model.inputs import InputImage
from wanbridge.model.jobs import Job, Receipt
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Failure
from wanbridge.model.size import Size
from wanbridge.providers.runware import Runware
from wanbridge.wire import HttpRequest, HttpResponse

TASK = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"
OTHER = "9f2c1d3e-7b6a-4c5d-8e9f-0a1b2c3d4e5f"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RUNWARE = Runware(api_key="rw-secret")
KITE = ImageRequest("a red kite")
PAIR = evolve(KITE, n=2)
DUNES = "https://assets.example.com/in/dunes.jpg"
BOARD = "https://assets.example.com/in/board.webp"
PALETTE = (("#1e2a39", "34"), ("#C6A15B", "33.5"), ("#E8E1D6", "32.50%"))

ACK = {"taskType": "imageInference", "taskUUID": TASK}
RUNNING = {**ACK, "status": "processing"}
FIRST = {
    **ACK,
    "status": "success",
    "imageUUID": "c1f4c0de-8a55-4f0e-8a39-0b1d5e6f7a80",
    "imageURL": "https://im.example.com/a.png",
    "seed": 4012345678,
    "cost": 0.03,
}
SECOND = {
    **ACK,
    "status": "success",
    "imageUUID": "0d9be7a1-4c2d-4b9a-9d6c-53f1a7c2b9e6",
    "imageURL": "https://im.example.com/b.png",
    "seed": 77120,
    "cost": 0.03,
}
TIMEOUT = {
    "code": "timeoutProvider",
    "status": "error",
    "message": "upstream gave no answer in time",
    "taskUUID": TASK,
}
BROKEN = {
    **ACK,
    "status": "error",
    "error": {"code": "timeoutProvider", "message": "upstream gave no answer in time"},
}
CONFLICT = {"code": "conflictTaskUUID", "message": "taskUUID is in use", "taskUUID": TASK}


def job_of(request: ImageRequest = KITE, **state: int) -> Job:
    return Job(
        provider="runware",
        account="runware",
        base_url="https://api.runware.ai/v1",
        id=TASK,
        request=request,
        submitted_at=NOON,
        key=TASK,
        state=state,
    )


def http(
    body: Any, status: int = 200, *, after: float = 0.0, retry_after: str | None = None
) -> HttpResponse:
    return HttpResponse(
        status=status,
        headers={} if retry_after is None else {"Retry-After": retry_after},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        received_at=NOON + timedelta(seconds=after),
    )


def reply(
    *data: dict[str, Any], errors: Sequence[dict[str, Any]] = (), status: int = 200
) -> HttpResponse:
    return http({"data": list(data), **({"errors": list(errors)} if errors else {})}, status)


def message(request: ImageRequest, key: str = TASK) -> HttpRequest:
    fitted = fit(RUNWARE, request).settle()
    return RUNWARE.submit(fitted.request, fitted.offer, key=key)


def task_of(request: ImageRequest, key: str = TASK) -> dict[str, Any]:
    (task,) = message(request, key).json()
    assert isinstance(task, dict)
    return task


def problems(request: ImageRequest) -> list[str]:
    return [problem.field for problem in fit(RUNWARE, request).problems]


def done(response: HttpResponse, job: Job) -> Delivery:
    assert RUNWARE.failure(response, op=Op.POLL, job=job) is None
    step = RUNWARE.read_poll(response, job)
    assert isinstance(step, Done)
    return step.delivery


def pending(response: HttpResponse, job: Job) -> Pending:
    assert RUNWARE.failure(response, op=Op.POLL, job=job) is None
    step = RUNWARE.read_poll(response, job)
    assert isinstance(step, Pending)
    return step


def failed(response: HttpResponse, op: Op = Op.POLL, job: Job | None = None) -> ProviderError:
    error = RUNWARE.failure(response, op=op, job=job)
    assert error is not None
    return error


# -- requests ------------------------------------------------------------------------------


def test_a_submit_is_one_array_to_one_url_in_runwares_own_order() -> None:
    """The whole message, as the model page has it."""
    sent = message(evolve(PAIR, seed=7, size=Size(1280, 768)))

    assert ("POST", "https://api.runware.ai/v1") == (sent.method, sent.url)
    assert "Bearer rw-secret" == sent.header("authorization")
    assert "application/json" == sent.header("content-type")
    assert (
        b'[{"taskType":"imageInference","taskUUID":"5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44",'
        b'"model":"alibaba:wan@2.7-image","positivePrompt":"a red kite","width":1280,'
        b'"height":768,"seed":7,"numberResults":2,"outputType":"URL","outputFormat":"PNG",'
        b'"deliveryMethod":"async","includeCost":true,"settings":{"thinking":true}}]'
    ) == sent.body


def test_an_edit_names_pictures_boxes_and_palette() -> None:
    """No thinking with images; regions run parallel to the images, [] for one without."""
    request = ImageRequest(
        "hang the kite of image 1 in the box of image 2",
        model="wan2.7-image-pro",
        images=(
            InputImage(DUNES),
            InputImage(BOARD, regions=((989, 515, 1138, 681), (0, 0, 16, 16))),
            InputImage(ref={"runware": OTHER}),
        ),
        color_palette=PALETTE,
        size=Size(1536, 1024),
        seed=0,
    )

    assert {
        "taskType": "imageInference",
        "taskUUID": TASK,
        "model": "alibaba:wan@2.7-image-pro",
        "positivePrompt": "hang the kite of image 1 in the box of image 2",
        "width": 1536,
        "height": 1024,
        "seed": 0,
        "numberResults": 1,
        "outputType": "URL",
        "outputFormat": "PNG",
        "deliveryMethod": "async",
        "includeCost": True,
        "inputs": {"referenceImages": [DUNES, BOARD, OTHER]},
        "settings": {
            "colorPalette": [
                {"hex": "#1E2A39", "ratio": "34.00%"},
                {"hex": "#C6A15B", "ratio": "33.50%"},
                {"hex": "#E8E1D6", "ratio": "32.50%"},
            ],
            "editRegions": [[], [[989, 515, 1138, 681], [0, 0, 16, 16]], []],
        },
    } == task_of(request)


def test_an_edit_without_boxes_or_palette_has_no_settings() -> None:
    """An empty settings object says nothing."""
    task = task_of(evolve(KITE, images=(DUNES,), size=Size(1024, 1024)))

    assert {"referenceImages": [DUNES]} == task["inputs"]
    assert "settings" not in task


def test_a_set_is_sequential_without_thinking() -> None:
    """Upstream ignores thinking in sets."""
    task = task_of(
        evolve(KITE, sequential=True, n=12, size=Size.parse("3:2"), model="wan2.7-image-pro")
    )

    assert {"sequential": True} == task["settings"]
    assert (12, 2016, 1344) == (task["numberResults"], task["width"], task["height"])


@pytest.mark.parametrize(("thinking", "sent"), [(None, True), (True, True), (False, False)])
def test_thinking_is_always_said_in_text_to_image(thinking: bool | None, sent: bool) -> None:
    """A provider's default may change."""
    assert {"thinking": sent} == task_of(evolve(KITE, thinking=thinking))["settings"]


def test_thinking_with_images_is_noted_and_not_sent() -> None:
    """Runware accepts it, upstream ignores it."""
    fitted = fit(RUNWARE, evolve(KITE, images=(DUNES,), size=Size(768, 768), thinking=True))

    assert [("thinking", "ignored")] == [(note.field, note.kind) for note in fitted.notes]
    (task,) = RUNWARE.submit(fitted.request, fitted.offer, key=TASK).json()
    assert "settings" not in task


@pytest.mark.parametrize(
    ("output_format", "sent"), [(None, "PNG"), ("png", "PNG"), ("jpeg", "JPG"), ("webp", "WEBP")]
)
def test_the_format_is_always_said_since_its_default_is_lossy(
    output_format: str | None, sent: str
) -> None:
    """Runware's own default is JPG."""
    assert sent == task_of(evolve(KITE, output_format=output_format))["outputFormat"]


def test_inline_asks_for_base64() -> None:
    """The job's reply can carry the bytes."""
    assert "base64Data" == task_of(evolve(KITE, inline=True))["outputType"]


def test_a_callback_url_goes_beside_async_delivery() -> None:
    """Both together are allowed, and polling stays possible."""
    task = task_of(evolve(KITE, callback_url="https://app.example.com/hook"))

    assert ("https://app.example.com/hook", "async") == (task["webhookURL"], task["deliveryMethod"])


def test_extras_come_last_into_the_task() -> None:
    """Only ours; what is not ours never arrives here."""
    extra: dict[str, dict[str, Any]] = {
        "runware": {"outputQuality": 90, "ttl": 60, "safety": {"checkContent": True}},
        "kie": {"nsfw_checker": True},
    }
    task = task_of(evolve(KITE, extra=extra))

    assert ["outputQuality", "ttl", "safety"] == list(task)[-3:]
    assert "nsfw_checker" not in task


@pytest.mark.parametrize(
    "key",
    [
        *task_of(
            evolve(
                KITE,
                images=(DUNES,),
                color_palette=PALETTE,
                size=Size(768, 768),
                seed=1,
                callback_url="https://app.example.com/hook",
            )
        ),
        "uploadEndpoint",
    ],
)
def test_an_extra_cannot_replace_what_we_write(key: str) -> None:
    """Counts, ids, delivery and callbacks are the client's business."""
    with pytest.raises(InvalidRequest, match=rf"\$\.extra\.runware\.{key}"):
        fit(RUNWARE, evolve(KITE, extra={"runware": {key: 1}}))


def test_a_data_uri_goes_as_it_is() -> None:
    """No upload step: stored pictures would be shrunk under the boxes."""
    uri = "data:image/png;base64,AAAA"
    task = task_of(evolve(KITE, images=(InputImage(uri, width=800, height=800),)))

    assert {"referenceImages": [uri]} == task["inputs"]


def test_boxes_on_a_ref_come_with_a_warning() -> None:
    """Runware keeps at most 2048 px a side of what it stores."""
    held = InputImage(ref={"runware": OTHER}, regions=((0, 0, 9, 9),))
    fitted = fit(RUNWARE, evolve(KITE, images=(held,), size=Size(1024, 1024)))

    assert [("regions", "info")] == [(note.field, note.kind) for note in fitted.notes]


def test_a_ref_of_somebody_else_cannot_be_said_even_unchecked() -> None:
    """There is no word for it, so no limit to lift."""
    elsewhere = InputImage(ref={"kie": "1"})
    fitted = fit(
        RUNWARE, evolve(KITE, images=(elsewhere,), size=Size(1024, 1024)), check_limits=False
    )

    with pytest.raises(UnsupportedFeature, match="a ref of runware is needed"):
        RUNWARE.submit(fitted.request, fitted.offer, key=TASK)


@pytest.mark.parametrize(
    ("key", "uuid"),
    [
        (TASK, TASK),
        (TASK.upper(), TASK),
        # Version 1, and no UUID at all: from the SHA-256 of the key.
        ("5b0a9a7e-2f61-1c1e-9d0b-6d7f3a1c2e44", "e1fadf22-5183-4f6a-a906-4a9ceb91f204"),
        ("order 7", "0fc89f8a-e193-44b4-8deb-d6353bb9ad33"),
    ],
)
def test_the_key_is_the_task(key: str, uuid: str) -> None:
    """The same key is the same task, in every process."""
    assert uuid == task_of(KITE, key)["taskUUID"]


@pytest.mark.parametrize(
    ("model", "size", "images", "sequential", "sent"),
    [
        ("wan2.7-image", "2K", False, False, (2048, 2048)),
        ("wan2.7-image", "16:9", False, False, (2048, 1152)),
        ("wan2.7-image", "4:3@1K", True, False, (1168, 880)),
        ("wan2.7-image-pro", "4K", False, False, (4096, 4096)),
        ("wan2.7-image-pro", "3:2@4K", False, False, (4080, 2720)),
        ("wan2.7-image-pro", "16:9@2K", False, False, (2704, 1520)),
        ("wan2.7-image-pro", "16:9@2K", True, False, (2048, 1152)),
        ("wan2.7-image-pro", "16:9@2K", False, True, (2048, 1152)),
    ],
)
def test_sizes_are_pixels_within_the_sides_of_model_and_mode(
    model: str, size: str, images: bool, sequential: bool, sent: tuple[int, int]
) -> None:
    """Runware has neither tiers nor ratios as words."""
    task = task_of(
        evolve(
            KITE,
            model=model,
            size=size,
            images=(DUNES,) if images else (),
            sequential=sequential,
        )
    )

    assert sent == (task["width"], task["height"])


@pytest.mark.parametrize(
    ("model", "size", "images", "sequential"),
    [
        ("wan2.7-image", "752x1024", False, False),
        ("wan2.7-image", "2064x1024", False, False),
        ("wan2.7-image", "1000x1000", False, False),
        ("wan2.7-image", "4K", False, False),
        ("wan2.7-image", "8:1", False, False),
        ("wan2.7-image-pro", "4112x4096", False, False),
        ("wan2.7-image-pro", "2064x1024", True, False),
        ("wan2.7-image-pro", "2064x1024", False, True),
        ("wan2.7-image-pro", "4K", True, False),
        ("wan2.7-image-pro", "4K", False, True),
    ],
)
def test_sizes_beyond_the_sides_are_refused(
    model: str, size: str, images: bool, sequential: bool
) -> None:
    """768 to 2048 in steps of 16; 4096 only for pro, without images, outside sets."""
    pictures = (DUNES,) if images else ()

    assert ["size"] == problems(
        evolve(KITE, model=model, size=size, images=pictures, sequential=sequential)
    )


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (evolve(KITE, negative_prompt="blurry"), ["negative_prompt"]),
        (evolve(KITE, watermark=True), ["watermark"]),
        (ImageRequest("k" * 3001), ["prompt"]),
        (ImageRequest(images=(DUNES,), size=Size(768, 768)), ["prompt"]),
        (evolve(KITE, images=(DUNES,)), ["size"]),
        (evolve(KITE, images=("oss://b/k.png",), size=Size(768, 768)), ["images"]),
        (evolve(KITE, sequential=True, color_palette=PALETTE), ["color_palette"]),
    ],
)
def test_what_runware_cannot_say_is_refused(request_: ImageRequest, fields: list[str]) -> None:
    """No such parameter, or the size of the last image is not known."""
    assert fields == problems(request_)


def test_3000_characters_and_plain_http_are_taken() -> None:
    """The limit is inclusive; pictures may come over http."""
    images = ("http://a.example/b.png",)

    assert [] == problems(ImageRequest("k" * 3000, images=images, size=Size(768, 768)))


def test_palette_entries_are_the_palette_colors_of_the_request() -> None:
    """A tuple, a mapping and a PaletteColor are the same."""
    palette = [PaletteColor("#1E2A39", Decimal(34)), *PALETTE[1:]]

    assert task_of(evolve(KITE, color_palette=PALETTE)) == task_of(
        evolve(KITE, color_palette=palette)
    )


def test_the_key_is_in_no_repr_and_needed_to_call() -> None:
    """Logs are shared."""
    assert "rw-secret" not in repr(RUNWARE) + repr(message(KITE)) + repr(RUNWARE.poll(job_of()))
    with pytest.raises(MissingCredentials, match="RUNWARE_API_KEY"):
        Runware().poll(job_of())


def test_a_poll_asks_where_the_job_was_accepted() -> None:
    """With the original UUID, which is the task's address."""
    sent = RUNWARE.poll(evolve(job_of(), base_url="https://eu.example/v1"))

    assert ("POST", "https://eu.example/v1") == (sent.method, sent.url)
    assert [{"taskType": "getResponse", "taskUUID": TASK}] == sent.json()
    assert "Bearer rw-secret" == sent.header("Authorization")


# -- replies to a submit ----------------------------------------------------------------------


@pytest.mark.parametrize("response", [reply(ACK), reply(), reply(RUNNING)])
@pytest.mark.parametrize("op", [Op.SUBMIT, Op.RESEND])
def test_an_acknowledgement_opens_the_job(response: HttpResponse, op: Op) -> None:
    """One element whatever the count; an empty array is one too."""
    assert RUNWARE.failure(response, op=op) is None
    assert Pending(job_of(PAIR)) == RUNWARE.read_submission(response, PAIR, key=TASK)


def test_an_acknowledgement_with_all_pictures_is_the_result() -> None:
    """Asynchronous is what we asked for, not what always comes."""
    response = reply(FIRST, SECOND)

    assert RUNWARE.failure(response, op=Op.SUBMIT) is None
    step = RUNWARE.read_submission(response, PAIR, key=TASK)
    assert isinstance(step, Done)
    assert 2 == len(step.delivery.images)


def test_an_acknowledgement_with_one_picture_of_two_is_pending() -> None:
    """It is counted, and waited for the other."""
    assert Pending(job_of(PAIR)) == RUNWARE.read_submission(reply(FIRST), PAIR, key=TASK)


def test_a_submit_answered_with_a_picture_and_an_error_is_a_partial_result() -> None:
    """The good one is paid for."""
    response = reply(FIRST, errors=[TIMEOUT])

    assert RUNWARE.failure(response, op=Op.SUBMIT) is None
    step = RUNWARE.read_submission(response, PAIR, key=TASK)
    assert isinstance(step, Done)
    assert (Failure(code="timeoutProvider", message="upstream gave no answer in time"),) == (
        step.delivery.failures
    )


def test_an_acknowledgement_with_an_error_beside_it_is_a_job() -> None:
    """There is a task; polling tells how it ends."""
    response = reply(ACK, errors=[TIMEOUT])

    assert RUNWARE.failure(response, op=Op.SUBMIT) is None
    assert isinstance(RUNWARE.read_submission(response, KITE, key=TASK), Pending)


def test_errors_of_another_task_do_not_concern_us() -> None:
    """Results and failures are matched by taskUUID."""
    response = reply(ACK, errors=[{**TIMEOUT, "taskUUID": OTHER}])

    assert RUNWARE.failure(response, op=Op.SUBMIT) is None
    assert isinstance(RUNWARE.read_submission(response, KITE, key=TASK), Pending)


@pytest.mark.parametrize(
    "response",
    [
        http({}),
        http({"data": None}),
        http({"errors": []}),
        http({"data": [{**ACK, "taskUUID": OTHER}]}),
        http({"data": [{"taskType": "imageInference"}]}),
        http({"data": [{**ACK, "taskUUID": None}]}),
        http({"data": {}}),
        http("accepted"),
        http(b"<html>ok</html>"),
        http(b""),
        http(b"\xff\xfe\x00"),
    ],
)
def test_a_good_status_without_an_acknowledgement_is_malformed(response: HttpResponse) -> None:
    """Nobody knows whether it was accepted."""
    assert RUNWARE.failure(response, op=Op.SUBMIT) is None
    with pytest.raises(MalformedResponse) as caught:
        RUNWARE.read_submission(response, KITE, key=TASK)
    assert Charge.MAYBE == caught.value.charge


def test_a_conflict_on_the_first_send_is_somebody_elses_task() -> None:
    """Never polled; and it may be our own from another process, so nobody knows the cost."""
    for response in (
        reply(errors=[CONFLICT], status=400),
        reply(errors=[CONFLICT]),
        reply(ACK, errors=[CONFLICT]),
        reply(errors=[TIMEOUT, CONFLICT], status=400),
    ):
        error = failed(response, Op.SUBMIT)
        assert (RequestRejected, Charge.MAYBE) == (type(error), error.charge)
        assert "conflictTaskUUID" == error.code


@pytest.mark.parametrize(
    "response", [reply(errors=[CONFLICT], status=400), reply(errors=[CONFLICT])]
)
def test_a_conflict_on_a_resend_is_the_acknowledgement_that_was_lost(
    response: HttpResponse,
) -> None:
    """The task is ours: the same key was sent a second ago."""
    assert Resend.SAME_KEY_IS_SAFE is RUNWARE.resend
    assert RUNWARE.failure(response, op=Op.RESEND) is None
    assert Pending(job_of()) == RUNWARE.read_submission(response, KITE, key=TASK)


@pytest.mark.parametrize(
    ("status", "code", "cls", "charge"),
    [
        (400, "invalidWidth", RequestRejected, Charge.NO),
        (400, "unsupportedParameter", RequestRejected, Charge.NO),
        (400, "contentPolicyViolation", ContentRefused, Charge.NO),
        (400, "providerTimeout", ProviderUnavailable, Charge.MAYBE),
        (401, "invalidApiKey", AuthenticationFailed, Charge.NO),
        (401, "brandNewCode", AuthenticationFailed, Charge.NO),
        (402, "insufficientCredits", CreditExhausted, Charge.NO),
        (403, "insufficientPermissions", AuthenticationFailed, Charge.NO),
        (404, "modelNotFound", RequestRejected, Charge.NO),
        (408, "brandNewCode", ProviderUnavailable, Charge.MAYBE),
        (429, "rateLimitExceeded", RateLimited, Charge.NO),
        (429, "quotaExceeded", CreditExhausted, Charge.NO),
        (500, "internalServerError", ProviderUnavailable, Charge.MAYBE),
        (503, "serviceUnavailable", ProviderUnavailable, Charge.MAYBE),
        (503, "noAvailableServer", ProviderUnavailable, Charge.MAYBE),
        (504, "failedTaskTimeout", ProviderUnavailable, Charge.MAYBE),
        # Inside a 200 only the client's source says that there is no task yet.
        (200, "invalidWidth", RequestRejected, Charge.MAYBE),
        (200, "insufficientCredits", CreditExhausted, Charge.MAYBE),
        (200, "rateLimitExceeded", RateLimited, Charge.MAYBE),
        (200, "brandNewCode", ProviderUnavailable, Charge.MAYBE),
    ],
)
def test_a_refused_submit_says_who_what_and_whether_it_cost(
    status: int, code: str, cls: type[ProviderError], charge: Charge
) -> None:
    """NO only for what Runware's own page documents as not taken on."""
    body = {"data": [], "errors": [{"code": code, "message": "no", "taskUUID": TASK}]}
    error = failed(http(body, status, retry_after="3"), Op.SUBMIT)

    assert (cls, charge, code) == (type(error), error.charge, error.code)
    assert (3.0, body, False) == (error.retry_after, error.raw, error.final)
    assert Charge.MAYBE == failed(http(body, status), Op.RESEND).charge


def test_a_429_with_the_task_acknowledged_beside_it_may_have_cost() -> None:
    """The queue refused, and took it on: nobody knows."""
    error = failed(reply(ACK, errors=[{"code": "rateLimitExceeded"}], status=429), Op.SUBMIT)

    assert (RateLimited, Charge.MAYBE) == (type(error), error.charge)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"error": {"code": "invalidModel", "message": "no"}}, "invalidModel", "no"),
        ({"error": {"code": "invalidModel"}, "taskUUID": TASK}, "invalidModel", "no explanation"),
        ({"error": "no such thing"}, None, "no such thing"),
        ([{"code": "invalidModel", "message": "no"}], "invalidModel", "no"),
        ({"errors": {"code": "invalidModel", "message": "no"}}, "invalidModel", "no"),
        ({"errors": ["no"]}, None, "no"),
        ({"errors": [{"code": 7, "message": None, "taskUUID": 7}]}, None, "no explanation"),
        ({"errors": [{"message": "no", "parameter": "width"}]}, None, "width: no"),
        ({"errors": [{"message": "width: no", "parameter": "width"}]}, None, "width: no"),
        (
            {"errors": [{"message": "no", "parameter": ["inputs", "settings.editRegions", 3]}]},
            None,
            "inputs, settings.editRegions: no",
        ),
    ],
)
def test_odd_error_shapes_are_read(body: Any, code: str | None, text: str) -> None:
    """Official clients have met all of them."""
    error = failed(http(body, 400), Op.SUBMIT)

    assert (RequestRejected, Charge.NO) == (type(error), error.charge)
    assert (code, text) == (error.code, error.message)


@pytest.mark.parametrize(
    ("status", "cls", "charge"),
    [
        (302, ProviderUnavailable, Charge.MAYBE),
        (400, RequestRejected, Charge.MAYBE),
        (403, ProviderUnavailable, Charge.NO),
        (429, RateLimited, Charge.MAYBE),
        (502, ProviderUnavailable, Charge.MAYBE),
    ],
)
@pytest.mark.parametrize("body", [b"<html>gateway</html>", {"data": []}, {"detail": "?"}, 7])
def test_an_error_page_is_judged_by_its_status(
    body: Any, status: int, cls: type[ProviderError], charge: Charge
) -> None:
    """A gateway spoke; a 403 without Runware's words is its edge."""
    error = failed(http(body, status), Op.SUBMIT)

    assert (cls, charge) == (type(error), error.charge)


@pytest.mark.parametrize(
    ("cls", "codes"),
    [
        (AuthenticationFailed, "invalidApiKey missingApiKey unauthorized authenticationFailed"),
        (AuthenticationFailed, "tokenExpired tokenInvalid accountSuspended organizationDisabled"),
        (AuthenticationFailed, "forbidden permissionDenied insufficientPermissions someApiKeyBad"),
        (CreditExhausted, "insufficientCredits providerInsufficientCredits quotaExceeded"),
        (CreditExhausted, "paymentRequired lowBalance someQuotaThing"),
        (RateLimited, "rateLimitExceeded inferenceRateLimitExceeded providerRateLimitExceeded"),
        (ContentRefused, "contentPolicyViolation providerContentPolicyViolation promptBlocked"),
        (ContentRefused, "sensitiveContentDetected unsafeContentDetected nsfwContentDetected"),
        (ContentRefused, "imageBlocked moderationFailed invalidProviderContent contentModeration"),
        (GenerationFailed, "timeoutProvider failedTaskTimeout providerTimeout TIMEOUT"),
        (GenerationFailed, "providerGatewayTimeout taskCancelled"),
        (RequestRejected, "taskNotFound modelNotFound mediaNotFound linkExpired"),
        (RequestRejected, "taskFailedOrNotFound"),
        (ProviderUnavailable, "internalServerError serviceUnavailable serverUnavailable"),
        (ProviderUnavailable, "unknownError standardError unrecognizedResponse"),
        (GenerationFailed, "inferenceError processingFailed taskFailed downloadFailed"),
        (GenerationFailed, "uploadFailed noAvailableServer modelUnavailable modelNotReady"),
        (GenerationFailed, "modelDisabled providerSaysNo"),
        (RequestRejected, "invalidWidth missingPositivePrompt unsupportedParameter conflictX"),
        (RequestRejected, "duplicateTask valueTooLarge arrayTooSmall maxTasks unknownParameter"),
        (RequestRejected, "incompatibleParameters validationFailed conflictTaskUUID"),
        (RequestRejected, "invalidPositivePrompt invalidPositivePromptLength invalidPixels"),
        (None, "brandNewCode"),
    ],
)
def test_codes_are_classed_by_pattern_in_the_order_of_the_page(
    cls: type[ProviderError] | None, codes: str
) -> None:
    """The catalogue has hundreds of codes and changes."""
    assert dict.fromkeys(codes.split(), cls) == {
        code: RUNWARE.class_of(code) for code in codes.split()
    }


# -- polls ---------------------------------------------------------------------------------


def test_a_finished_task_is_delivered_with_its_cost() -> None:
    """One element per picture; seeds exceed what a request takes; dollars are summed exactly."""
    response = reply(FIRST, SECOND)
    delivery = done(response, job_of(PAIR))

    assert [
        ("https://im.example.com/a.png", 4012345678),
        ("https://im.example.com/b.png", 77120),
    ] == [(image.url, image.seed) for image in delivery.images]
    assert Money("0.06", "USD") == delivery.cost
    assert ((), ()) == (delivery.failures, delivery.notes)
    assert response.json() == delivery.raw
    assert delivery.request_id is None


def test_a_picture_that_is_told_twice_is_one() -> None:
    """Answers are cumulative; pictures are counted by imageUUID."""
    assert isinstance(pending(reply(FIRST, FIRST, RUNNING), job_of(PAIR)), Pending)


def test_pictures_without_an_id_are_not_lost() -> None:
    """They count one each."""
    anonymous = {k: v for k, v in FIRST.items() if k != "imageUUID"}

    assert 2 == len(done(reply(anonymous, {**SECOND, "imageUUID": 7}), job_of(PAIR)).images)


@pytest.mark.parametrize("cost", [None, 0, 0.0, "free", True])
def test_an_unknown_cost_of_one_picture_makes_the_sum_unknown(cost: Any) -> None:
    """Zero is not free, and a part is not the whole."""
    assert done(reply(FIRST, {**SECOND, "cost": cost}), job_of(PAIR)).cost is None


@pytest.mark.parametrize(
    "status", ["processing", "pending", "queued", "scheduled", "waiting", None]
)
def test_a_task_that_goes_on_is_pending(status: str | None) -> None:
    """The older names too; an element that says nothing goes on."""
    assert Pending(job_of()) == pending(reply({**ACK, "status": status}), job_of())


@pytest.mark.parametrize(
    ("progress", "told"),
    [(35, 0.35), (0, 0.0), (100, 1.0), (250, 1.0), (-1, 0.0), ("half", None), (None, None)],
)
def test_progress_is_a_share(progress: Any, told: float | None) -> None:
    """Percent on the wire, and never worth losing a job."""
    assert told == pending(reply({**RUNNING, "progress": progress}), job_of()).progress


def test_retry_after_of_a_poll_is_kept() -> None:
    """Not documented, honoured if present."""
    response = http({"data": [RUNNING]}, retry_after="4")

    assert 4.0 == pending(response, job_of()).retry_after


def test_an_output_without_a_status_is_a_success() -> None:
    """As in replies that were not polled."""
    bare = {k: v for k, v in FIRST.items() if k != "status"}

    assert 1 == len(done(reply(bare), job_of()).images)


@pytest.mark.parametrize(
    ("field", "value", "url", "data"),
    [
        ("imageURL", "https://im.example.com/a.png", "https://im.example.com/a.png", None),
        ("imageBase64Data", "UE5H", None, b"PNG"),
        ("imageDataURI", "data:image/png;base64,UE5H", None, b"PNG"),
    ],
)
def test_a_picture_is_read_whichever_way_it_comes(
    field: str, value: str, url: str | None, data: bytes | None
) -> None:
    """What comes follows outputType, and none of it is trusted to."""
    element = {**ACK, "status": "success", "imageUUID": "u", field: value}
    (image,) = done(reply(element), job_of()).images

    assert (url, data) == (image.url, image.data)


def test_a_flagged_picture_is_delivered_with_a_note() -> None:
    """NSFWContent is a remark, not a refusal."""
    delivery = done(reply(FIRST, {**SECOND, "NSFWContent": True}), job_of(PAIR))

    assert [("images[1]", "info")] == [(note.field, note.kind) for note in delivery.notes]


def test_unreadable_side_facts_become_notes() -> None:
    """A paid picture is not lost to a seed of the wrong type."""
    odd = {**FIRST, "seed": "7", "cost": [], "NSFWContent": 1, "progress": {}}
    delivery = done(reply(odd), job_of())

    assert (None, None) == (delivery.images[0].seed, delivery.cost)
    assert {"$.data[0].seed", "$.data[0].cost", "$.data[0].NSFWContent", "$.data[0].progress"} == {
        note.field for note in delivery.notes if isinstance(note, Note)
    }


@pytest.mark.parametrize(
    "response",
    [
        reply(FIRST, errors=[TIMEOUT]),
        reply(FIRST, BROKEN),
        # Told in both places, it is still one.
        reply(FIRST, BROKEN, errors=[TIMEOUT]),
    ],
)
def test_one_success_and_one_failure_is_a_shortfall(response: HttpResponse) -> None:
    """In either shape; the good picture is kept."""
    delivery = done(response, job_of(PAIR))

    assert 1 == len(delivery.images)
    assert (Failure(code="timeoutProvider", message="upstream gave no answer in time"),) == (
        delivery.failures
    )


def test_one_failure_told_in_both_places_does_not_end_a_task_early() -> None:
    """The second picture is still being made, and paid for."""
    step = pending(reply(BROKEN, RUNNING, errors=[TIMEOUT]), job_of(PAIR))
    assert {} == step.job.state


def test_a_success_without_a_picture_is_a_failure_beside_others() -> None:
    """Whatever it says, nothing can be fetched."""
    for empty in ({}, {"imageURL": ""}, {"imageBase64Data": "***"}, {"imageDataURI": "data:,"}):
        hollow = {**ACK, "status": "success", "imageUUID": "u", **empty}
        delivery = done(reply(FIRST, hollow), job_of(PAIR))
        assert (Failure(code=None, message="ended without a picture"),) == delivery.failures


def test_fewer_pictures_than_asked_need_two_polls_that_say_so() -> None:
    """In sets the model decides how many; one quiet moment proves nothing."""
    series = evolve(KITE, sequential=True, n=4)

    first = pending(reply(FIRST, SECOND), job_of(series))
    assert {"pictures": 2, "failures": 0} == first.job.state
    stored = Job.from_json(first.job.to_json())
    assert 2 == len(done(reply(SECOND, FIRST), stored).images)


def test_more_pictures_or_work_between_two_polls_start_the_count_anew() -> None:
    """Two polls in a row must say the same."""
    series = evolve(KITE, sequential=True, n=4)

    more = pending(reply(FIRST, SECOND), job_of(series, pictures=1, failures=0))
    assert {"pictures": 2, "failures": 0} == more.job.state
    busy = pending(reply(FIRST, SECOND, RUNNING), more.job)
    assert {} == busy.job.state


def test_more_pictures_than_asked_are_all_delivered() -> None:
    """They are paid for."""
    assert 2 == len(done(reply(FIRST, SECOND), job_of()).images)


def test_a_set_in_which_less_failed_than_was_asked_ends_on_the_second_poll() -> None:
    """One entry may stand for the whole task."""
    response = reply(errors=[TIMEOUT])

    step = pending(response, job_of(PAIR))
    error = failed(response, job=step.job)
    assert (GenerationFailed, True) == (type(error), error.final)


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("timeoutProvider", GenerationFailed),
        ("internalServerError", GenerationFailed),
        ("inferenceError", GenerationFailed),
        ("brandNewCode", GenerationFailed),
        ("providerContentPolicyViolation", ContentRefused),
        ("nsfwContentDetected", ContentRefused),
        ("providerInsufficientCredits", CreditExhausted),
        ("providerRateLimitExceeded", RateLimited),
        ("mediaNotFound", RequestRejected),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_task_that_ended_without_a_picture_is_final(
    code: str, cls: type[ProviderError], nested: bool
) -> None:
    """In either shape, at HTTP 200, with the job on it."""
    entry = {"code": code, "message": "it broke"}
    response = (
        reply({**ACK, "status": "error", "error": entry})
        if nested
        else reply(errors=[{**entry, "status": "error", "taskUUID": TASK}])
    )
    error = failed(response, job=job_of())

    assert (cls, True, Charge.MAYBE) == (type(error), error.final, error.charge)
    assert (code, "it broke", job_of()) == (error.code, error.message, error.job)


@pytest.mark.parametrize("code", ["timeoutProvider", "providerRateLimitExceeded", "brandNewCode"])
def test_a_failure_of_the_task_needs_no_status(code: str) -> None:
    """Codes that cannot be about the poll."""
    assert failed(reply(errors=[{"code": code, "message": "m"}]), job=job_of()).final


def test_moderation_at_400_ends_a_task_too() -> None:
    """Its HTTP status is not documented; status "error" in the entry is."""
    blocked = {**TIMEOUT, "code": "contentModeration"}
    error = failed(reply(errors=[blocked], status=400), job=job_of())

    assert (ContentRefused, True) == (type(error), error.final)


def test_a_failure_with_a_cost_was_paid() -> None:
    """Runware says so itself."""
    broken = {**ACK, "status": "error", "cost": 0.03, "error": "it broke"}
    error = failed(reply(broken), job=job_of())

    assert (GenerationFailed, Charge.YES) == (type(error), error.charge)
    assert "ended without a picture" == error.message


def test_a_success_without_any_picture_is_no_success() -> None:
    """Completed and empty: at least MAYBE."""
    error = failed(reply({**ACK, "status": "success", "imageUUID": "u"}), job=job_of())

    assert (GenerationFailed, Charge.MAYBE, True) == (type(error), error.charge, error.final)


@pytest.mark.parametrize(
    "response",
    [
        reply(),
        reply(errors=[{"code": "taskNotFound", "message": "?", "taskUUID": TASK}]),
        reply(errors=[{"code": "taskNotFound", "status": "error"}]),
        reply(errors=[{"code": "taskFailedOrNotFound"}]),
        reply(errors=[{"code": "taskNotFound", "message": "?"}], status=404),
        reply(errors=[{"code": "taskNotFound", "message": "?"}], status=400),
        reply({**ACK, "status": "error", "error": {"code": "taskNotFound"}}),
        reply(errors=[{**TIMEOUT, "taskUUID": OTHER}]),
    ],
)
def test_an_unknown_task_is_missing(response: HttpResponse) -> None:
    """Not yet or no longer: the flow knows how long to believe it."""
    assert RUNWARE.failure(response, op=Op.POLL, job=job_of()) is None
    assert isinstance(RUNWARE.read_poll(response, job_of()), Missing)
    assert 30.0 == RUNWARE.offer("wan2.7-image").limits.missing_grace


@pytest.mark.parametrize(
    ("status", "body", "cls"),
    [
        (200, {"errors": [{"code": "invalidApiKey"}]}, AuthenticationFailed),
        (200, {"errors": [{"code": "rateLimitExceeded", "taskUUID": TASK}]}, RateLimited),
        (200, {"error": "try later"}, ProviderUnavailable),
        (200, {"errors": [{"code": "internalServerError"}]}, ProviderUnavailable),
        (400, {"errors": [{"code": "invalidTaskUUID"}]}, RequestRejected),
        (401, {"errors": [{"code": "invalidApiKey"}]}, AuthenticationFailed),
        (402, {"errors": [{"code": "insufficientCredits", "status": "error"}]}, CreditExhausted),
        (429, {"errors": [TIMEOUT]}, ProviderUnavailable),
        (429, {"errors": [{"code": "rateLimitExceeded"}]}, RateLimited),
        (500, {"data": [{**ACK, "status": "error"}]}, ProviderUnavailable),
        (503, {"errors": [{"code": "taskNotFound"}]}, RequestRejected),
        (502, b"<html>bad gateway</html>", ProviderUnavailable),
        (404, b"<html>not here</html>", RequestRejected),
    ],
)
def test_a_refused_poll_never_ends_the_job(
    status: int, body: Any, cls: type[ProviderError]
) -> None:
    """It says nothing of the task."""
    error = failed(http(body, status), job=job_of())

    assert (cls, False, Charge.MAYBE) == (type(error), error.final, error.charge)
    assert job_of() == error.job


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"data": [{**FIRST, "status": "completed"}]}, r"\$\.data\[0\]\.status"),
        ({"data": [{**FIRST, "imageURL": 7}]}, r"\$\.data\[0\]\.imageURL"),
        ({"data": [{**FIRST, "taskUUID": None}]}, r"\$\.data\[0\]\.taskUUID"),
        ({"data": "soon"}, r"\$\.data"),
        ({}, "nothing about task"),
        (b"<html>", "not JSON"),
    ],
)
def test_an_unreadable_poll_names_the_path(body: Any, path: str) -> None:
    """And leaves the job alone."""
    assert RUNWARE.failure(http(body), op=Op.POLL, job=job_of()) is None
    with pytest.raises(MalformedResponse, match=path) as caught:
        RUNWARE.read_poll(http(body), job_of())
    assert not caught.value.final


def test_null_errors_cost_no_picture() -> None:
    """Absent, null and empty are the same."""
    assert 1 == len(done(http({"data": [FIRST], "errors": None}), job_of()).images)


def test_a_picture_counts_at_any_status() -> None:
    """It is there, whatever the line above it says."""
    assert 1 == len(done(reply(FIRST, status=504), job_of()).images)


# -- looking an uncertain submit up ---------------------------------------------------------------


def receipt(key: str = TASK) -> Receipt:
    return Receipt(
        provider="runware",
        account="runware",
        base_url="https://api.runware.ai/v1",
        key=key,
        request=PAIR,
        digest="0" * 64,
        first_sent_at=NOON - timedelta(seconds=5),
        last_sent_at=NOON,
    )


def found(response: HttpResponse) -> Found:
    search = RUNWARE.find(receipt())
    assert RUNWARE.poll(job_of()) == next(search)
    with pytest.raises(StopIteration) as stop:
        search.send(response)
    result: Found = stop.value.value
    return result


@pytest.mark.parametrize(
    "response",
    [
        reply(ACK),
        reply(RUNNING),
        reply(FIRST, SECOND),
        reply(FIRST, errors=[TIMEOUT]),
        reply(errors=[TIMEOUT]),
        reply(errors=[TIMEOUT, TIMEOUT]),
    ],
)
def test_a_task_that_is_known_was_accepted(response: HttpResponse) -> None:
    """Also one that has failed: waiting for it tells how."""
    assert job_of(PAIR) == found(response)


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        (0, StillUnknown),
        (29.9, StillUnknown),
        (30, NotAccepted),
        (600, NotAccepted),
        (600.1, StillUnknown),
        (86400, StillUnknown),
    ],
)
@pytest.mark.parametrize("body", [{"data": []}, {"errors": [{"code": "taskNotFound"}]}])
def test_an_unknown_task_was_not_accepted_only_for_a_while(
    body: Any, after: float, outcome: type[Found]
) -> None:
    """Earlier it may not be registered yet, later it may be forgotten."""
    assert isinstance(found(http(body, after=after)), outcome)


def test_a_reply_without_its_time_settles_nothing() -> None:
    """No clock here but the reply's."""
    assert isinstance(found(HttpResponse(status=200, body=b'{"data":[]}')), StillUnknown)


@pytest.mark.parametrize(
    ("response", "cls"),
    [
        (http({"errors": [{"code": "invalidApiKey"}]}, 401), AuthenticationFailed),
        (http(b"<html>", 502), ProviderUnavailable),
        (http(b"<html>"), MalformedResponse),
    ],
)
def test_a_refused_look_up_is_raised(response: HttpResponse, cls: type[ProviderError]) -> None:
    """The flow tells that nothing is known."""
    search = RUNWARE.find(receipt())
    next(search)
    with pytest.raises(cls):
        search.send(response)


def test_a_look_up_asks_for_the_task_of_the_key() -> None:
    """Whatever the key looks like."""
    request = next(RUNWARE.find(receipt("order 7")))

    assert task_of(KITE, "order 7")["taskUUID"] == request.json()[0]["taskUUID"]


def test_a_refusal_without_a_job_is_told_of_any_message() -> None:
    """A flow may ask before it knows a job."""
    assert RUNWARE.failure(reply(errors=[TIMEOUT]), op=Op.FIND) is None
    assert not failed(reply(errors=[{"code": "invalidApiKey"}], status=401), Op.FIND).final


# -- offers ------------------------------------------------------------------------------------


def test_both_models_are_sold_with_their_sources() -> None:
    """Pro's page could be read in part; its sizes say whose word they are."""
    assert {
        "wan2.7-image": ("alibaba:wan@2.7-image", True, Charge.MAYBE),
        "wan2.7-image-pro": ("alibaba:wan@2.7-image-pro", True, Charge.MAYBE),
    } == {o.model: (o.alias, o.verified, o.failure_charge) for o in RUNWARE.offers}
    assert "third parties" in RUNWARE.offer("wan2.7-image-pro").limits.source


def test_inputs_are_judged_by_the_maker_s_rules() -> None:
    """A generation that fails on its input may cost money here; formats are Runware's own."""
    bmp = InputImage.from_bytes(b"BM" + bytes(12) + b"\x28" + bytes(11))
    wide = InputImage(DUNES, width=9000, height=3000)

    problems = fit(RUNWARE, evolve(KITE, images=(bmp, wide), size="1K")).problems

    assert any("images[0]: image/bmp; taken here: image/jpeg" in p.reason for p in problems)
    assert any("images[1]: 9000x3000; each side at most 8,000" in p.reason for p in problems)
