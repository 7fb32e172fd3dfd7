"""Twelve requests as users write them, and key by key what each provider is sent for them.

The bodies are written from the providers' pages, not from what the adapters give.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wanbridge.adapters.fitting import fit
from wanbridge.adapters.registry import Registry
from wanbridge.errors import UnsupportedFeature
from wanbridge.model.request import ImageRequest

REQUESTS = Path(__file__).parent / "fixtures" / "requests"
KEY = "5b0a9a7e-2f61-4c1e-9d0b-6d7f3a1c2e44"
PROVIDERS = ("runware", "reapi", "dashscope")

ASTROLABE = [
    {"hex": "#1E2A39", "ratio": "34.00%"},
    {"hex": "#C6A15B", "ratio": "26.00%"},
    {"hex": "#E8E1D6", "ratio": "22.00%"},
    {"hex": "#2F6B5F", "ratio": "18.00%"},
]
ARCHIVE = [
    {"hex": "#1E2428", "ratio": "34.00%"},
    {"hex": "#4C5A5D", "ratio": "22.00%"},
    {"hex": "#C8D2D6", "ratio": "18.00%"},
    {"hex": "#D8B36A", "ratio": "14.00%"},
    {"hex": "#7A8F78", "ratio": "12.00%"},
]
IN = "https://assets.example.com/in"
REFERENCES = [f"{IN}/ref{number}.jpg" for number in range(1, 7)]
WINDOWS = [[[80, 40, 944, 430], [260, 430, 820, 620]]]
CORNER = [[], [[989, 515, 1138, 681]]]


def task(prompt: str, **more: Any) -> list[dict[str, Any]]:
    """Runware's array of one task, with what every one of ours says."""
    return [
        {
            "taskType": "imageInference",
            "taskUUID": KEY,
            "model": "alibaba:wan@2.7-image",
            "positivePrompt": prompt,
            "numberResults": 1,
            "outputType": "URL",
            "outputFormat": "PNG",
            "deliveryMethod": "async",
            "includeCost": True,
            **more,
        }
    ]


def flat(**fields: Any) -> dict[str, Any]:
    """reAPI's flat object."""
    return {"model": "wan2.7-image", "n": 1, "watermark": False, **fields}


def messages(
    prompt: str, *images: str, model: str = "wan2.7-image", **parameters: Any
) -> dict[str, Any]:
    """DashScope's single message and its parameters."""
    content = [*({"image": image} for image in images), {"text": prompt}]
    return {
        "model": model,
        "input": {"messages": [{"role": "user", "content": content}]},
        "parameters": {"n": 1, "watermark": False, **parameters},
    }


