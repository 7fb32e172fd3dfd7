"""``wanbridge sandbox``: fake providers for any program on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wanbridge.cli.accounts import require_sandbox
from wanbridge.cli.codes import Exit
from wanbridge.cli.session import Session
from wanbridge.cli.usage import UsageError

if TYPE_CHECKING:
    from wanbridge.sandbox import Sandbox


def sandbox(
    *,
    port: Annotated[int, Parameter(help="0 takes any that is free.")] = 8765,
    latency: Annotated[
        float, Parameter(metavar="SECONDS", help="How long one generation takes.")
    ] = 2.0,
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Serve fake providers on this machine until Ctrl-C.

    They speak the providers' own formats, draw pictures, keep a ledger of what they charged and
    misbehave on command. The keys it prints are good for nothing else.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: 0 to 65535")
    if not 0 <= latency < float("inf"):
        raise UsageError(f"--latency {latency:g}: seconds, 0 or more")
    require_sandbox()
    from wanbridge.sandbox import Sandbox, serve

    try:
        serve(Sandbox(latency=latency), port=port, ready=_greet)
    except OSError as exc:
        advice = "--port 0 takes any that is free"
        raise UsageError(f"port {port}: {exc.strerror or exc}", advice) from None
    except KeyboardInterrupt:
        return Exit.OK  # How it is meant to end.
    return Exit.OK


def _greet(sandbox: Sandbox) -> None:
    """Where it is, in words that a shell understands."""
    print(f"# wanbridge sandbox on {sandbox.origin}; Ctrl-C ends it")
    print(f"# what it was sent and charged: curl {sandbox.origin}/_sandbox/ledger")
    print("# in another shell:")
    for name in sandbox.providers:
        prefix = name.upper().replace("-", "_")
        print(f"export {prefix}_API_KEY={sandbox.api_key(name)}")
        print(f"export {prefix}_BASE_URL={sandbox.base_url(name)}")
    print(f'wanbridge generate "a red kite over dunes" --provider {sandbox.providers[0]}')
    print(end="", flush=True)
