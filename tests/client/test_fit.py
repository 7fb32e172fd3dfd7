"""Odd pictures at every provider, with ``fit`` and without; clients that fit; notes that arrive."""

from __future__ import annotations

import asyncio
import base64
import sys
import threading
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from odd_pictures import ODD, PATCH, drawn, exif, file_of, odd, turned
from wanbridge import AsyncClient, Client, ImageRequest, InputImage
from wanbridge.adapters.offers import PollInterval
from wanbridge.engine.context import Timeouts
from wanbridge.errors import InvalidRequest, UnsupportedFeature
from wanbridge.model.jobs import Job
from wanbridge.pictures.headers import FIT_HINT
from wanbridge.sandbox import Sandbox

# Providers that take pictures as bytes and have rules for them on a page of their own or the
# maker's. KIE's names no formats; only DashScope's speaks of alpha.
PROVIDERS = ("dashscope", "gccai", "kie", "runware")
LISTS = ("dashscope", "gccai", "runware")
# What becomes of each of `ODD` without fit: nothing is said; "note" that no page speaks of it;
# "invalid" already as a request; else who refuses it. What is said names fit, except where it is
# of no use: too small, more than 200 megapixels.
WITHOUT: dict[str, str | tuple[str, ...] | None] = {
    "png of 16 bits": None,
    "png of 16 bits, grey": None,
    "jpeg of cmyk": None,
    "jpeg with a profile": None,
    "mpo": None,
    "apng": "note",
    "animated webp": "note",
    "animated gif": LISTS,
    "gif": LISTS,
    "turned jpeg": "note",
    "turned webp": "note",
    "png with alpha": ("dashscope",),
    "webp with alpha": "note",
    "palette": None,
    "palette with a transparent colour": ("dashscope",),
    "1 px": PROVIDERS,
    "9,000 px": PROVIDERS,
    "heic": PROVIDERS,
    "avif": PROVIDERS,
    "tiff": PROVIDERS,
    "bmp": ("runware",),
    "polyglot": None,
    "cut png": None,
    "cut jpeg": None,
    "zero bytes": "invalid",
    "svg": "invalid",
    "html": "invalid",
    "huge header": PROVIDERS,
}
NO_HELP = ("1 px", "huge header")
REFUSED_WITH_FIT = ("zero bytes", "svg", "html", "huge header", "cut png", "cut jpeg")


QUICK = Timeouts(poll_interval=PollInterval(first=0.01, most=0.05))


@cache
def sandbox() -> Sandbox:
    return Sandbox()


@cache
def plain() -> Client:
    return Client.sandbox(sandbox(), timeouts=QUICK)


@cache
def fitting() -> Client:
    return Client.sandbox(sandbox(), timeouts=QUICK, fit=True)


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    plain().close()
    fitting().close()


def sent_picture(sandbox_body: bytes) -> Pillow.Image:
    """The first inline picture of a message, decoded."""
    uri = sandbox_body.split(b"data:image/", 1)[1].split(b'"', 1)[0]
    return Pillow.open(BytesIO(base64.b64decode(uri.partition(b",")[2])))


@pytest.mark.parametrize("name", ODD)
def test_without_fit_each_provider_says_what_its_page_does(name: str) -> None:
    """Refused only where a page says so; noted where none speaks of it; the way out is named."""
    expected = WITHOUT[name]
    if expected == "invalid":
        with pytest.raises(InvalidRequest, match=r"^\$\.images\[0\].*not a PNG, JPEG, WEBP"):
            ImageRequest("x", images=odd(name))
        return
    found = plain().explain(ImageRequest("x", images=odd(name)))

    for provider in PROVIDERS:
        report = found[provider].fields["images"]
        said = report.detail.partition("images[0]: ")[2]
        refuses = isinstance(expected, tuple) and provider in expected
        assert refuses is (report.outcome == "refused"), provider
        # Alpha is noted where it is not refused; a BMP is on every other list.
        silent = expected is None or (name == "bmp" and not refuses)
        assert silent is (said == ""), provider
        assert (silent or name in NO_HELP) is (FIT_HINT not in said), provider


