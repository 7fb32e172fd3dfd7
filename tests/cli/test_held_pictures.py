"""Whatever a picture is held in, at whichever door it comes in, the provider is sent the same."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from PIL import Image as Pillow

from wanbridge import Client, ImageRequest
from wanbridge.errors import InvalidRequest
from wanbridge.model.inputs import InputImage
from wanbridge.sandbox import Sandbox, running
from wanbridge.sandbox.reply import Reply
from wanbridge.wire import HttpRequest

LINK = "https://pictures.example.com/desk.png"


# The beginning of a PNG as base64.
CUT = "iVBORw0KGgoAAAANSUhEUgAAAZAAAAEsCAIAAABi1XKVAAAACXBIWXMAAA7EAAAOxAGV"


class Recorder(Sandbox):
    """A sandbox that keeps what it is sent to buy."""

    def __init__(self) -> None:
        super().__init__(providers=["runware"], latency=0)
        self.bodies: list[bytes] = []

    def begin(self, request: HttpRequest) -> Reply:
        if b"imageInference" in request.body:
            self.bodies.append(request.body)
        return super().begin(request)


@frozen
class Held:
    """One way to hold the picture ``desk.png``.

    Attributes:
        python: What a program has in its hands.
        document: What a request file says; None where JSON has nothing of the kind.
        flag: What follows ``--image``; None where a command line has nothing of the kind.
        stdin: Whether the bytes go to standard input.
    """

    python: Callable[[Path], object]
    document: Callable[[Path], object] | None = None
    flag: Callable[[Path], str] | None = None
    stdin: bool = False


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def uri(path: Path) -> str:
    return f"data:image/png;base64,{encoded(path)}"


def in_lines(path: Path) -> str:
    return base64.encodebytes(path.read_bytes()).decode()


def written(path: Path) -> io.BytesIO:
    """A buffer just after a program has written into it."""
    buffer = io.BytesIO()
    buffer.write(path.read_bytes())
    return buffer


WAYS = {
    "InputImage": Held(InputImage.from_file, lambda path: {"url": uri(path)}),
    "data: URI": Held(uri, uri, uri),
    "base64": Held(encoded, encoded, encoded),
    "base64 in lines": Held(in_lines, in_lines, in_lines),
    "Path": Held(lambda path: path),
    "name of a file": Held(str, lambda path: path.name, lambda path: path.name),
    "object with a name": Held(lambda path: {"url": str(path)}, lambda path: {"url": path.name}),
    "file: URL": Held(Path.as_uri, Path.as_uri, Path.as_uri),
    "bytes": Held(Path.read_bytes),
    "memoryview": Held(lambda path: memoryview(bytearray(path.read_bytes()))),
    "open file": Held(lambda path: path.open("rb"), flag=lambda _: "-", stdin=True),
    "written buffer": Held(written),
    "Pillow image": Held(Pillow.open),
}


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A picture as Pillow writes it, so that writing it again gives the same bytes."""
    path = tmp_path / "desk.png"
    picture = Pillow.new("RGB", (400, 300), "tan")
    picture.paste("maroon", (100, 50, 220, 200))
    picture.save(path)
    return path


def buy(images: object, size: str = "1K") -> bytes:
    sandbox = Recorder()
    with Client.sandbox(sandbox) as client:
        client.generate(
            ImageRequest("clear the desk", images=images, size=size, seed=7),
            provider="runware",
            key="one-key",
        )
    [body] = sandbox.bodies
    return body


def buy_by_command(run: Any, configure: Any, *words: object) -> bytes:
    sandbox = Recorder()
    with running(sandbox):
        config = configure(sandbox, "runware")
        ran = run("generate", "--config", config, "--key", "one-key", *words, "-o", "made")
        assert 0 == ran.code, ran
    [body] = sandbox.bodies
    return body


@pytest.mark.parametrize("alone", [False, True], ids=["list", "alone"])
@pytest.mark.parametrize("way", WAYS)
def test_a_picture_held_in_a_program(way: str, desk: Path, *, alone: bool) -> None:
    """One picture, one message."""
    held = WAYS[way].python(desk)

    try:
        assert buy([InputImage.from_file(desk)]) == buy(held if alone else [held])
    finally:
        getattr(held, "close", lambda: None)()


