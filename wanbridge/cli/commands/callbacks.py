"""``wanbridge callbacks serve``: receive providers' callbacks and print one line for each."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.steps import CallbackEvent
from wanbridge.callbacks.receiver import CallbackReceiver
from wanbridge.cli.accounts import read_settings
from wanbridge.cli.codes import Exit
from wanbridge.cli.options import ConfigFile
from wanbridge.cli.screen import print_stderr
from wanbridge.cli.session import Session
from wanbridge.cli.usage import UsageError
from wanbridge.config import CallbackSettings

if TYPE_CHECKING:
    import uvicorn

callbacks = App(name="callbacks", help="Receive providers' callbacks.")


@callbacks.command
def serve(
    *,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="0 takes any that is free.")] = 8766,
    config: ConfigFile = None,
    session: Annotated[Session, Parameter(parse=False)],
) -> Exit:
    """Receive callbacks until Ctrl-C, one line of JSON on standard output for each new event.

    The configuration says in [callbacks] under which public https address they arrive, and the
    secret that signs addresses: those who submit need the same. Something in front has to speak
    https. Clients in other processes learn of the end of a job by polling.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: 0 to 65535")
    receiver = _receiver(config, session)
    listener = _listener(host, port)
    server = _server(receiver)
    where = f"http://{host}:{listener.getsockname()[1]}"
    print_stderr(
        session, f"callbacks for {receiver.base_url} are received at {where}; Ctrl-C ends it"
    )
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return Exit.OK  # How it is meant to end.
    finally:
        listener.close()
    return Exit.OK


def _receiver(file: Path | None, session: Session) -> CallbackReceiver:
    settings = read_settings(file)
    found = settings.callbacks
    session.keep_secret(a.api_key for a in settings.adapters)
    if found is None:
        advice = "base_url under [callbacks], or WANBRIDGE_CALLBACK_URL"
        raise UsageError("it is not configured where callbacks arrive", advice)
    if found.secret is None:
        advice = "secret_env under [callbacks], or WANBRIDGE_CALLBACK_SECRET"
        raise UsageError("without a secret nobody else can make addresses for this", advice)
    session.keep_secret([found.secret])
    return _printing_receiver(settings.adapters, found, session)


def _printing_receiver(
    adapters: tuple[Adapter, ...], found: CallbackSettings, session: Session
) -> CallbackReceiver:
    def show(account: str, event: CallbackEvent) -> None:
        line = {
            "account": account,
            "task": event.task_id,
            "item": event.item,
            "ended": event.ended,
            "verified": event.verified,
        }
        print(session.hide(json.dumps(line)), flush=True)

    return CallbackReceiver(adapters, found.base_url, secret=found.secret, on_event=show)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as exc:
        advice = "--port 0 takes any that is free"
        raise UsageError(f"{host} port {port}: {exc.strerror or exc}", advice) from None


def _server(receiver: CallbackReceiver) -> uvicorn.Server:
    try:
        import uvicorn
    except ImportError:
        raise UsageError("this needs uvicorn: pip install 'wanbridge[callbacks]'") from None
    return uvicorn.Server(
        uvicorn.Config(
            receiver.app,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,  # a path holds the token
            server_header=False,
        )
    )
