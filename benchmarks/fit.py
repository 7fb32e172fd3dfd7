"""What fitting a photograph costs beside the same steps in bare Pillow.

A JPEG of 12 megapixels as a telephone stores it: on its side, with an EXIF orientation. Both read
the file, decode it, turn it upright, encode it again as JPEG and make a ``data:`` URI of it; they
are measured in turn, so that a machine that slows down slows both.

    python benchmarks/fit.py            # the ratio and the milliseconds of both
    python benchmarks/fit.py --check    # exit 1 if the bound is missed
"""

from __future__ import annotations

import argparse
import base64
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

from wanbridge import InputImage

RATIO_MOST = 1.3
STORED = (4032, 3024)
QUALITY = 95


def photograph(path: Path) -> None:
    """Write a picture that compresses about as one of a camera does."""
    grain = [Image.effect_noise(STORED, 40 + 20 * channel) for channel in range(3)]
    picture = Image.merge("RGB", grain).filter(ImageFilter.GaussianBlur(2))
    facts = Image.Exif()
    facts[0x0112] = 6
    picture.save(path, "JPEG", quality=92, exif=facts)


def fitted(path: Path) -> str:
    """The ``data:`` URI of the fitted picture."""
    image = InputImage.from_file(path, fit=True)
    assert (STORED[1], STORED[0]) == (image.width, image.height)
    return str(image.url)


def by_hand(path: Path) -> str:
    """The same in bare Pillow."""
    with Image.open(BytesIO(path.read_bytes())) as stored:
        upright = ImageOps.exif_transpose(stored)
    file = BytesIO()
    upright.save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def compare(rounds: int) -> tuple[float, float, float]:
    """The median ratio, and the median seconds of fitting and of bare Pillow."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photograph.jpg"
        photograph(path)
        taken: dict[Callable[[Path], str], list[float]] = {fitted: [], by_hand: []}
        assert len(fitted(path)) == len(by_hand(path))  # which also imports what both need
        for turn in range(rounds):
            for step in (fitted, by_hand) if turn % 2 else (by_hand, fitted):
                began = time.perf_counter()
                step(path)
                taken[step].append(time.perf_counter() - began)
    ratios = [one / other for one, other in zip(taken[fitted], taken[by_hand], strict=True)]
    return (
        statistics.median(ratios),
        statistics.median(taken[fitted]),
        statistics.median(taken[by_hand]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--check", action="store_true", help="exit 1 if the bound is missed")
    options = parser.parse_args()
    ratio, ours, bare = compare(options.rounds)
    megapixels = STORED[0] * STORED[1] / 1e6
    print(f"a photograph of {megapixels:.0f} megapixels, turned by EXIF:")
    print(f"  fit {ours * 1e3:.0f} ms, bare Pillow {bare * 1e3:.0f} ms; ratio {ratio:.2f}")
    return 1 if options.check and ratio > RATIO_MOST else 0


if __name__ == "__main__":
    sys.exit(main())
