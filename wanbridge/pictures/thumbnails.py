"""Pictures made small for a page, as ``data:`` URIs."""

from __future__ import annotations

from io import BytesIO

from wanbridge.pictures.claims import excess
from wanbridge.pictures.headers import data_uri, inspect

SIDE = 256
# Of a picture that is decoded for it: twice the largest that the model draws, 128 MB of memory.
_PIXELS_MOST = 2**25
# Of a picture that is shown as it is, where there is no Pillow to make it smaller.
_BYTES_MOST = 256 * 2**10
_READ = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def thumbnail(data: bytes) -> str | None:
    """*data* with sides of at most 256 pixels; None if it cannot be shown.

    Without Pillow the picture itself, if it is small. Never raises.
    """
    facts = inspect(data)
    if facts is None or facts.width is None or facts.height is None:
        return None
    if facts.width * facts.height > _PIXELS_MOST or excess(data) is not None:
        return None
    try:
        from PIL import Image
    except ImportError:
        return data_uri(data, facts.mime) if len(data) <= _BYTES_MOST else None
    try:
        with Image.open(BytesIO(data), formats=_READ) as picture:
            picture.draft("RGB", (2 * SIDE, 2 * SIDE))
            alpha = "A" in picture.getbands() or "transparency" in picture.info
            small = picture.convert("RGBA" if alpha else "RGB")
        small.thumbnail((SIDE, SIDE))
        form, options = ("PNG", {"optimize": True}) if alpha else ("JPEG", {"quality": 80})
        small.save(made := BytesIO(), form, **options)
    except Exception:  # whatever a damaged picture does to a decoder
        return None
    return data_uri(made.getvalue(), f"image/{form.lower()}")
