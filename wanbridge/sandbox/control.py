"""The controls under ``/_sandbox/``: the same as the Python calls, for any language.

============================  =====================================================
``GET /_sandbox/``            ``{"providers": {name: {"base_url", "api_key"}}}``
``GET /_sandbox/ledger``      posts, charges and totals
``GET /_sandbox/tasks``       a list of tasks
``GET /_sandbox/callbacks``   ``{"waiting": [...], "sent": [...]}``
``GET /_sandbox/faults``      the faults that are set
``PUT /_sandbox/faults``      a list of faults that replaces them
``GET /_sandbox/switches``    ``{provider: {name: value}}``
``PUT /_sandbox/switches``    the same shape; what it does not name stays
``POST /_sandbox/reset``      as new
============================  =====================================================

What cannot be done is one 400 with ``{"error": "..."}``, and then nothing was changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wanbridge.sandbox.faults import Fault
from wanbridge.sandbox.reply import Reply, json_reply
from wanbridge.wire import HttpRequest

if TYPE_CHECKING:
    from wanbridge.sandbox.sandbox import Sandbox


def control(sandbox: Sandbox, request: HttpRequest, path: str) -> Reply:
    """Answer a request for ``/_sandbox/{path}``."""
    try:
        match request.method.upper(), path:
            case "GET", "":
                return json_reply(200, {"providers": _providers(sandbox)})
            case "GET", "ledger":
                return json_reply(200, sandbox.ledger())
            case "GET", "tasks":
                return json_reply(200, sandbox.tasks())
            case "GET", "callbacks":
                return _callbacks(sandbox)
            case "GET", "faults":
                return _faults(sandbox)
            case "PUT", "faults":
                sandbox.set_faults([Fault.from_json(item) for item in _json(request, list)])
                return _faults(sandbox)
            case "GET", "switches":
                return json_reply(200, sandbox.switches())
            case "PUT", "switches":
                sandbox.set_switches(_json(request, dict))
                return json_reply(200, sandbox.switches())
            case "POST", "reset":
                sandbox.reset()
                return json_reply(200, {"providers": _providers(sandbox)})
    except ValueError as error:
        return json_reply(400, {"error": str(error)})
    return json_reply(404, {"error": f"no control {request.method} /_sandbox/{path}"})


def _providers(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    return {
        name: {"base_url": sandbox.base_url(name), "api_key": sandbox.api_key(name)}
        for name in sandbox.providers
    }


def _callbacks(sandbox: Sandbox) -> Reply:
    waiting = [callback.to_json() for callback in sandbox.callbacks()]
    return json_reply(
        200, {"waiting": waiting, "sent": [d.to_json() for d in sandbox.deliveries()]}
    )


def _faults(sandbox: Sandbox) -> Reply:
    return json_reply(200, [fault.to_json() for fault in sandbox.faults()])


def _json(request: HttpRequest, shape: type[list[Any]] | type[dict[str, Any]]) -> Any:
    try:
        value = request.json()
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(value, shape):
        raise ValueError(f"the body must be {'a list' if shape is list else 'an object'}")
    return value
