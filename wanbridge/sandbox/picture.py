"""What a result picture is to show, as a value; ``drawing`` makes the bytes."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

# Pixel corners x1, y1, x2, y2.
Box = tuple[int, int, int, int]


@frozen(kw_only=True)
class Region:
    """Boxes that an edit was asked to keep to, on one input image.

    Attributes:
        image: Which input image, from 1.
        width: Pixels of that image; None if the sandbox never saw it.
    """

    image: int
    boxes: tuple[Box, ...]
    width: int | None = None
    height: int | None = None


@frozen(kw_only=True)
class Picture:
    """What a picture is to show; drawn when it is downloaded.

    Attributes:
        format: ``png``, ``jpeg`` or ``webp``.
        index: Its place in the task, from 0; ``count`` is the task's size.
        palette: Pairs of ``#RRGGBB`` and share; shares are taken relative to their sum.
        quality: For jpeg and webp, 1-100.
    """

    provider: str
    model: str
    prompt: str
    width: int
    height: int
    seed: int
    format: str = "png"
    index: int = 0
    count: int = 1
    palette: tuple[tuple[str, Decimal], ...] = ()
    regions: tuple[Region, ...] = ()
    quality: int = 95


# File name endings, as the providers' result URLs have them.
ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}
MIME = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
