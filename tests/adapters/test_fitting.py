"""What of a request is sent, noted or refused, and what `explain` says of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from example_provider import Halide
from wanbridge import Client
from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import DROPPABLE, KEY_SHOWN, fit
from wanbridge.adapters.input_pictures import _picture_problem
from wanbridge.adapters.offers import Limits, Offer, PictureLimits
from wanbridge.adapters.registry import Registry
from wanbridge.errors import InvalidRequest, UnsupportedFeature
from wanbridge.explain.explanation import FieldReport
from wanbridge.model.inputs import InputImage
from wanbridge.model.palette import PaletteColor
from wanbridge.model.request import ImageRequest
from wanbridge.pictures.headers import data_uri

HALIDE = Halide(api_key="sk-test-1")
PALETTE = tuple(PaletteColor(h, r) for h, r in (("#111111", 50), ("#222222", 30), ("#333333", 20)))
BOXED = InputImage("https://x.example/a.png", regions=((1, 2, 3, 4),), width=900, height=900)


def outcome(name: str, **fields: Any) -> str:
    """``sent``, a note's kind, or ``refused``, for one field at Halide."""
    fitted = fit(HALIDE, ImageRequest("a kite", **fields))
    if any(p.field == name for p in fitted.problems):
        return "refused"
    return next((n.kind for n in fitted.notes if n.field == name), "sent")


def test_a_field_at_its_default_is_no_matter() -> None:
    """Nobody is told about what they did not ask for."""
    fitted = fit(HALIDE, ImageRequest("a kite"))

    assert ((), ()) == (fitted.notes, fitted.problems)


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("seed", {"seed": 0}, "sent"),
        ("n", {"n": 4}, "sent"),
        ("negative_prompt", {"negative_prompt": "blur"}, "refused"),
        ("watermark", {"watermark": True}, "refused"),
        ("color_palette", {"color_palette": PALETTE}, "refused"),
        ("color_palette", {"color_palette": PALETTE, "sequential": True}, "refused"),
        ("regions", {"images": (BOXED,)}, "sent"),
        ("regions", {"images": (BOXED,), "sequential": True}, "refused"),
        ("thinking", {"thinking": False}, "sent"),
        ("thinking", {"thinking": True, "images": (BOXED,)}, "ignored"),
        ("thinking", {"thinking": True, "sequential": True}, "ignored"),
        ("output_format", {"output_format": "png"}, "info"),
        ("output_format", {"output_format": "webp"}, "refused"),
        ("callback_url", {"callback_url": "https://app.example/x"}, "refused"),
        ("size", {"size": "2K"}, "sent"),
        ("size", {"size": "4K"}, "refused"),
        ("size", {"size": "100x100"}, "refused"),
        ("size", {"size": "4000x400"}, "refused"),
        ("images", {"images": ("http://x.example/a.png",), "size": "1K"}, "refused"),
        ("images", {"images": (InputImage(ref={"halide": "1"}),)}, "refused"),
        ("prompt", {"prompt": "x" * 101}, "refused"),
        ("prompt", {"prompt": "x" * 100}, "sent"),
    ],
)
def test_every_field_is_sent_noted_or_refused(
    name: str, fields: dict[str, Any], expected: str
) -> None:
    """Nothing vanishes."""
    request = {"prompt": "a kite", **fields}
    fitted = fit(HALIDE, ImageRequest(**request))

    said = "refused" if any(p.field == name for p in fitted.problems) else None
    said = said or next((n.kind for n in fitted.notes if n.field == name), "sent")
    assert expected == said


def test_an_inline_answer_is_adapted_where_replies_hold_links() -> None:
    """The client fetches the bytes; that is another way, and said."""

    class Links(Halide):
        @property
        def offers(self) -> tuple[Offer, ...]:  # type: ignore[override]
            offer = super().offers[0]
            return (evolve(offer, fields=offer.fields - {"inline"}),)

    fitted = fit(Links(api_key="k"), ImageRequest("a kite", inline=True))

    assert [("inline", "adapted")] == [(n.field, n.kind) for n in fitted.notes]
    assert fitted.request.inline


def test_what_may_be_dropped_is_dropped_with_a_note() -> None:
    """`may_drop` is the caller's word, field by field."""
    request = ImageRequest("a kite", negative_prompt="blur", watermark=True)

    fitted = fit(HALIDE, request, may_drop=("negative_prompt",))

    assert [("negative_prompt", "dropped")] == [(n.field, n.kind) for n in fitted.notes]
    assert ["watermark"] == [p.field for p in fitted.problems]
    assert fitted.request.negative_prompt is None


def test_regions_may_be_dropped_without_their_image() -> None:
    """The picture stays an input; only the boxes go."""
    request = ImageRequest("a kite", images=(BOXED,), sequential=True)

    fitted = fit(HALIDE, request, may_drop=("regions",))

    assert () == fitted.problems
    assert () == fitted.request.images[0].regions
    assert BOXED.url == fitted.request.images[0].url


