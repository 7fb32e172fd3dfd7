"""The keyword arguments of `generate` and `submit` at the client, from the flags."""

from __future__ import annotations

from wanbridge.cli.options import CallOptions, RequestOptions
from wanbridge.cli.session import Session
from wanbridge.client.options import Call, new_key


def call_arguments(
    what: RequestOptions, call: CallOptions, account: Call, session: Session
) -> Call:
    """The keyword arguments of one call.

    The call's key, and whether to show a trace, are recorded in *session*.

    Args:
        account: The ``provider`` or ``route`` argument, from `selected_client`.
    """
    session.handles.key, session.trace = call.key or new_key(), call.trace
    return {
        **account,
        "may_drop": what.may_drop,
        "check_limits": not what.no_check_limits,
        "deadline": call.deadline,
        "key": session.handles.key,
        "on_progress": session.on_event,
    }