@pytest.mark.parametrize("name", ODD)
def test_with_fit_every_provider_takes_it_or_nobody_is_asked(name: str) -> None:
    """What fitting cannot make acceptable is refused before a provider is chosen, but for size."""
    if name in REFUSED_WITH_FIT:
        with pytest.raises(InvalidRequest, match=r"^\$\.images\[0\]"):
            fitting().explain("x", images=odd(name))
        return
    found = fitting().explain("x", images=odd(name))

    outcomes = {found[provider].fields["images"].outcome for provider in PROVIDERS}
    assert (name == "1 px") is ("refused" in outcomes)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ["heic", "animated gif", "png with alpha", "turned jpeg"])
def test_a_fitted_picture_is_bought_and_its_changes_are_noted(name: str, provider: str) -> None:
    """Through the fake provider, which judges pictures by its own reading of the manual."""
    result = fitting().generate(ImageRequest("x", images=odd(name)), size="1K", provider=provider)

    changes = InputImage.from_bytes(odd(name), fit=True).changes
    noted = [n.detail for n in result.notes if (n.field, n.kind) == ("images", "adapted")]
    assert changes
    assert [f"images[0]: {change}" for change in changes] == [n for n in noted if "images[0]" in n]


def test_without_fit_nothing_is_sent() -> None:
    """The refusal comes before the message, and names field, picture and way out."""
    with pytest.raises(UnsupportedFeature) as caught:
        plain().generate(ImageRequest("x", images=odd("heic")), provider="dashscope")

    assert "images" == caught.value.field
    assert caught.value.reason.startswith("images[0]: image/heic; taken here: image/bmp")
    assert FIT_HINT in str(caught.value)


def test_boxes_follow_their_picture_to_the_wire() -> None:
    """Boxes count upright pixels; what is sent has the same content in them."""
    wide = (9000, 1200)
    patch = (3000, 300, 4500, 900)
    data = file_of(turned(6, drawn(wide, patch)), "JPEG", exif=exif(6), quality=95)
    request = ImageRequest("x", images={"url": data, "regions": [patch]}, size="1K")

    [http] = [fitting().explain(request)["dashscope"].http]

    assert http is not None
    assert isinstance(http.body, bytes)
    x1, y1, x2, y2 = (2666, 266, 4000, 801)
    assert f'"bbox_list":[[[{x1},{y1},{x2},{y2}]]]' in http.body.decode().replace(" ", "")
    with sent_picture(http.body) as picture:
        assert (8000, 1067) == picture.size
        inside = picture.getpixel((x1 + 4, y1 + 4)), picture.getpixel((x2 - 5, y2 - 5))
        outside = picture.getpixel((x1 - 5, y1 - 5)), picture.getpixel((x2 + 4, y2 + 4))
    for red, grey in zip(inside, outside, strict=True):
        assert isinstance(red, tuple)
        assert isinstance(grey, tuple)
        assert red[0] > 180 > 90 > red[1]
        assert min(grey) > 180


def test_boxes_on_a_turned_picture_are_noted_without_fit() -> None:
    """Nobody documents whether they count stored or upright pixels."""
    image = InputImage.from_bytes(odd("turned jpeg"), regions=[(1, 1, 200, 200)])
    assert (240, 320) == (image.width, image.height)

    report = plain().explain("x", images=image)["dashscope"].fields["regions"]

    assert "sent" == report.outcome
    assert report.detail.startswith("images[0]: the picture is turned by EXIF (orientation 6)")
    assert FIT_HINT in report.detail


def test_a_box_that_is_only_on_the_upright_picture_needs_fit() -> None:
    """As stored it leaves the picture, which would be an edit of nothing."""
    image = InputImage.from_bytes(odd("turned jpeg"), regions=[(250, 10, 310, 200)])

    refused = plain().explain("x", images=image)["dashscope"]
    taken = fitting().explain("x", images=image)["dashscope"]

    assert "regions" == refused.problems[0].field
    assert "240x320 px as stored, and turned by EXIF" in refused.problems[0].reason
    assert FIT_HINT in refused.problems[0].reason
    assert taken.ok
    with pytest.raises(InvalidRequest, match="leaves the picture"):
        InputImage.from_bytes(odd("turned jpeg"), regions=[(250, 10, 321, 250)])


