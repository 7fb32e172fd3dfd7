"""Notes on how the fields of a request were treated."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs import frozen

from wanbridge.model.brief import brief_text

NoteKind = Literal["adapted", "ignored", "dropped", "info"]


@frozen
class Note:
    """Something the caller should know about how a field was treated.

    Attributes:
        field: The canonical field.
        kind: ``adapted`` (said in other words with another effect), ``ignored`` (no effect in
            this mode), ``dropped`` (the caller allowed it) or ``info``.
        detail: One sentence.
    """

    field: str
    kind: NoteKind
    detail: str = attrs.field(repr=brief_text)

    def __str__(self) -> str:
        return f"{self.field} {self.kind}: {self.detail}"
