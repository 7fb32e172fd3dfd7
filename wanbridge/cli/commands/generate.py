"""``wanbridge generate``: pictures, from the words to the files."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from wanbridge.cli.accounts import selected_client
from wanbridge.cli.call_arguments import call_arguments
from wanbridge.cli.codes import Exit
from wanbridge.cli.deliver import deliver
from wanbridge.cli.options import (
    AccountOptions,
    CallOptions,
    PictureOptions,
    Prompt,
    RequestOptions,
)
from wanbridge.cli.progress import live_progress
from wanbridge.cli.request import build_request
from wanbridge.cli.screen import ignoring_closed_output
from wanbridge.cli.session import Session
from wanbridge.cli.target import Target
from wanbridge.cli.trace import keep_open_attempts, print_open_attempts, show_trace
from wanbridge.client.blocking import Client
from wanbridge.client.options import Call
from wanbridge.model.request import ImageRequest
from wanbridge.model.result import ImageResult


def generate(
    prompt: Prompt = None,
    /,
    *,
    what: RequestOptions = RequestOptions(),  # noqa: B008 - frozen
    call: CallOptions = CallOptions(),  # noqa: B008
    who: AccountOptions = AccountOptions(),  # noqa: B008
    where: PictureOptions = PictureOptions(),  # noqa: B008
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Buy pictures, wait for them and save them.

    One request, one purchase. Files are never replaced without --force, which is found out
    before anything is bought. With --route the next provider is asked where the first surely
    charged nothing.

    Try it without a key: wanbridge generate "a red kite over dunes" --sandbox
    """
    request = build_request(prompt, what)
    target = Target.of(where.output, force=where.force, metadata=where.metadata)
    target.check(request.n)
    session.handles.folder = target.folder
    with selected_client(who, session) as (client, account):
        target.check_store(client, request.n)
        result = _bought(client, request, call_arguments(what, call, account, session), session)
        open_attempts = keep_open_attempts(session, result.attempts)
        try:
            return deliver(client, result, target, session, as_json=where.json)
        finally:
            with ignoring_closed_output():
                if call.trace:
                    show_trace(session, result.attempts)
                print_open_attempts(session, open_attempts)


def _bought(client: Client, request: ImageRequest, how: Call, session: Session) -> ImageResult:
    try:
        with live_progress(session, [session.call_state]):
            return client.generate(request, **how)
    except KeyboardInterrupt as exc:
        # Held back during the submit, whose reply was the pictures: nothing is left to wait for.
        result: ImageResult | None = getattr(exc, "result", None)
        if result is None:
            raise
        return result