def test_links_and_stored_digests_are_left_alone() -> None:
    """Nothing is fetched in order to be fitted."""
    link = InputImage("https://img.example.com/kite.heic", width=9000, height=100)
    digest = InputImage.from_bytes(odd("gif")).stored()
    request = ImageRequest("x", images=[link, digest])

    assert request is request.fitted()
    with pytest.raises(InvalidRequest, match=r"only a picture whose bytes are here .* not https:"):
        link.fitted()
    with pytest.raises(InvalidRequest, match="only the SHA-256"):
        digest.fitted()


def test_a_fitted_request_fits_to_itself() -> None:
    """Fitted by the caller and again by the client: the same message, no note twice."""
    image = InputImage.from_bytes(odd("turned jpeg"), regions=[PATCH], fit=True)
    request = ImageRequest("x", images=[image])

    assert request is request.fitted()
    assert plain().explain(request)["gccai"] == fitting().explain(request)["gccai"]
    assert image == InputImage.from_bytes(odd("turned jpeg"), regions=[PATCH], fit=True)


def test_every_picture_that_cannot_be_fitted_is_named() -> None:
    """All at once, each with its place."""
    request = ImageRequest("x", images=[odd("cut png"), odd("gif"), odd("huge header")])

    with pytest.raises(InvalidRequest) as caught:
        request.fitted()

    assert ["$.images[0].url", "$.images[2].url"] == [p.path for p in caught.value.problems]


def test_changes_survive_a_stored_job() -> None:
    """The process that collects the pictures notes what the one that bought them has done."""
    job = fitting().submit(ImageRequest("x", images=odd("gif")), size="1K", provider="dashscope")

    result = plain().wait(Job.from_json(job.to_json()))

    assert any("from GIF to PNG" in note.detail for note in result.notes)


def test_the_loop_goes_on_while_pictures_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photograph takes a second, in which other calls and timers would wait."""
    from wanbridge.pictures import fit

    gif: Any = odd("gif")
    entered, released = threading.Event(), threading.Event()
    real = fit.fit_picture

    def slow(data: bytes) -> fit.FittedPicture:
        entered.set()
        assert released.wait(30)
        return real(data)

    async def main() -> Any:
        async with AsyncClient.sandbox(fit=True, timeouts=QUICK) as client:
            call = asyncio.ensure_future(
                client.generate("x", images=gif, size="1K", provider="dashscope")
            )
            await asyncio.to_thread(entered.wait, 30)
            # Only a loop that runs comes here before the picture is done.
            released.set()
            quotes = await client.compare("x", images=gif)
            workload = await client.compare_all([ImageRequest("x", images=gif)])
            job = await client.submit("x", images=gif, size="1K", provider="dashscope")
            return await call, quotes, workload, job

    monkeypatch.setattr(fit, "fit_picture", slow)
    result, quotes, workload, job = asyncio.run(main())

    assert any("from GIF to PNG" in note.detail for note in result.notes)
    assert not [q.refused for q in quotes if q.provider == "dashscope" and q.refused]
    assert workload
    assert ("from GIF to PNG",) == job.request.images[0].changes


def test_a_client_that_does_not_fit_needs_no_imaging_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Formats, turns and frames are told by headers."""
    data = {name: odd(name) for name in ("heic", "gif", "apng", "turned webp", "png with alpha")}
    for module in [m for m in sys.modules if m.partition(".")[0] in ("PIL", "pillow_heif")]:
        monkeypatch.setitem(sys.modules, module, None)

    for picture in data.values():
        report = plain().explain("x", images=picture)["dashscope"].fields["images"]
        assert FIT_HINT in report.detail
    with pytest.raises(ImportError, match=r"pip install 'wanbridge\[images\]'"):
        fitting().explain("x", images=data["gif"])


def test_the_configuration_turns_it_on(tmp_path: Path) -> None:
    """``[client] fit = true``; and the constructor's word counts more."""
    file = tmp_path / "wanbridge.toml"
    file.write_text('[client]\nfit = true\ndeadline = 9\n[providers.dashscope]\napi_key = "k"\n')
    file.chmod(0o600)

    with Client.from_config(file) as client:
        assert client.explain("x", images=odd("heic"))["dashscope"].ok
    with Client.from_config(file, fit=False) as client:
        assert not client.explain("x", images=odd("heic"))["dashscope"].ok
