"""``wanbridge submit``: buy now, collect later."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wanbridge.cli.accounts import selected_client
from wanbridge.cli.call_arguments import call_arguments
from wanbridge.cli.codes import Exit
from wanbridge.cli.files import DocumentTarget
from wanbridge.cli.options import (
    AccountOptions,
    CallOptions,
    DocumentOptions,
    Prompt,
    RequestOptions,
)
from wanbridge.cli.progress import live_progress
from wanbridge.cli.request import build_request
from wanbridge.cli.screen import ignoring_closed_output, print_stderr, show_json
from wanbridge.cli.session import Session
from wanbridge.model import codec
from wanbridge.model.jobs import Job


def submit(
    prompt: Prompt = None,
    /,
    *,
    what: RequestOptions = RequestOptions(),  # noqa: B008 - frozen
    call: CallOptions = CallOptions(),  # noqa: B008
    who: AccountOptions = AccountOptions(),  # noqa: B008
    where: DocumentOptions = DocumentOptions(),  # noqa: B008
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Buy pictures and keep the job in a file; fetch collects them.

    The file is for its owner's eyes only (mode 600). Any machine with the same configuration
    can collect.
    """
    request = build_request(prompt, what)
    target = DocumentTarget.of(where.output, force=where.force)
    session.handles.folder, session.handles.target = target.folder, target
    with selected_client(who, session) as (client, account):
        how = call_arguments(what, call, account, session)
        with live_progress(session, [session.call_state]):
            job = client.submit(request, **how)
        session.call_state.accepted(job)
        if (file := session.handles.keep_always(job)) is None:
            raise OSError("the job can be written to no file")
        # Accounts tried before the job was accepted have surely charged nothing.
        session.handles.remove_except(job)
        with ignoring_closed_output():
            _report(job, file, session, as_json=where.json)
    return Exit.OK


def _report(job: Job, file: Path, session: Session, *, as_json: bool) -> None:
    if as_json:
        show_json(session, codec.to_document(job))
        return
    print(session.line(f"{job.account} accepted job {job.id}, kept in {file}"))
    if session.sandbox:
        print_stderr(
            session, "note: this sandbox ends now, and the job with it; see wanbridge sandbox"
        )
    else:
        print(f"collect it: {session.command('fetch', file)}")
