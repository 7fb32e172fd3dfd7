"""Saving a result's pictures: one that fails does not keep the others from being saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import define

from wanbridge.cli.codes import Exit
from wanbridge.cli.progress import live_progress
from wanbridge.cli.session import Session
from wanbridge.cli.target import Saved, Target, result_stem, shown
from wanbridge.client.blocking import Client
from wanbridge.errors import DownloadFailed, StorageFailed
from wanbridge.model import codec
from wanbridge.model.result import Image, ImageResult


@define(slots=False, eq=False)
class NotSaved(Exception):
    """Pictures that are paid for could not be saved.

    Attributes:
        missing: How many, of *pictures*.
        reason: Of the first.
    """

    missing: int
    pictures: int
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.missing} of {self.pictures} pictures could not be saved:"
            f" {self.reason}; all are paid for"
        )


def deliver(
    client: Client, result: ImageResult, target: Target, session: Session, *, as_json: bool
) -> Exit:
    """Save the pictures of *result* and print the outcome.

    Raises:
        NotSaved: some are not; the others are, and were reported.
    """
    session.result = result
    session.call_state.status = "saving"
    if result.job_id is None and session.handles.keep(result) is not None:
        # No job leads to these pictures, and a receipt only to their purchase.
        session.handles.remove_except(result)
    with live_progress(session, [session.call_state]):
        saved = save_all(client, result, target, key=session.handles.key)
    failed = [one for one in saved if one.path is None]
    if not failed:
        session.result = session.call_state.job = session.call_state.receipt = None
        session.call_state.status = "saved"
        session.handles.remove_except()
    _report(result, saved, session, as_json=as_json)
    if failed:
        raise NotSaved(len(failed), len(saved), reason(failed[0].error))
    return Exit.OK


def reason(error: Exception | None) -> str:
    """Why a picture was not saved."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def save_all(client: Client, result: ImageResult, target: Target, *, key: str) -> list[Saved]:
    """Save every picture under the next free name; a failure is in ``Saved.error``."""
    places = target.places(result_stem(result, key))
    return [_save(client, image, places, target) for image in result.images]


def _save(client: Client, image: Image, places: Iterator[Path | str], target: Target) -> Saved:
    for place in places:
        try:
            if target.address is not None:  # once, whatever names are taken; its size is shown
                image = client.download(image)
            saved = client.save(image, place, force=target.force, metadata=target.metadata)
            return Saved(image, saved)
        except FileExistsError:
            continue  # It came into being since, or as another format; the next is free.
        except (DownloadFailed, StorageFailed, OSError, ValueError) as exc:
            return Saved(image, None, exc)
    raise AssertionError("names never end")  # pragma: no cover


def _report(result: ImageResult, saved: list[Saved], session: Session, *, as_json: bool) -> None:
    from wanbridge.cli import screen

    with screen.ignoring_closed_output():
        if as_json:
            files = [shown(one.path) if one.path else None for one in saved]
            screen.show_json(session, {**codec.to_document(result), "files": files})
        else:
            screen.show_result(session, result, saved, polls=session.call_state.polls)
