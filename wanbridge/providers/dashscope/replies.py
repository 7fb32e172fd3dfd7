"""What DashScope's replies look like: a task or pictures in ``output``, a code inside or beside.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from attrs import frozen

from wanbridge.model.structuring import lenient


@frozen
class _Part:
    image: str | None = None


@frozen
class _Message:
    content: list[_Part]


@frozen
class _Choice:
    message: _Message


@frozen
class _Output:
    task_id: str | None = None
    task_status: str | None = None
    choices: list[_Choice] | None = None
    code: str | None = lenient()
    message: str | None = lenient()

    @property
    def links(self) -> list[str]:
        # n > 1 comes as n choices or as one choice of n parts; text parts have no "image" (api).
        parts = [part for choice in self.choices or () for part in choice.message.content]
        return [part.image for part in parts if part.image]


@frozen
class _Usage:
    image_count: int | None = lenient()


@frozen
class Reply:
    output: _Output | None = None
    usage: _Usage | None = lenient()
    request_id: str | None = lenient()
    code: str | None = lenient()
    message: str | None = lenient()

    @property
    def out(self) -> _Output:
        return self.output or _Output()
