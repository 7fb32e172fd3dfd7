"""Edit the marked parts of a photo on this disk and save what comes back beside it.

    python edit_local_photo.py street.jpg "hang lanterns in the windows" --box 80,40,944,430

Boxes are x1,y1,x2,y2 in pixels of the photo, from its top left corner, two at most. Accounts come
from the environment (``RUNWARE_API_KEY`` and so on); those that take no local picture are skipped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wanbridge import Box, Client, ImageRequest, InputImage, WanbridgeError


def box(text: str) -> Box:
    x1, y1, x2, y2 = map(int, text.split(","))
    return Box(x1, y1, x2, y2)


def edit(client: Client, photo: Path, prompt: str, boxes: list[Box]) -> None:
    image = InputImage.from_file(photo, regions=boxes)
    request = ImageRequest(prompt, images=[image])
    for account, explanation in client.explain(request).items():
        for problem in explanation.problems:
            print(f"  not {account}: {problem.reason}")
    result = client.generate(request, route="given")
    for note in result.notes:
        print(f"  note: {note}")
    for number, picture in enumerate(result.images, 1):
        saved = client.save(picture, photo.with_name(f"{photo.stem}-edited-{number}"))
        print(f"{saved}, by {result.provider} for {result.cost}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("--box", type=box, action="append", default=[], metavar="X1,Y1,X2,Y2")
    given = parser.parse_args()
    try:
        with Client.from_env() as client:
            edit(client, given.photo, given.prompt, given.box)
    except (WanbridgeError, OSError) as exc:
        sys.exit(f"edit_local_photo: {exc}")


if __name__ == "__main__":
    main()
