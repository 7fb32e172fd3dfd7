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
        if url not in staged.links:
            data, mime = decoded(adapter, url, prefix=f"images[{index}]: ")
            stage = _stage(data, mime, context, until)
            try:
                if staged.failure is not None:
                    raise staged.failure
                staged.links[url] = cast("str", (yield stage))
            except StorageFailed as exc:
                # What a hedged call had no more time for, another account may have time for.
                if context.start_by is None:
                    staged.failure = exc
                message = f"images[{index}]: {exc}"
                raise StorageFailed(adapter.account, message, Charge.NO) from None
    return staged.links


def _stage(data: bytes, mime: str, context: CallContext, until: float) -> Stage:
    now = context.clock()
    begin = until if context.start_by is None else min(until, context.start_by)
    return Stage(
        data=data,
        mime=mime,
        lifetime=max(until - now, SOONEST) + AFTERWARDS,
        within=min(max(begin - now, SOONEST), context.timeouts.upload(len(data))),
    )
