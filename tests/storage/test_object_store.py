"""Object stores over real HTTP: what is put is there, links lead to it, and failures say why."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pickle
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from s3_server import CREDENTIALS, S3Server, answering, credentials, down, fetched, silent

from wanbridge.engine.effects import Stage
from wanbridge.errors import Charge, ConfigurationError, StorageFailed
from wanbridge.storage.addresses import Address, is_address
from wanbridge.storage.object_store import ObjectStore

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08" + bytes(24)
SECRET = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]


def store(s3: S3Server, prefix: str = "kites") -> ObjectStore:
    return ObjectStore.of(s3.storage(prefix))


def put(store: ObjectStore, key: str, data: bytes = PNG, **named: Any) -> str:
    return str(store.put(key, data, "image/png", within=10.0, **named))


def stage(data: bytes = PNG, **named: Any) -> Stage:
    return Stage(data=data, mime="image/png", **{"lifetime": 60.0, "within": 10.0, **named})


# -- what is put is there -----------------------------------------------------------------


def test_what_is_put_is_there_with_its_type(s3: S3Server) -> None:
    """A browser shows it, and a provider accepts it, by the type it is stored with."""
    assert "s3://pictures/kites/a.png" == put(store(s3), "kites/a.png")

    assert ["kites/a.png"] == s3.keys()
    assert (PNG, "image/png") == (s3.data("kites/a.png"), s3.type("kites/a.png"))


def test_nothing_is_replaced_without_force(s3: S3Server) -> None:
    """The store itself decides, in one step: another program may store at the same moment."""
    put(store(s3), "kites/a.png", b"old")

    with pytest.raises(FileExistsError) as caught:
        put(store(s3), "kites/a.png", b"new")
    assert "s3://pictures/kites/a.png" == caught.value.filename
    assert b"old" == s3.data("kites/a.png")

    put(store(s3), "kites/a.png", b"new", force=True)
    assert b"new" == s3.data("kites/a.png")


def test_an_endpoint_of_the_environment_is_as_good(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the store's other tools are set up; plain HTTP has to be allowed there, too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.storage("kites")["endpoint"])
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    by_environment = ObjectStore(s3.storage("kites")["url"])

    with pytest.raises(StorageFailed, match=r"plain HTTP; .* AWS_ALLOW_HTTP=true allows it"):
        put(by_environment, "kites/a.png")

    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    put(ObjectStore(by_environment.url), "kites/a.png")
    assert PNG == s3.data("kites/a.png")


@pytest.mark.parametrize("name", ["a b.png", "ü/kite+1%20.png", "50%.png"])
def test_a_name_is_a_name_whatever_is_in_it(s3: S3Server, name: str) -> None:
    """An address is not percent-encoded, as in the store's own tools; a link is."""
    address = put(store(s3), f"kites/{name}")

    assert f"s3://pictures/kites/{name}" == address
    assert [f"kites/{name}"] == s3.keys()
    assert (PNG, "image/png") == fetched(store(s3).link(address, 60))


def test_a_link_is_signed_for_so_long(s3: S3Server) -> None:
    """The address lasts, a link does not: it is signed anew whenever one is needed."""
    address = put(store(s3), "kites/a.png")

    link = store(s3).link(address, 77)

    assert link.startswith(f"{s3.endpoint}/pictures/kites/a.png?")
    assert "X-Amz-Expires=77&" in link
    assert SECRET not in link


@pytest.mark.parametrize(
    ("address", "seconds", "said"),
    [
        ("s3://other/a.png", 60, "s3://other/a.png is not in s3://pictures"),
        ("gs://pictures/a.png", 60, "gs://pictures/a.png is not in s3://pictures"),
        ("s3://pictures/a.png", 0, "0 seconds; more than 0"),
        ("s3://pictures/a.png", 604801, "at most seven days"),
        ("kite.png", 60, "a text without a scheme is no object store"),
    ],
)
def test_a_link_that_cannot_be(s3: S3Server, address: str, seconds: float, said: str) -> None:
    """Said before anything is asked of the store."""
    with pytest.raises(ConfigurationError, match=said):
        store(s3).link(address, seconds)
    assert [] == s3.requests


