"""Fetching pictures: which hosts are allowed, what is retried, and what a failure says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from example_provider import reply
from flow_runner import FlowRunner
from wanbridge.engine import download as fetch
from wanbridge.engine.effects import Effect, Fetch, NoPicture, Resolve, Sleep
from wanbridge.errors import Charge, DownloadFailed, TransportFailed
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Image
from wanbridge.pictures.headers import data_uri

# A header, and as many bytes as a picture of that size has at least.
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x08\0\0\0\x04\0\x08\x02\0\0\0" + bytes(2**13)
HERE = Image(url="https://cdn.halide.example/a.png?sig=s3cret")
PUBLIC = ("93.184.216.34",)


def pour(*chunks: bytes) -> Callable[[Effect], object]:
    def served(effect: Effect) -> object:
        assert isinstance(effect, Fetch)
        return reply(b"".join(chunks))

    return served


def download(
    image: Image, *replies: object, runner: FlowRunner | None = None
) -> tuple[Image, list[Effect]]:
    runner = runner or FlowRunner()
    play = fetch.download_image("halide", image, context=runner.context)
    return runner.play(play, *replies)


def test_a_picture_is_fetched_from_the_address_that_was_checked() -> None:
    """A name that answers otherwise the second time leads nowhere else."""
    image, effects = download(HERE, PUBLIC, pour(PICTURE[:9], PICTURE[9:]))

    assert (PICTURE, "image/png", 2048, 1024) == (image.data, image.mime, image.width, image.height)
    assert Resolve(host="cdn.halide.example", port=443) == effects[0]
    assert isinstance(effects[1], Fetch)
    assert "93.184.216.34" == effects[1].address


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "172.16.9.9",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "::7f00:1",
        "::ffff:0:127.0.0.1",
        "fec0::1",
        "3fff::1",
        "192.88.99.1",
        "2002:7f00:1::",
    ],
)
def test_a_private_address_is_refused(address: str) -> None:
    """A URL in a reply is somebody else's word; it must not reach into this network."""
    with pytest.raises(DownloadFailed, match="not a public address") as caught:
        download(HERE, (*PUBLIC, address))

    assert Charge.YES == caught.value.charge
    assert HERE == caught.value.image


def test_an_origin_of_the_configuration_may_be_on_this_machine() -> None:
    """The sandbox serves its pictures itself; scheme, host and port must match exactly."""
    runner = FlowRunner(origins=frozenset({"http://127.0.0.1:8080"}))

    _, effects = download(
        Image(url="http://127.0.0.1:8080/files/1.png"), pour(PICTURE), runner=runner
    )

    assert [Fetch] == [type(e) for e in effects]
    for near in ("http://127.0.0.1:8081/1.png", "https://127.0.0.1:8080/1.png"):
        with pytest.raises(DownloadFailed, match="not a public address"):
            download(Image(url=near), ("127.0.0.1",), runner=runner)


def test_every_hop_of_a_redirect_is_checked_again() -> None:
    """A public host may point at a private one."""
    there = reply(b"", 302, location="https://inner.example/x")

    with pytest.raises(DownloadFailed, match="not a public address"):
        download(HERE, PUBLIC, there, ("10.0.0.1",))


def test_a_picture_that_claims_too_many_pixels_is_refused() -> None:
    """A decoder would take the memory for them; the link stays with the error."""
    with pytest.raises(
        DownloadFailed, match="claims 2048 x 1024 pixels, more than its 40 b"
    ) as caught:
        download(HERE, PUBLIC, pour(PICTURE[:40]))

    assert (HERE, Charge.YES) == (caught.value.image, caught.value.charge)
    assert "s3cret" not in str(caught.value)


def test_a_redirect_is_followed() -> None:
    """Relative ones too."""
    image, effects = download(
        HERE, PUBLIC, reply(b"", 307, location="/b.png"), PUBLIC, pour(PICTURE)
    )

    assert PICTURE == image.data
    assert ["https://cdn.halide.example/b.png"] == [
        e.url for e in effects[2:] if isinstance(e, Fetch)
    ]


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([PUBLIC, reply(b"", 302, location="http://cdn.halide.example/a")], "away from https"),
        ([PUBLIC, reply(b"", 302)], "without a target"),
        ([PUBLIC, reply(b"", 302, location="https://[")], "a redirect to no URL"),
        ([PUBLIC, reply(b"", 302, location="/a.png")] * 6, "more than 5 redirects"),
        ([()], "has no address"),
        ([TransportFailed("x", "cdn.halide.example is not known", Charge.NO)], "is not known"),
        ([PUBLIC, pour(b"<html>no picture")], "no picture"),
        ([PUBLIC, NoPicture("halide", "longer than 9 bytes", Charge.MAYBE)], "longer than"),
    ],
)
def test_what_is_no_picture_is_said(replies: list[object], said: str) -> None:
    """One message, without the signature in the URL."""
    with pytest.raises(DownloadFailed, match=said) as caught:
        download(HERE, *replies)

    assert "s3cret" not in str(caught.value)
    assert caught.value.expired is None


@pytest.mark.parametrize("url", ["ftp://x.example/a", "https:///a", "https://x:y/a", "oss://b/a"])
def test_a_url_that_is_none_is_refused_without_a_look_up(url: str) -> None:
    """Only https and http, with a host."""
    with pytest.raises(DownloadFailed):
        download(Image(url=url))


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_ended_link_is_said_to_have_ended(status: int) -> None:
    """The caller learns that waiting will not help."""
    with pytest.raises(DownloadFailed) as caught:
        download(HERE, PUBLIC, reply(b"", status))

    assert caught.value.expired is True


