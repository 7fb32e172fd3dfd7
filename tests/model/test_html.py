"""What a notebook shows: no request goes out, no text becomes a tag, a ``repr`` is one screen."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from attrs import evolve

from marked_pictures import drawn
from wanbridge import Client
from wanbridge.errors import Charge
from wanbridge.model.money import Money
from wanbridge.model.notes import Note
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import Attempt, Failure, Image, ImageResult
from wanbridge.money.quotes import Quote
from wanbridge.pictures.headers import data_uri

HOSTILE = "</td><script>alert(1)</script><img src='https://evil.example/x.png'>\"&"
LINK = "https://cdn.example/kite.png?signature=s3cret"


class Page(HTMLParser):
    """The tags and the text of a fragment; every tag that is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", list[str]()
        self.feed(html)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def sources(self) -> list[str]:
        """Everything that a browser would fetch."""
        return [
            value or ""
            for _, attrs in self.tags
            for name, value in attrs.items()
            if name in ("src", "href", "srcset", "data", "action", "background")
        ]


def page(value: object) -> Page:
    html = value._repr_html_()  # type: ignore[attr-defined]
    return Page(html)


def result_of(*images: Image, **fields: object) -> ImageResult:
    given = {"provider": "halide", "model": "wan2.7-image", "job_id": "t-1", "requested": 2}
    return ImageResult(**{**given, "images": images, **fields})  # type: ignore[arg-type]


def test_a_result_shows_its_pictures_cost_and_notes() -> None:
    """Thumbnails of what is here; of what is not, the link as text and without its signature."""
    here = Image(url=LINK, data=drawn("PNG", size=(800, 600)), seed=7)
    inline = Image(url=data_uri(drawn("JPEG"), "image/jpeg"))
    away = Image(url=LINK, expires_at=datetime(2026, 11, 29, tzinfo=UTC))
    result = result_of(
        *(here, inline, away),
        requested=4,
        cost=Money("0.06", "USD"),
        notes=(Note("seed", "info", "seed chosen"),),
        failures=(Failure(code="Moderated", message="not this one"),),
    )

    shown = page(result)

    assert 2 == len(shown.sources())
    assert all(source.startswith("data:image/") for source in shown.sources())
    for words in (
        *(
            "halide",
            "wan2.7-image",
            "t-1",
            "0.06 USD",
            "3 of 4 delivered",
            "seed info: seed chosen",
        ),
        *("Moderated: not this one", "800 x 600 pixels", "seed 7", "its bytes are not here"),
        *("https://cdn.example/kite.png", "link until 2026-11-29 00:00 UTC"),
    ):
        assert words in shown.text
    assert "s3cret" not in shown.text
    assert "cost: unknown" in page(result_of(here)).text


def test_a_single_picture_and_a_quote_show_themselves() -> None:
    """Whatever is the last line of a cell."""
    assert "61 x 47 pixels" in page(Image(data=drawn("WEBP"))).text
    assert "it cannot be shown" in page(Image(data=b"<html>")).text
    assert "it cannot be shown" in page(Image(url="data:image/png,odd")).text
    quote = Quote(provider="halide", model="wan2.7-image", amount=Decimal("0.03"), currency="USD")
    assert "0.03 USD" in page(quote).text


def test_quotes_and_comparisons_are_tables() -> None:
    """What `compare` returns is still a list; refused and unknown are said in words."""
    with Client.sandbox() as client:
        quotes = client.compare("a kite", negative_prompt="rain")
        total = client.compare_all([ImageRequest("a kite", n=2), ImageRequest("a dog", n=3)])
        nobody = client.compare_all([ImageRequest("a kite", size="8000x8000")])

    shown = page(quotes)
    assert isinstance(quotes, list)
    assert len(quotes) + 1 == sum(tag == "tr" for tag, _ in shown.tags)
    assert [] == shown.sources()
    assert "refused" in shown.text
    for quote in quotes:
        assert quote.provider in shown.text
        assert str(quote.refused or quote.money or "unknown") in shown.text
    told = page(total)
    assert len(total.totals) + 1 == sum(tag == "tr" for tag, _ in told.tags)
    assert "2 requests, 5 pictures" in told.text
    assert f"each at its cheapest: {total.cheapest}" in told.text
    assert "1 that no account can take" in page(nobody).text


def test_hostile_texts_stay_texts() -> None:
    """A provider's words, an account's name, a price's source: nothing of it is a tag."""
    image = Image(url=f"https://cdn.example/{HOSTILE}", data=b"<html>", mime=HOSTILE)
    result = result_of(
        image,
        provider=HOSTILE,
        model=HOSTILE,
        job_id=HOSTILE,
        notes=(Note(HOSTILE, "info", HOSTILE),),
        failures=(Failure(code=HOSTILE, message=HOSTILE),),
    )
    quote = Quote(
        provider=HOSTILE, model=HOSTILE, source=HOSTILE, assumes=(HOSTILE,), read=date(2026, 1, 2)
    )

    for value in (result, quote, evolve(quote, refused=HOSTILE)):
        shown = page(value)
        assert not {"script", "img", "a"} & {tag for tag, _ in shown.tags}
        assert HOSTILE in shown.text


def test_a_page_stays_small() -> None:
    """However much a provider says, and however many pictures come."""
    picture = Image(data=drawn("JPEG", size=(1024, 1024), quality=95))
    result = result_of(
        *[picture] * 40,
        notes=(Note("n", "info", "x" * 10**6),) * 1000,
        failures=(Failure(code="x" * 10**6, message="x" * 10**6),) * 1000,
    )

    html = result._repr_html_()

    assert len(html) < 10**6
    assert "… 28 more" in html
    assert "… 1980 more" in html


LONG = "x" * 5000


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            ImageRequest(
                LONG,
                negative_prompt=LONG,
                images=[data_uri(drawn("PNG"), "image/png")] * 9,
                color_palette=[PaletteColor("#000000", "10.00")] * 10,
                callback_url=f"https://{LONG}",
                extra={"kie": {"more": [LONG] * 100}},
            ),
            id="request",
        ),
        pytest.param(
            result_of(
                *[Image(url=f"https://cdn.example/{LONG}", data=b"x" * 10**6)] * 12,
                job_id=LONG,
                request_id=LONG,
                notes=(Note("prompt", "info", LONG),) * 50,
                failures=(Failure(code=LONG, message=LONG),) * 50,
                attempts=(Attempt(provider="a", outcome="b", charge=Charge.NO, detail=LONG),) * 9,
                raw={"more": LONG},
            ),
            id="result",
        ),
        pytest.param(Image(url=LINK + LONG, data=b"x" * 10**6), id="image"),
        pytest.param(Image(url=data_uri(b"x" * 10**6, "image/png")), id="inline"),
        pytest.param(Failure(code=LONG, message=LONG), id="failure"),
    ],
)
def test_a_repr_is_one_screen(value: object) -> None:
    """30 lines of 80; pictures by their length, replies not at all."""
    said = repr(value)

    assert len(said) <= 30 * 80
    assert "s3cret" not in said
