"""What the sandbox answers: an HTTP reply, and how the connection behaves while it goes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, field, frozen

from wanbridge.wire import HttpResponse


@frozen(kw_only=True)
class Reply:
    """One answer and the behaviour of the connection that carries it.

    Attributes:
        response: Status, headers and body.
        render: Makes the body when it is dear (a picture), outside the sandbox's lock;
            None if ``response`` has it already.
        delay: Seconds before the first byte: work that takes its time. Not a fault.
        drip: Seconds over which the body trickles out; 0 is at once.
        cut: Content-Length promises the whole body, the connection closes half-way.
        drop: The connection closes without any byte.
        hang: Nothing ever comes.
        early: Callbacks wait that go out before it.
    """

    response: HttpResponse
    render: Callable[[], bytes] | None = field(default=None, repr=False)
    delay: float = 0.0
    drip: float = 0.0
    cut: bool = False
    drop: bool = False
    hang: bool = False
    early: bool = False

    @property
    def answered(self) -> bool:
        """Whether the client gets a status line at all."""
        return not (self.drop or self.hang)

    def rendered(self) -> Reply:
        """The same reply with its body made."""
        if self.render is None:
            return self
        response = evolve(self.response, body=self.render() if self.answered else b"")
        return evolve(self, response=response, render=None)


def json_reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """*value* as a JSON body."""
    return Reply(
        response=HttpResponse(
            status=status,
            headers={"Content-Type": "application/json", **(headers or {})},
            body=json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(),
        )
    )


def lazy_json_reply(status: int, value: Any, write: Callable[[Any], str]) -> Reply:
    """A JSON body with members that are dear; *write* gives the text of each, outside the lock."""

    def render() -> bytes:
        return json.dumps(value, default=write, separators=(",", ":")).encode()

    headers = {"Content-Type": "application/json"}
    return Reply(response=HttpResponse(status=status, headers=headers), render=render)


def text_reply(
    status: int,
    text: str,
    *,
    content_type: str = "text/plain; charset=utf-8",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """*text* as the body; for gateways and file servers, which speak no JSON."""
    return Reply(
        response=HttpResponse(
            status=status,
            headers={"Content-Type": content_type, **(headers or {})},
            body=text.encode(),
        )
    )


NO_ANSWER = HttpResponse(status=0)
