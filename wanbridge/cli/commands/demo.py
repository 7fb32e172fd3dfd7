"""``wanbridge demo``: the same two requests at every fake provider, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from attrs import Factory, define, frozen
from cyclopts import Parameter

from wanbridge.cli.accounts import sandbox_client, sandbox_running
from wanbridge.cli.codes import Exit
from wanbridge.cli.files import check_folder, exists, short
from wanbridge.cli.progress import watching
from wanbridge.cli.session import Session
from wanbridge.cli.tracker import Tracker
from wanbridge.cli.usage import UsageError
from wanbridge.client import AsyncClient
from wanbridge.errors import WanbridgeError
from wanbridge.model import ImageRequest, ImageResult, InputImage, PaletteColor, Size

LATENCY_SECONDS = 1.0
# Lies in a directory of ours: what is called like our pictures there may be replaced.
_MARK = ".wanbridge-demo"
_NAMES = {"edit": "1-edit", "text": "2-text"}

# The sandbox looks at no input picture, so these need not exist.
EDIT = ImageRequest(
    "Hang the paper lantern of image 1 in the marked corner of image 2; keep the evening light",
    images=(
        InputImage(
            "https://assets.example.com/paper-lantern.png",
            regions=((180, 120, 620, 700),),
            width=1024,
            height=1024,
        ),
        InputImage(
            "https://assets.example.com/tea-house.jpg",
            regions=((560, 90, 900, 400),),
            width=1024,
            height=1024,
        ),
    ),
    size=Size(1024, 1024),
    color_palette=(
        PaletteColor("#1E2A39", "34"),
        PaletteColor("#C6A15B", "26"),
        PaletteColor("#E8E2D6", "24"),
        PaletteColor("#8C3B2E", "16"),
    ),
    seed=7,
)
TEXT = ImageRequest(
    "A ferry crossing a fjord at first light, one gull above it, soft rain",
    size=Size(resolution="1K", aspect_ratio="4:3"),
    seed=11,
)


@define
class _Order:
    """One request at one provider.

    Attributes:
        error: Why there is no picture.
    """

    provider: str
    request: ImageRequest
    path: Path
    tracker: Tracker = Factory(Tracker)
    result: ImageResult | None = None
    saved: Path | None = None
    error: Exception | None = None

    @property
    def label(self) -> str:
        return f"{self.provider} {self.request.mode}"


@frozen
class _Prices:
    """Stands for nothing; kept out."""