# Example, provider, then the body; or the set of fields that are refused.
EXPECTED: dict[str, dict[str, list[Any] | dict[str, Any] | set[str]]] = {
    "minimal": {
        "runware": task(
            "an origami whale on a kitchen table, late sun",
            width=2048,
            height=2048,
            settings={"thinking": True},
        ),
        "reapi": flat(
            prompt="an origami whale on a kitchen table, late sun",
            size="1:1",
            resolution="2K",
            thinking_mode=True,
        ),
        "dashscope": messages(
            "an origami whale on a kitchen table, late sun", size="2K", thinking_mode=True
        ),
    },
    "fast-draft": {
        # 4:3 in 1024x1024 pixels is 1182.4x886.8; of the multiples of 16 the closest ratio.
        "runware": task(
            "a green bicycle leaning on a lamp post",
            width=1168,
            height=880,
            numberResults=3,
            seed=0,
            settings={"thinking": False},
        ),
        "reapi": flat(
            prompt="a green bicycle leaning on a lamp post",
            size="4:3",
            resolution="1K",
            n=3,
            seed=0,
            thinking_mode=False,
        ),
        "dashscope": messages(
            "a green bicycle leaning on a lamp post",
            size="1168*880",
            n=3,
            seed=0,
            thinking_mode=False,
        ),
    },
    "print-4k": {
        # Sides end at 4096.
        "runware": task(
            "a field-guide plate of a fern, in ink and wash",
            model="alibaba:wan@2.7-image-pro",
            width=4096,
            height=2304,
            numberResults=2,
            settings={"thinking": True},
        ),
        "reapi": flat(
            model="wan2.7-image-pro",
            prompt="a field-guide plate of a fern, in ink and wash",
            size="16:9",
            resolution="4K",
            n=2,
            thinking_mode=True,
        ),
        # A tier is a square without images, so a ratio goes as pixels.
        "dashscope": messages(
            "a field-guide plate of a fern, in ink and wash",
            model="wan2.7-image-pro",
            size="5376*3024",
            n=2,
            thinking_mode=True,
        ),
    },
    "inline-png": {
        "runware": task(
            "a yellow umbrella drifting over a frozen lake",
            width=768,
            height=768,
            outputType="base64Data",
            settings={"thinking": True},
        ),
        # What reAPI delivers is not documented.
        "reapi": {"output_format"},
        # PNG is what comes anyway; the client downloads the bytes.
        "dashscope": messages(
            "a yellow umbrella drifting over a frozen lake", size="768*768", thinking_mode=True
        ),
    },
    "callback": {
        "runware": task(
            "a heron asleep on one leg in fog",
            width=2048,
            height=2048,
            webhookURL="https://app.example.com/wan-done",
            settings={"thinking": True},
            outputQuality=90,
        ),
        "reapi": {"callback_url"},
        "dashscope": {"callback_url"},
    },
    "negative-watermark": {
        "runware": {"negative_prompt", "watermark"},
        "reapi": flat(
            prompt="a wooden puppet pruning roses",
            size="9:16",
            resolution="2K",
            negative_prompt="text, grain",
            watermark=True,
            thinking_mode=True,
        ),
        "dashscope": {"negative_prompt"},
    },
    "wide-palette": {
        "runware": task(
            "a lighthouse archive with drawers up to the ceiling",
            width=1536,
            height=1024,
            seed=84183,
            settings={"thinking": True, "colorPalette": ARCHIVE},
        ),
        "reapi": flat(
            prompt="a lighthouse archive with drawers up to the ceiling",
            size="1536x1024",
            seed=84183,
            thinking_mode=True,
            color_palette=ARCHIVE,
        ),
        "dashscope": messages(
            "a lighthouse archive with drawers up to the ceiling",
            size="1536*1024",
            seed=84183,
            thinking_mode=True,
            color_palette=ARCHIVE,
        ),
    },
    "pixels-palette": {
        "runware": task(
            "a copper astrolabe in a palm house after rain",
            width=1024,
            height=1024,
            seed=22278,
            inputs={"referenceImages": [f"{IN}/astrolabe.jpg", f"{IN}/palms.jpg"]},
            settings={"colorPalette": ASTROLABE},
        ),
        "reapi": flat(
            prompt="a copper astrolabe in a palm house after rain",
            image_urls=[f"{IN}/astrolabe.jpg", f"{IN}/palms.jpg"],
            size="1024x1024",
            seed=22278,
            color_palette=ASTROLABE,
        ),
        "dashscope": messages(
            "a copper astrolabe in a palm house after rain",
            f"{IN}/astrolabe.jpg",
            f"{IN}/palms.jpg",
            size="1024*1024",
            seed=22278,
            color_palette=ASTROLABE,
        ),
    },
    "six-references": {
        "runware": task(
            "one market square that gathers all six references",
            width=1536,
            height=1024,
            seed=66443,
            inputs={"referenceImages": REFERENCES},
        ),
        "reapi": flat(
            prompt="one market square that gathers all six references",
            image_urls=REFERENCES,
            size="1536x1024",
            seed=66443,
        ),
        "dashscope": messages(
            "one market square that gathers all six references",
            *REFERENCES,
            size="1536*1024",
            seed=66443,
        ),
    },
    "two-regions": {
        "runware": task(
            "hang lanterns in the marked windows and keep everything else",
            width=1024,
            height=1024,
            seed=37913,
            inputs={"referenceImages": [f"{IN}/facade.jpg"]},
            settings={"editRegions": WINDOWS},
        ),
        "reapi": flat(
            prompt="hang lanterns in the marked windows and keep everything else",
            image_urls=[f"{IN}/facade.jpg"],
            size="1024x1024",
            seed=37913,
            bbox_list=WINDOWS,
        ),
        "dashscope": messages(
            "hang lanterns in the marked windows and keep everything else",
            f"{IN}/facade.jpg",
            size="1024*1024",
            seed=37913,
            bbox_list=WINDOWS,
        ),
    },
    "second-image-boxed": {
        # Runware needs both sides, and the size of the last image is not known.
        "runware": {"size"},
        "reapi": flat(
            model="wan2.7-image-pro",
            prompt="set the vase of image 1 into the marked corner of image 2",
            image_urls=[f"{IN}/vase.webp", f"{IN}/shelf.webp"],
            resolution="2K",
            bbox_list=CORNER,
        ),
        "dashscope": messages(
            "set the vase of image 1 into the marked corner of image 2",
            f"{IN}/vase.webp",
            f"{IN}/shelf.webp",
            model="wan2.7-image-pro",
            size="2K",
            bbox_list=CORNER,
        ),
    },
    "sequential": {
        # Upstream ends sets at 2K, so sides end at 2048.
        "runware": task(
            "four scenes: an owl hears a bell, a tower, a rope, the dawn",
            model="alibaba:wan@2.7-image-pro",
            width=2016,
            height=1344,
            numberResults=4,
            settings={"sequential": True},
        ),
        "reapi": flat(
            model="wan2.7-image-pro",
            prompt="four scenes: an owl hears a bell, a tower, a rope, the dawn",
            size="3:2",
            resolution="2K",
            n=4,
            enable_sequential=True,
        ),
        "dashscope": messages(
            "four scenes: an owl hears a bell, a tower, a rope, the dawn",
            model="wan2.7-image-pro",
            size="2496*1664",
            n=4,
            enable_sequential=True,
        ),
    },
}

