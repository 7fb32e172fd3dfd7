"""Looking for an uncertain submit in the list of tasks, which shows neither prompt nor key.

The words in brackets are the pages listed in `adapter`.
"""

from __future__ import annotations

from datetime import timedelta, timezone
from urllib.parse import urlencode

from attrs import frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import Exchange, Op, StillUnknown
from wanbridge.model.jobs import Receipt
from wanbridge.model.structuring import lenient
from wanbridge.wire import json_request

# The zone of the service's times is not documented; Beijing and Singapore share this one.
_ZONE = timezone(timedelta(hours=8))
# Of the list of tasks: its default page size (tasks), and how many pages are looked at.
_PAGE_SIZE, _PAGES = 10, 5


@frozen
class _Listed:
    task_id: str


@frozen
class _Listing:
    data: list[_Listed]
    total: int | None = lenient()


def list_candidates(adapter: Adapter, receipt: Receipt) -> Exchange[StillUnknown]:
    """The tasks of that model around the sends of *receipt*; only the caller can adopt one."""
    minute = timedelta(minutes=1)
    since = (receipt.first_sent_at - minute).astimezone(_ZONE)
    until = (receipt.last_sent_at + minute).astimezone(_ZONE)
    alias = adapter.offer(receipt.request.model).alias
    found: list[str] = []
    total: int | None = None
    for page in range(1, _PAGES + 1):
        query = {
            "start_time": f"{since:%Y%m%d%H%M%S}",
            "end_time": f"{until:%Y%m%d%H%M%S}",
            "model_name": alias,
            "page_no": page,
            "page_size": _PAGE_SIZE,
        }
        url = f"{receipt.base_url}/tasks/?{urlencode(query)}"
        response = yield json_request("GET", url, headers=adapter.bearer())
        listing = adapter.read(response, Op.FIND, _Listing)
        found += [task.task_id for task in listing.data]
        total = listing.total
        if len(listing.data) < _PAGE_SIZE or len(found) == total:
            break
    detail = (
        f"{max(len(found), total or 0)} tasks of {alias} from"
        f" {since:%Y-%m-%d %H:%M:%S} to {until:%H:%M:%S} (UTC+8), {len(found)} named here;"
        " the list shows neither prompt nor key, so only the caller can adopt one"
    )
    return StillUnknown(candidates=tuple(found), detail=detail)
