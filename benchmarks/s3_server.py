"""Object stores over HTTP on this machine, for benchmarks and tests: moto's S3, and broken ones."""

from __future__ import annotations

import os
import socket
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from attrs import define, field

if TYPE_CHECKING:
    import pytest

BUCKET = "pictures"
# What the store's own tools read; moto takes any.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDWANBRIDGE",
    "AWS_SECRET_ACCESS_KEY": "store-s3cret-canary",
    "AWS_REGION": "eu-central-1",
}


@define
class S3Server:
    """A store with one bucket.

    Attributes:
        endpoint: Where it listens.
        requests: Method, path and bytes of the body of each, in order.
    """

    endpoint: str
    requests: list[tuple[str, str, int]] = field(factory=list)

    def storage(self, prefix: str) -> dict[str, str]:
        """As `Client` and a configuration take it."""
        return {"url": f"s3://{BUCKET}/{prefix}", "endpoint": self.endpoint}

    def keys(self, prefix: str = "") -> list[str]:
        """Of all objects whose key begins so, in order."""
        return sorted(name for name in _backend().buckets[BUCKET].keys if name.startswith(prefix))

    def data(self, key: str) -> bytes:
        """The bytes of an object."""
        found: bytes = _backend().get_object(BUCKET, key).value
        return found

    def type(self, key: str) -> str:
        """The media type that an object was stored with."""
        found: str = _backend().get_object(BUCKET, key).metadata["Content-Type"]
        return found

    def puts(self, prefix: str = "") -> list[tuple[str, str, int]]:
        """The requests that stored something under keys that begin so."""
        begins = f"/{BUCKET}/{prefix}"
        return [r for r in self.requests if r[0] == "PUT" and r[1].startswith(begins)]

    def clear(self) -> None:
        """Remove all objects, and forget the requests."""
        for key in self.keys():
            _backend().delete_object(BUCKET, key)
        self.requests.clear()


def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CREDENTIALS` in the environment, and nothing else of the user's own store."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")):
            monkeypatch.delenv(name)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends["123456789012"]["aws"]


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """moto's S3 on a port of its own, with the bucket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of moto's own libraries
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, type: str, message: str, *args: Any) -> None:
                """Nothing: a test's output is its own."""

        served = S3Server("")
        app: Callable[..., Iterable[bytes]] = DomainDispatcherApplication(create_backend_app)

        def recording(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            size = int(environ.get("CONTENT_LENGTH") or 0)
            served.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], size))
            return app(environ, start)

        server = make_server("127.0.0.1", 0, recording, threaded=True, request_handler=Quiet)
        served.endpoint = f"http://127.0.0.1:{server.port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            _backend().create_bucket(BUCKET, "eu-central-1")
            yield served
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            _backend().reset()


def fetched(link: str) -> tuple[bytes, str]:
    """Bytes and media type behind a link, as a provider would get them."""
    with urlopen(link, timeout=10) as reply:
        return reply.read(), reply.headers["Content-Type"]


@contextmanager
def answering(
    status: int, code: str = "", *, lists: bool = False, seen: list[str] | None = None
) -> Iterator[str]:
    """A store that answers everything so; its endpoint.

    Args:
        lists: It has an empty bucket, and answers so only to what is to be stored.
        seen: Gets the path of each request.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if seen is not None:
                seen.append(self.path)
            # As S3 words it: with what was asked for, which must not be passed on.
            body = (
                f"<Error><Code>{code}</Code><Message>for store-s3cret-canary"
                f" {self.path}</Message></Error>"
            ).encode()
            listed = lists and self.command == "GET"
            if listed:
                body = b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"
            self.send_response(200 if listed else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = _answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silent() -> Iterator[str]:
    """A store that takes connections and never says a word; its endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def down() -> str:
    """The endpoint of a store that is not there."""
    with silent() as endpoint:
        return endpoint


def key_in(link: str) -> str:
    """The key of the object that a link leads to."""
    return urlsplit(link).path.removeprefix(f"/{BUCKET}/")
