"""Files that are no ordinary picture: pipes, devices, folders, links, names that lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odd_pictures import PATCH, SIZE, odd
from ordinary_user import enterable, unprivileged
from wanbridge.errors import InvalidRequest
from wanbridge.model.inputs import InputImage
from wanbridge.pictures.headers import FIT_HINT

both = pytest.mark.parametrize("fit", [False, True])


def refusal(path: Path | str, *, fit: bool) -> str:
    with pytest.raises(InvalidRequest) as caught:
        InputImage.from_file(path, fit=fit)
    [problem] = caught.value.problems
    assert "\n" not in str(problem)
    return problem.message


@both
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pipe", "not a regular file"),
        ("folder", "Is a directory"),
        ("device", "not a regular file"),
        ("link to itself", "Too many levels of symbolic links"),
        ("link that leads nowhere", "No such file or directory"),
        ("empty", "not a PNG, JPEG, WEBP, BMP or GIF picture, but empty"),
    ],
)
def test_what_is_no_file_of_a_picture_is_told_at_once(
    kind: str, said: str, fit: bool, tmp_path: Path
) -> None:
    """A pipe without a writer would be waited for, a device read without end."""
    path = tmp_path / "kite.png"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path = Path("/dev/zero")
        case "link to itself":
            path.symlink_to(path)
        case "link that leads nowhere":
            path.symlink_to(tmp_path / "gone.png")
        case "empty":
            path.touch()

    message = refusal(path, fit=fit)

    assert message.startswith(f"{path}: ")
    assert said in message


@both
def test_a_file_of_another_user_s_only_is_refused(fit: bool) -> None:
    """Mode 0600; as root, who may read everything, somebody else tries."""
    with enterable() as folder:
        folder.chmod(0o755)
        path = folder / "kite.png"
        path.write_bytes(odd("gif"))
        path.chmod(0o600 if os.geteuid() == 0 else 0)
        with unprivileged():
            assert f"{path}: Permission denied" == refusal(path, fit=fit)


@both
def test_a_name_that_lies_is_not_believed(fit: bool, tmp_path: Path) -> None:
    """Content decides, so the data: URI is right."""
    path = tmp_path / "kite.jpg"
    path.write_bytes(odd("palette"))

    image = InputImage.from_file(path, fit=fit)

    assert str(image.url).startswith("data:image/png;base64,")
    assert (SIZE, ()) == ((image.width, image.height), image.changes)


def test_a_wrong_media_type_is_put_right() -> None:
    """A data: URI that calls a PNG a JPEG is refused by some providers; the bytes stay."""
    right = InputImage.from_bytes(odd("palette"))
    wrong = InputImage(str(right.url).replace("image/png", "image/jpeg", 1), regions=[PATCH])

    fitted = wrong.fitted()

    assert right.url == fitted.url
    assert ("called image/png, which it is, instead of image/jpeg",) == fitted.changes
    assert wrong.regions == fitted.regions
    assert fitted is fitted.fitted()


@pytest.mark.parametrize(("name", "called"), [("heic", "HEIC"), ("avif", "AVIF"), ("tiff", "TIFF")])
def test_a_format_that_only_fitting_reads_names_it(name: str, called: str, tmp_path: Path) -> None:
    """What it is, and the way out; in a request the client may fit it, so there it is taken."""
    path = tmp_path / "kite.png"
    path.write_bytes(odd(name))

    assert f"{path}: {called}, which no provider takes; {FIT_HINT}" == refusal(path, fit=False)
    fitted = InputImage.from_file(path, fit=True, regions=[PATCH])
    assert SIZE == (fitted.width, fitted.height)
    assert PATCH == fitted.regions[0].corners
    assert fitted == InputImage.of(path, regions=[PATCH]).fitted()


def test_a_box_that_leaves_the_upright_picture_is_refused(tmp_path: Path) -> None:
    """It is judged on the original, before it is scaled."""
    with pytest.raises(InvalidRequest, match=r"leaves the upright picture of 320x240 pixels"):
        InputImage.from_bytes(odd("heic"), regions=[(0, 0, 321, 240)], fit=True)


@both
@pytest.mark.parametrize("name", ["svg", "html", "cut png", "huge header"])
def test_messages_call_the_file_by_its_name(name: str, fit: bool, tmp_path: Path) -> None:
    """With several pictures one must know which; a cut one is found by fitting only."""
    path = tmp_path / "kite.png"
    path.write_bytes(odd(name))
    if not fit and name in ("cut png", "huge header"):
        assert InputImage.from_file(path).url
        return

    assert refusal(path, fit=fit).startswith(f"{path}: ")
