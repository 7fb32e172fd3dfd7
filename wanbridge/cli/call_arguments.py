"""What `generate` and `submit` tell the client beside the request."""

from __future__ import annotations

from wanbridge.cli.options import CallOptions, RequestOptions
from wanbridge.cli.session import Session
from wanbridge.client.options import Call, new_key


def call_of(what: RequestOptions, call: CallOptions, whom: Call, session: Session) -> Call:
    """The call's own options, and *whom* it asks; the session learns its key."""
    session.handles.key, session.trace = call.key or new_key(), call.trace
    return {
        **whom,
        "may_drop": what.may_drop,
        "check_limits": not what.no_check_limits,
        "deadline": call.deadline,
        "key": session.handles.key,
        "on_progress": session.told,
    }