@pytest.mark.parametrize("name", ["images", "n", "prompt", "sequential", "nonsense"])
def test_what_makes_the_request_cannot_be_dropped(name: str) -> None:
    """A request for four edits is not one for a picture of nothing."""
    with pytest.raises(InvalidRequest, match=f"{name} cannot be dropped"):
        fit(HALIDE, ImageRequest("a kite"), may_drop=(name,))


def test_may_drop_is_a_list_of_names() -> None:
    """A lone string would be read letter by letter."""
    with pytest.raises(InvalidRequest, match="give a tuple"):
        fit(HALIDE, ImageRequest("a kite"), may_drop="seed")


def test_all_refusals_are_said_at_once() -> None:
    """Who mends a request should not have to do it five times."""
    request = ImageRequest("x" * 101, watermark=True, size="4K")

    with pytest.raises(UnsupportedFeature) as caught:
        fit(HALIDE, request).settle()

    assert "watermark" == caught.value.field
    assert ["prompt", "size"] == [p.field for p in caught.value.also]
    assert "halide: watermark: " in str(caught.value)
    assert "; size: halide-wan has no 4K; 1K, 2K" in str(caught.value)


def test_limits_can_be_left_to_the_provider() -> None:
    """Documented limits age; `check_limits=False` sends anyway, and nothing else changes."""
    request = ImageRequest("x" * 101, size="100x100", watermark=True)

    fitted = fit(HALIDE, request, check_limits=False)

    assert ["watermark"] == [p.field for p in fitted.problems]


def test_a_tier_that_is_not_sold_can_be_tried() -> None:
    """Without the check, 4K becomes pixels within the limits of the sides and areas."""
    fitted = fit(HALIDE, ImageRequest("a kite", size="4K"), check_limits=False)

    assert () == fitted.problems
    assert "2048*2048" == HALIDE.submit(fitted.request, fitted.offer, key="k").json()["size"]


def test_an_inline_picture_may_be_too_large() -> None:
    """The limit counts decoded bytes and names the way out."""

    class Small(Halide):
        @property
        def offers(self) -> tuple[Offer, ...]:  # type: ignore[override]
            offer = super().offers[0]
            limits: Limits = evolve(
                offer.limits, image_schemes=frozenset({"data"}), data_bytes=1000
            )
            return (evolve(offer, limits=limits),)

    def sized(count: int) -> list[str]:
        image = InputImage(data_uri(b"x" * count, "image/png"), width=900, height=900)
        request = ImageRequest("a kite", images=(image,))
        return [p.reason for p in fit(Small(api_key="k"), request).problems]

    assert [] == sized(1000)
    [said] = sized(1001)
    assert said.startswith(
        "images[0]: 1,001 bytes inline; at most 1,000 here, else give a URL; fit"
    )


def test_a_picture_held_by_another_provider_is_refused() -> None:
    """A reference means something only where it was made."""
    runware = Registry().build("runware", api_key="k")
    request = ImageRequest("a kite", images=(InputImage(ref={"kie": "1"}),), size="1024x1024")

    assert ["images"] == [p.field for p in fit(runware, request).problems]


def test_a_model_that_is_not_sold_is_refused() -> None:
    """With those that are."""
    with pytest.raises(UnsupportedFeature, match=r"model: wan2\.7-image-pro is not sold here"):
        fit(HALIDE, ImageRequest("a kite", model="wan2.7-image-pro"))


@pytest.mark.parametrize("key", ["seed", "prompt"])
def test_an_extra_cannot_replace_what_wanbridge_writes(key: str) -> None:
    """Two sources for one value would make one of them vanish."""
    request = ImageRequest("a kite", extra={"halide": {key: 1}})

    with pytest.raises(InvalidRequest, match=rf"\$\.extra\.halide\.{key}: wanbridge writes this"):
        fit(HALIDE, request)


def test_an_extra_of_another_adapter_is_left_alone() -> None:
    """One request serves several providers, each with its own extras."""
    request = ImageRequest("a kite", extra={"kie": {"nsfw_checker": True}, "halide": {"fast": 1}})
    fitted = fit(HALIDE, request)

    body = HALIDE.submit(fitted.request, fitted.offer, key="k").json()

    assert 1 == body["fast"]
    assert "nsfw_checker" not in body


def test_fields_set_counts_regions_apart_from_images() -> None:
    """An image may be sayable where its boxes are not."""
    assert ("images", "regions") == ImageRequest("a kite", images=(BOXED,)).fields_set
    assert "regions" in DROPPABLE


def explained(adapter: Adapter, request: ImageRequest, **options: Any) -> Any:
    return Client([adapter]).explain(request, **options)[adapter.account]