@pytest.mark.parametrize(
    "trouble", [TransportFailed("halide", "broke", Charge.MAYBE), reply(b"", 503), reply(b"", 429)]
)
def test_a_broken_download_begins_anew(trouble: object) -> None:
    """The picture is paid for; fetching it is free, and bytes are never doubled."""
    part = pour(PICTURE[:9])

    def broken(effect: Effect) -> object:
        part(effect)
        return trouble

    image, effects = download(HERE, PUBLIC, broken, PUBLIC, pour(PICTURE))

    assert PICTURE == image.data
    assert [1.0] == [e.seconds for e in effects if isinstance(e, Sleep)]


def test_downloads_are_given_up_after_four_tries() -> None:
    """The URL stays on the error, for later."""
    with pytest.raises(DownloadFailed, match="HTTP 503") as caught:
        download(HERE, *[PUBLIC, reply(b"", 503, retry_after="2")] * 4)

    assert caught.value.expired is None


def test_a_picture_in_the_reply_needs_no_call() -> None:
    """A data: URI and bytes that are here already are read where they are."""
    inside = Image(url=data_uri(PICTURE, "image/png"))

    by_uri, effects = download(inside)
    by_bytes, _ = download(Image(data=PICTURE))

    assert [] == effects
    assert (2048, 2048) == (by_uri.width, by_bytes.width)
    with pytest.raises(DownloadFailed):
        download(Image(url="data:image/png;base64,???"))


def test_measure_learns_sizes_from_first_bytes_only() -> None:
    """A 20 MB reference need not be fetched for its header."""
    runner = FlowRunner()
    known = InputImage("https://x.example/k.png", width=10, height=20)
    request = ImageRequest(
        "a kite",
        images=(
            known,
            "https://x.example/a.png",
            InputImage(data_uri(PICTURE, "image/png")),
            "oss://bucket/a.png",
            InputImage(ref={"runware": "id"}),
        ),
    )

    measured, effects = runner.play(
        fetch.measure(request, context=runner.context), PUBLIC, pour(PICTURE)
    )

    assert [10, 2048, 2048, None, None] == [i.width for i in measured.images]
    fetches = [e for e in effects if isinstance(e, Fetch)]
    assert [(True, fetch.HEADER_BYTES)] == [(e.beginning, e.limit) for e in fetches]


@pytest.mark.parametrize(
    ("url", "replies", "said"),
    [
        ("https://x.example/a.png", [("127.0.0.1",)], "not a public address"),
        ("https://x.example/a.png", [PUBLIC, pour(b"hello")], "no picture with a size"),
        ("data:image/png;base64,???", [], "base64"),
    ],
)
def test_what_cannot_be_measured_is_named(url: str, replies: list[object], said: str) -> None:
    """Nothing has been bought by then, and that is said."""
    runner = FlowRunner()
    request = ImageRequest("a kite", images=(url,))

    with pytest.raises(DownloadFailed, match=said) as caught:
        runner.play(fetch.measure(request, context=runner.context), *replies)

    assert Charge.NO == caught.value.charge


def test_sizes_already_known_need_no_call() -> None:
    """Measuring twice costs nothing."""
    runner = FlowRunner()
    image = InputImage("https://x.example/k.png", width=10, height=20)
    request = ImageRequest("a kite", images=(image,))

    measured, effects = runner.play(fetch.measure(request, context=runner.context))

    assert (request, []) == (evolve(measured), effects)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34"])
def test_a_public_address_is_taken(address: str) -> None:
    """IPv6 too, and IPv4 in its clothes."""
    image, _ = download(HERE, (address,), pour(PICTURE))

    assert PICTURE == image.data


def test_waits_between_downloads_double() -> None:
    """And four tries are all."""
    runner = FlowRunner()

    with pytest.raises(DownloadFailed):
        download(HERE, *[PUBLIC, reply(b"", 503)] * 4, runner=runner)

    assert 1000.0 + 1 + 2 + 4 == runner.time.seconds


def test_a_named_wait_is_bounded() -> None:
    """A file server that asks for an hour is asked again after half a minute."""
    runner = FlowRunner()

    download(
        HERE, PUBLIC, reply(b"", 429, retry_after="3600"), PUBLIC, pour(PICTURE), runner=runner
    )

    assert 1030.0 == runner.time.seconds


def test_five_redirects_are_followed() -> None:
    """The bound itself is allowed."""
    hop = reply(b"", 301, location="/a.png")

    image, _ = download(HERE, *[PUBLIC, hop] * 5, PUBLIC, pour(PICTURE))

    assert PICTURE == image.data


def test_every_address_of_a_host_is_tried() -> None:
    """A machine without IPv6 still gets its picture."""
    both = ("2606:4700::1111", "93.184.216.34")
    broken = TransportFailed("halide", "no connection", Charge.NO)

    _, effects = download(HERE, both, broken, both, pour(PICTURE))

    assert list(both) == [e.address for e in effects if isinstance(e, Fetch)]


def test_nothing_about_a_picture_costs_the_result() -> None:
    """It is paid for: whatever goes wrong with its bytes is a note."""
    runner = FlowRunner()
    play = fetch.fetch_inline("halide", (HERE,), runner.context, runner.context.until)

    (images, notes), _ = runner.play(play, ZeroDivisionError("sig=s3cret"))

    assert (HERE,) == images
    assert ["images[0] is not here: ZeroDivisionError"] == [n.detail for n in notes]