@pytest.mark.parametrize("way", [name for name, held in WAYS.items() if held.document])
def test_a_picture_named_in_a_request_file(
    way: str, desk: Path, run: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any directory: names are relative to the file."""
    document = WAYS[way].document
    assert document is not None
    file = desk.parent / "request.json"
    fields = {"prompt": "clear the desk", "images": [document(desk)], "size": "1K", "seed": 7}
    file.write_text(json.dumps(fields))
    (desk.parent / "elsewhere").mkdir()
    monkeypatch.chdir(desk.parent / "elsewhere")

    assert buy([desk]) == buy_by_command(run, configure, "--request", file)
    file.write_text(json.dumps({**fields, "images": document(desk)}))
    assert buy([desk]) == buy_by_command(run, configure, "--request", file, "--force")


@pytest.mark.parametrize("way", [name for name, held in WAYS.items() if held.flag])
def test_a_picture_given_to_the_command(
    way: str, desk: Path, run: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``--image``, and through a pipe."""
    flag = WAYS[way].flag
    assert flag is not None
    if WAYS[way].stdin:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(desk.read_bytes())))
    words = ("clear the desk", "--image", flag(desk), "--size", "1K", "--seed", 7)

    assert buy([desk]) == buy_by_command(run, configure, *words)


def test_a_link_is_sent_as_it_is(desk: Path, run: Any, configure: Any) -> None:
    """At every door; its scheme in any letters, with blanks around it."""
    file = desk.parent / "request.json"
    fields = {"prompt": "clear the desk", "images": LINK, "size": "1:1@1K", "seed": 7}
    file.write_text(json.dumps(fields))
    words = ("clear the desk", "--image", LINK, "--size", "1:1@1K", "--seed", 7)

    bought = buy(LINK, "1:1@1K")

    assert LINK.encode() in bought
    assert bought == buy(f" HTTPS{LINK[5:]}\n", "1:1@1K") == buy([{"url": LINK}], "1:1@1K")
    assert bought == buy_by_command(run, configure, "--request", file)
    assert bought == buy_by_command(run, configure, *words, "--force")


@pytest.mark.parametrize("name", ["../desk.png", "way/desk.png", "{absolute}"])
def test_a_request_file_does_not_reach_out_of_its_folder(
    name: str, desk: Path, run: Any, configure: Any
) -> None:
    """Whoever sends a request file does not get the pictures of who runs it, unless allowed."""
    folder = desk.parent / "requests"
    folder.mkdir()
    (folder / "way").symlink_to(desk.parent)
    name = name.format(absolute=desk)
    file = folder / "request.json"
    file.write_text(
        json.dumps({"prompt": "clear the desk", "images": [name], "size": "1K", "seed": 7})
    )

    ran = run("generate", "--sandbox", "--request", file)

    assert 2 == ran.code
    assert f"{name!r} is outside of the folder of the request file" in ran.err
    assert "--allow-outside" in ran.err
    assert buy([desk]) == buy_by_command(run, configure, "--request", file, "--allow-outside")
    assert 0 == run("validate", file, "--allow-outside").code


def test_a_document_from_anywhere_names_no_file(desk: Path) -> None:
    """`from_json` is for text from a network: it reads nothing, and says so."""
    for name in (str(desk), desk.as_uri()):
        text = json.dumps({"prompt": "a", "images": [name]})
        with pytest.raises(InvalidRequest, match="is not an https, http, data: or oss:// URL"):
            ImageRequest.from_json(text)
        assert ImageRequest.from_file(_file(desk.parent, text)).images[0].width == 400


