"""``wanbridge fetch``: wait for what was bought, or cancel it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from wanbridge.adapters.steps import Cancelled
from wanbridge.cli.accounts import open_client
from wanbridge.cli.codes import Exit
from wanbridge.cli.deliver import deliver
from wanbridge.cli.files import read
from wanbridge.cli.options import ConfigFile, PictureOptions
from wanbridge.cli.progress import live_progress
from wanbridge.cli.screen import ignoring_closed_output, print_stderr
from wanbridge.cli.session import Session
from wanbridge.cli.target import Target, result_stem
from wanbridge.cli.usage import UsageError
from wanbridge.client.blocking import Client
from wanbridge.model import codec, strict_json
from wanbridge.model.jobs import Job
from wanbridge.model.result import ImageResult
from wanbridge.storage.filenames import stem_of


def fetch(
    file: Annotated[Path, Parameter(help="A job, or a result whose pictures were not all saved.")],
    /,
    *,
    where: PictureOptions = PictureOptions(),  # noqa: B008 - frozen
    deadline: Annotated[
        float | None, Parameter(help="Seconds to wait for it.", metavar="SECONDS")
    ] = None,
    cancel: Annotated[
        bool, Parameter(negative="", show_default=False, help="Cancel the job instead.")
    ] = False,
    config: ConfigFile = None,
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Wait for a job and save its pictures, or cancel it.

    The configuration must still have the account that the job was accepted by.
    """
    stored = read(file, _stored, "job")
    target = Target.of(where.output, force=where.force, metadata=where.metadata)
    session.handles.folder = target.folder
    session.handles.register(stored, file)
    with open_client(config, session) as client:
        if isinstance(stored, ImageResult):
            if where.metadata_prompt:
                raise UsageError(f"--metadata-prompt: {file} is a result, which has no prompt")
            target.check(len(stored.images), result_stem(stored, file.stem))
            session.handles.key = file.stem
            return deliver(client, stored, target, session, as_json=where.json)
        session.call_state.accepted(stored)
        if cancel:
            return _cancel(client, stored, file, session)
        target.check(stored.request.n, stem_of(stored.account, stored.id))
        with live_progress(session, [session.call_state]):
            result = client.wait(stored, deadline=deadline, on_progress=session.call_state.on_event)
        return deliver(client, result, target, session, as_json=where.json)


def _stored(text: bytes) -> Job | ImageResult:
    document: Any = strict_json.parse(text)
    if isinstance(document, dict) and "images" in document:
        return codec.from_document(ImageResult, document)
    return codec.from_document(Job, document)


def _cancel(client: Client, job: Job, file: Path, session: Session) -> Exit:
    outcome = client.cancel(job)
    if isinstance(outcome, Cancelled):
        with ignoring_closed_output():
            print(session.line(f"{job.account} cancelled job {job.id}; charged: {outcome.charge}"))
        return Exit.OK
    with ignoring_closed_output():
        print_stderr(
            session, f"wanbridge: {job.account}: too late, the job goes on: {outcome.detail}"
        )
        print_stderr(session, f"go on with: {session.command('fetch', file)}", lead="  ")
    return Exit.REFUSED