# Notes that go with what is sent: field and kind.
NOTES: dict[tuple[str, str], set[tuple[str, str]]] = {
    ("print-4k", "runware"): {("size", "adapted")},
    ("sequential", "runware"): {("size", "adapted")},
    ("inline-png", "dashscope"): {("output_format", "info"), ("inline", "adapted")},
}


def example(name: str) -> ImageRequest:
    return ImageRequest.from_json((REQUESTS / f"{name}.json").read_bytes())


def test_every_example_is_expected_of_every_provider() -> None:
    """An example that is added has to be worked out for all."""
    assert {path.stem for path in REQUESTS.glob("*.json")} == EXPECTED.keys()
    assert {PROVIDERS} == {tuple(bodies) for bodies in EXPECTED.values()}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_is_sent_or_refused_as_the_page_says(name: str, provider: str) -> None:
    """Every key of the message, or every field that cannot be said."""
    adapter = Registry().build(provider, api_key="sk-example")
    expected = EXPECTED[name][provider]

    fitted = fit(adapter, example(name))

    if isinstance(expected, set):
        assert expected == {problem.field for problem in fitted.problems}
        with pytest.raises(UnsupportedFeature):
            fitted.settle()
        return
    assert () == fitted.problems
    assert NOTES.get((name, provider), set()) == {(n.field, n.kind) for n in fitted.notes}
    body = adapter.submit(fitted.request, fitted.offer, key=KEY).json()
    assert expected == body
    # JSON knows 1 and true apart, Python does not.
    assert repr(_sorted(expected)) == repr(_sorted(body))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", EXPECTED)
def test_both_modes_of_dashscope_take_the_same_body(name: str) -> None:
    """Sync and async differ in path and header, not in the body (API reference)."""
    bodies = []
    for mode in ("async", "sync"):
        adapter = Registry().build("dashscope", api_key="sk-example", options={"mode": mode})
        fitted = fit(adapter, example(name))
        if not fitted.problems:
            bodies.append(adapter.submit(fitted.request, fitted.offer, key=KEY).body)

    assert 2 == len(bodies) or isinstance(EXPECTED[name]["dashscope"], set)
    assert 1 >= len(set(bodies))


def test_an_example_survives_json() -> None:
    """What is read is what is written."""
    for name in EXPECTED:
        request = example(name)

        assert request == ImageRequest.from_json(request.to_json())