def _file(folder: Path, text: str) -> Path:
    path = folder / "request.json"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ("gone.png", "'gone.png': no such file; an image is a URL, a data: URI, base64"),
        ("", "empty; an image is"),
        ("pictures.example.com/desk.png", "is no file, and as a URL it lacks https://"),
        ("s3://bucket/desk.png", "'s3://bucket/desk.png' is not an https, http, data: or oss://"),
        (
            f"{CUT}!",
            "begins as the base64 of a picture, and is damaged",
        ),
        ("a\0b", "'a\\x00b': no such file"),
        ("\ud800.png", "'\\ud800.png': no such file"),
        (b"", "0 bytes: not a PNG, JPEG, WEBP, BMP or GIF picture"),
        (b"<html>", "6 bytes: not a PNG"),
        (5, "5; an image is a URL"),
        (["https://x"], "['https://x']; an image is a URL"),
        (io.StringIO("x"), "'StringIO' is open as text; open it with mode 'rb'"),
        (io.BytesIO(), "'BytesIO': not a PNG"),
        (Path("gone.png"), "gone.png: No such file or directory"),
        (Path(), ".: Is a directory"),
        ({"url": "gone.png"}, "$.images[0].url: 'gone.png': no such file"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str | bytes) else type(value).__name__,
)
def test_what_is_no_picture_is_refused_with_what_would_be_right(held: object, said: str) -> None:
    """In one line, before anything is sent."""
    with pytest.raises(InvalidRequest) as caught:
        ImageRequest("a", images=[held])

    assert said in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


async def _nothing() -> bytes:
    return b""


class _Awaited:
    """As Starlette's uploads and aiofiles are."""

    def read(self, _size: int = -1) -> Any:
        return _nothing()


class _Broken(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise RuntimeError("gone\nfor good")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (_Awaited(), "is read asynchronously; await its read(), and give the bytes"),
        (_Broken(), "cannot be read: 'gone\\nfor good'"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(file: object, said: str) -> None:
    """Files of the caller's own may raise anything."""
    with pytest.raises(InvalidRequest, match="images") as caught:
        ImageRequest("a", images=file)

    assert said in str(caught.value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P", "RGBA", "CMYK", "YCbCr", "F"])
def test_pillow_images_of_every_mode_become_pictures(mode: str) -> None:
    """What PNG cannot hold becomes RGB."""
    image = InputImage.of(Pillow.new(mode, (30, 20)))

    assert (30, 20, "data") == (image.width, image.height, image.scheme)


def test_a_pillow_image_keeps_its_orientation(tmp_path: Path) -> None:
    """As the file that it was opened from."""
    exif = Pillow.Exif()
    exif[274] = 6
    Pillow.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)

    with Pillow.open(tmp_path / "a.jpg") as opened:
        image = InputImage.of(opened)

    assert image.url is not None
    data = base64.b64decode(image.url.partition(",")[2])
    assert 6 == Pillow.open(io.BytesIO(data)).getexif()[274]


BOXES: dict[str, Callable[[Path, list[Any]], InputImage]] = {
    "bytes": lambda path, boxes: InputImage.from_file(path, regions=boxes),
    "numbers": lambda _, boxes: InputImage(LINK, tuple(boxes), 400, 300),
    "data: URI": lambda path, boxes: InputImage(uri(path), tuple(boxes)),
    "of": lambda path, boxes: InputImage.of(path, regions=boxes),
}


@pytest.mark.parametrize("made", BOXES.values(), ids=BOXES)
def test_a_box_that_leaves_its_picture_is_refused(
    made: Callable[[Path, list[Any]], InputImage], desk: Path
) -> None:
    """It would be paid for, and edit nothing."""
    message = r"\[350, 10, 401, 40\] leaves the picture of 400x300 pixels"

    with pytest.raises(InvalidRequest, match=message):
        made(desk, [(350, 10, 401, 40)])
    assert made(desk, [(350, 10, 400, 300)]).regions


def test_a_box_is_judged_when_the_size_becomes_known() -> None:
    """By `measure`, which looks at the picture behind a link."""
    with running(Recorder()) as sandbox, Client.sandbox(sandbox) as client:
        made = client.generate("a desk", provider="runware", size="1K").images[0]
        request = ImageRequest(
            "clear it",
            images=[InputImage(made.url, [(0, 0, 5, 5)]), InputImage(made.url, [(0, 0, 2000, 9)])],
        )
        with pytest.raises(
            InvalidRequest, match=r"\$\.images\[1\]\.regions\[0\]: \[0, 0, 2000, 9\]"
        ):
            client.measure(request)