def test_a_folder_has_no_links(tmp_path: Path) -> None:
    """Nobody else could follow one."""
    folder = ObjectStore(tmp_path.as_uri())

    with pytest.raises(ConfigurationError, match="has no links; s3, gs and az have"):
        folder.link((tmp_path / "a.png").as_uri(), 60)
    assert folder.staging.scheme is None


def test_a_picture_is_staged_under_its_digest(s3: S3Server) -> None:
    """The same picture is one object, however often it is staged, and its link GETs it."""
    first, second = (store(s3).stage(stage()) for _ in range(2))

    assert [f"kites/{hashlib.sha256(PNG).hexdigest()}.png"] == s3.keys()
    assert (PNG, "image/png") == fetched(first) == fetched(second)
    assert "X-Amz-Expires=60&" in first


def test_a_link_is_at_most_for_seven_days(s3: S3Server) -> None:
    """S3 refuses a longer one; a deadline may be as long as the caller likes."""
    link = store(s3).stage(stage(lifetime=1e7))

    assert "X-Amz-Expires=604800&" in link
    assert (PNG, "image/png") == fetched(link)


def test_a_picture_is_staged_at_the_top_of_a_bucket(s3: S3Server) -> None:
    """No prefix is no empty name in front."""
    store = ObjectStore("s3://pictures", endpoint=s3.endpoint)

    store.stage(stage())

    assert [f"{hashlib.sha256(PNG).hexdigest()}.png"] == s3.keys()