def test_explain_shows_the_exact_message_without_the_key() -> None:
    """What would be sent, to the byte, with a placeholder."""
    report = explained(HALIDE, ImageRequest("a kite", seed=3))

    assert report.ok
    assert {"prompt", "model", "seed"} == set(report.fields)
    assert FieldReport("sent") == report.fields["seed"]
    assert {"model": "halide-wan", "prompt": "a kite", "n": 1, "seed": 3} == {
        k: v for k, v in report.http.json().items() if k in ("model", "prompt", "n", "seed")
    }
    assert f"Bearer {KEY_SHOWN}" == report.http.header("authorization")
    assert "sk-test-1" not in str(report.http.headers)


def test_explain_needs_no_key() -> None:
    """Comparing comes before signing up."""
    assert explained(Halide(), ImageRequest("a kite")).ok


def test_explain_says_of_each_field_what_becomes_of_it() -> None:
    """One report, all outcomes."""
    request = ImageRequest(
        "a kite",
        thinking=True,
        images=(BOXED,),
        watermark=True,
        negative_prompt="blur",
        output_format="png",
    )

    report = explained(HALIDE, request, may_drop=("negative_prompt",))

    assert not report.ok
    assert report.http is None
    assert {
        "prompt": "sent",
        "model": "sent",
        "images": "sent",
        "regions": "sent",
        "thinking": "ignored",
        "watermark": "refused",
        "negative_prompt": "dropped",
        "output_format": "met",
    } == {name: field.outcome for name, field in report.fields.items()}
    assert "watermark" in (report.quote.refused or "")


def test_explain_refuses_a_model_without_an_error() -> None:
    """The report covers every account; one that does not sell the model says so."""
    report = explained(HALIDE, ImageRequest("a kite", model="wan2.7-image-pro"))

    assert (False, None) == (report.ok, report.model)
    assert "refused" == report.fields["model"].outcome


def test_explain_quotes_in_the_providers_currency() -> None:
    """Unknown is not zero."""
    adapters = [Registry().build(n) for n in ("runware", "reapi", "dashscope")]
    request = ImageRequest("a kite", n=2)

    quotes = {k: r.quote for k, r in Client([*adapters, HALIDE]).explain(request).items()}

    assert {
        "runware": Decimal("0.06"),
        "reapi": Decimal("0.048"),
        "dashscope": Decimal("0.06"),
        "halide": None,
    } == {name: quote.amount for name, quote in quotes.items()}


def test_a_size_learnt_from_no_image_names_both_ways_out() -> None:
    """Runware needs pixels; "like the last image" needs its size."""
    runware = Registry().build("runware")
    request = ImageRequest("repaint", images=("https://x.example/a.png",))

    report = explained(runware, request)

    assert not report.ok
    assert "client.measure" in report.fields["size"].detail
    assert "aspect_ratio" in report.fields["size"].detail


def test_a_rule_that_no_page_states_is_no_rule() -> None:
    """Formats, sides and ratio are checked each for itself, and only where they are data."""
    nothing = PictureLimits(source="halide.example")
    some = PictureLimits(max_side=100, source="halide.example")

    assert nothing.problem(1, 99_999) is None
    assert some.problem(1, 100) is None
    assert "101x1; each side at most 100 px here" == some.problem(101, 1)


def test_bytes_that_are_no_picture_name_the_formats_that_are_read() -> None:
    """Also where the provider's page lists none."""
    rules = PictureLimits(min_side=240, source="halide.example")
    text = InputImage(data_uri(b"a text that somebody took for a picture", "image/png"))
    short = InputImage(data_uri(b"a text", "image/png"))

    said = _picture_problem(text, rules)
    assert said is not None
    assert said.endswith("image/bmp, image/gif, image/jpeg, image/png, image/webp")
    assert _picture_problem(short, rules) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"output_format": "webp"}, "webp cannot be asked for; it is always png"),
        ({"callback_url": "https://a.example/"}, "this provider calls nobody back; poll instead"),
        ({"watermark": True}, "halide-wan has no such parameter here"),
        (
            {"color_palette": PALETTE, "sequential": True},
            "a palette has no effect in sets (sequential)",
        ),
    ],
)
def test_a_refusal_says_why(fields: dict[str, Any], reason: str) -> None:
    """A tired reader learns what would be right."""
    assert [reason] == [p.reason for p in fit(HALIDE, ImageRequest("a kite", **fields)).problems]


def test_a_size_that_is_not_sold_may_be_dropped() -> None:
    """The default size takes its place; where that needs an image's size, it is still refused."""
    fitted = fit(HALIDE, ImageRequest("a kite", size="4K"), may_drop=("size",))
    assert [("size", "dropped")] == [(n.field, n.kind) for n in fitted.notes]
    assert ((), "2K") == (fitted.problems, str(fitted.request.size))

    unknown = ImageRequest("a kite", size="4K", images=("https://x.example/a.png",))
    fitted = fit(HALIDE, unknown, may_drop=("size",))
    assert ["dropped"] == [n.kind for n in fitted.notes]
    assert ["client.measure" in p.reason for p in fitted.problems] == [True]
