"""Input pictures put in the object store before a submit, each once in a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import FittedRequest
from wanbridge.adapters.uploads import decoded
from wanbridge.engine.context import CallContext
from wanbridge.engine.effects import Flow, Stage
from wanbridge.engine.exchanges import SOONEST
from wanbridge.errors import Charge, StorageFailed

# Seconds that a link is good for after the call's deadline: the provider reads the picture when
# the job's turn comes, and a job that is still pending then goes on.
AFTERWARDS = 3600.0


def stage_pictures(
    adapter: Adapter, fitted: FittedRequest, context: CallContext, until: float
) -> Flow[Mapping[str, str]]:
    """Links to the pictures of *fitted* that the provider takes only as links, by ``data:`` URI.

    Raises:
        StorageFailed: the store failed, in this attempt or in an earlier one of the same call.
        UnsupportedFeature: a picture is no ``data:`` URI that can be read.
    """
    staged = context.staged
    for index in fitted.staged:
        url = fitted.request.images[index].url
        assert url is not None
        if url in staged.links:
            continue
        if staged.failure is None:
            data, mime = decoded(adapter, url, prefix=f"images[{index}]: ")
            left = max(until - context.clock(), SOONEST)
            stage = Stage(
                data=data,
                mime=mime,
                lifetime=left + AFTERWARDS,
                within=min(left, context.timeouts.upload(len(data))),
            )
            try:
                staged.links[url] = cast("str", (yield stage))
                continue
            except StorageFailed as exc:
                staged.failure = exc
        # Without its traceback, so that an attempt does not carry those of the others.
        why = staged.failure.with_traceback(None)
        message = f"images[{index}]: {why}"
        raise StorageFailed(adapter.account, message, Charge.NO) from why
    return staged.links