def test_one_store_serves_threads_and_loops(s3: S3Server) -> None:
    """Blocking calls also work where an event loop runs already, as in a notebook."""
    one = store(s3)

    async def inside() -> str:
        return one.stage(stage()) and await one.stage_async(stage(b"other"))

    for _ in range(2):
        assert asyncio.run(inside())
    threads = [threading.Thread(target=put, args=(one, f"kites/{n}.png")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 6 == len(s3.keys())


# -- what fails, and how it says so --------------------------------------------------------

Server = Callable[[], AbstractContextManager[str]]
FAILURES: Mapping[str, tuple[Server, str]] = {
    "down": (lambda: nullcontext(down()), "the store cannot be reached"),
    "full": (
        lambda: answering(507, "XMinioStorageFull"),
        r"the store could not do it \(HTTP 507, XMinioStorageFull\)",
    ),
    "busy": (lambda: answering(503, "SlowDown"), r"could not do it \(HTTP 503, SlowDown\)"),
    "wrong key": (
        lambda: answering(403, "InvalidAccessKeyId"),
        r"refuses the key, or does not allow it this \(HTTP 403, InvalidAccessKeyId\)",
    ),
    "no key": (lambda: answering(401), r"refuses the key, .*\(HTTP 401\)"),
    "no bucket": (
        lambda: answering(404, "NoSuchBucket"),
        r"no such bucket \(HTTP 404, NoSuchBucket\)",
    ),
    "elsewhere": (lambda: answering(301, "PermanentRedirect"), "is in another region"),
    "silent": (silent, r"no answer within 0.5 s"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_store_that_fails_says_why(failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, without a key, a link, or the words of the store, which repeat both."""
    credentials(monkeypatch)
    server, said = FAILURES[failure]
    with server() as endpoint:
        one = ObjectStore("s3://pictures/kites", endpoint=endpoint)
        with pytest.raises(StorageFailed, match=said) as caught:
            one.stage(stage(within=0.5 if failure == "silent" else 10.0))

    error = caught.value
    assert str(error).startswith("s3://pictures/kites: ")
    assert (Charge.NO, True) == (error.charge, error.elsewhere)
    told = "".join([str(error), repr(error), repr(one), *traceback.format_exception(error)])
    assert SECRET not in told
    assert "Signature" not in str(error)
    assert "\n" not in str(error)
    assert str(error) == str(pickle.loads(pickle.dumps(error)))


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the store's library asks the machine for its role, which here has none."""
    credentials(monkeypatch)
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    with answering(404) as nowhere:
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", nowhere)
        with pytest.raises(StorageFailed, match="no credentials for the store"):
            ObjectStore("s3://pictures", endpoint=nowhere).stage(stage())


def test_a_key_that_may_only_store_is_no_wrong_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may well not list the bucket, and that says nothing of what it is for."""
    credentials(monkeypatch)
    for code, passes in (("AccessDenied", True), ("SignatureDoesNotMatch", False)):
        with answering(403, code) as endpoint:
            one = ObjectStore("s3://pictures/kites", endpoint=endpoint)
            expected = nullcontext() if passes else pytest.raises(StorageFailed, match=code)
            with expected:
                one.check(within=10.0)
            assert not one.exists("kites/a.png", within=10.0)


def test_ctrl_c_ends_the_wait_for_a_store() -> None:
    """At once, although a library in native code waits; and its connection is closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = ObjectStore("s3://pictures", endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")
        closed = threading.Event()

        def interrupt() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                os.kill(os.getpid(), signal.SIGINT)
                while connection.recv(65536):
                    pass
            closed.set()

        watching = threading.Thread(target=interrupt)
        with pytest.MonkeyPatch.context() as patch:
            credentials(patch)
            watching.start()
            with pytest.raises(KeyboardInterrupt):
                one.stage(stage(within=60.0))
        watching.join(30)
    assert closed.is_set()


# -- settings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("bucket/prefix", "a text without a scheme is no object store; right would be s3://"),
        ("ftp://bucket", "ftp:// is no object store"),
        ("s3://", "s3:// names no bucket"),
        ("s3://key:s3cret@bucket", "holds a user, a query or a fragment"),
        ("s3://bucket?token=s3cret", "holds a user, a query or a fragment"),
        ("file://folder", "three slashes"),
        ("s3://[bucket", "this is no URL"),
        ({"endpoint": "https://s3.example.com"}, "url is missing; right would be s3://"),
        ({"url": "s3://bucket", "endpont": "x"}, "unknown 'endpont'; did you mean 'endpoint'"),
        ({"url": "s3://bucket", "endpoint": "http://s3.example.com"}, "plain http is for this"),
        ({"url": "s3://bucket", "endpoint": "https://k:s3cret@s3.example.com"}, "credentials come"),
        ({"url": "gs://bucket", "region": "x"}, "are for s3://, not gs://"),
    ],
)
def test_settings_that_are_wrong(given: Any, said: str) -> None:
    """What was given, and what would be right; never what may be a key."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        ObjectStore.of(given)
    assert "s3cret" not in str(caught.value)


def test_what_is_no_setting_at_all_is_a_mistake_of_the_program() -> None:
    """As everywhere: a thing of the wrong kind is a TypeError."""
    with pytest.raises(TypeError, match="storage is 7; it must be a URL like s3://bucket/prefix"):
        ObjectStore.of(7)  # type: ignore[arg-type]
    for wrong in (7, None, Path("kites")):
        with pytest.raises(TypeError, match="it must be text like s3://bucket/key"):
            ObjectStore("s3://bucket").link(wrong, 60)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="it must be text like s3://bucket/key"):
            ObjectStore.of({"url": wrong})


def test_an_azure_account_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its URL names only the container; the library's own words are for programmers."""
    credentials(monkeypatch)
    with pytest.raises(ConfigurationError, match="AZURE_STORAGE_ACCOUNT_NAME is not set"):
        ObjectStore("az://pictures").stage(stage())


def test_azure_links_are_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the account's key, which needs nobody to be asked."""
    credentials(monkeypatch)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "kites")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")

    link = ObjectStore("az://pictures/in").link("az://pictures/in/a.png", 60)

    assert link.startswith("https://kites.blob.core.windows.net/pictures/in/a.png?")


def test_without_the_library_there_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told when the client is made, not when a picture is on its way; a folder needs none."""
    monkeypatch.setattr("wanbridge.storage.object_store.find_spec", lambda name: None)

    with pytest.raises(ConfigurationError, match=r"pip install 'wanbridge\[storage\]'"):
        ObjectStore("s3://bucket")
    ObjectStore("file:///tmp")


def test_addresses(tmp_path: Path) -> None:
    """Text to address and back; a path is none, and a URL of another kind is."""
    for text in ("s3://bucket", "s3://bucket/a b/c.png", "gs://b/50%25", (tmp_path / "ü").as_uri()):
        assert text == str(Address.of(text))
    assert "s3://bucket/in/a" == str(Address.of("s3://bucket/in/").under("a"))
    assert "s3://bucket/a" == str(Address.of("s3://bucket").under("a"))
    assert tmp_path / "ü" == Address.of((tmp_path / "ü").as_uri()).path
    assert [True, True, False, False] == [
        is_address(given) for given in ("s3://b/k", "https://x", "a/b", Path("s3://b/k"))
    ]
