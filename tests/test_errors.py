"""Every error reads as one line, shows no secret, and survives a process pool."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator

import pytest

from wanbridge import errors
from wanbridge.errors import (
    AllProvidersFailed,
    BudgetExceeded,
    CallbackRefused,
    CallFailed,
    Charge,
    ConfigurationError,
    CreditExhausted,
    InvalidRequest,
    Problem,
    ProviderError,
    ProviderUnavailable,
    UnsupportedFeature,
    WanbridgeError,
)
from wanbridge.model.money import Money
from wanbridge.model.result import Attempt

# As a provider may word it: lines, a terminal's colours, text that turns round, half a character.
WORDS = "bad\r\n\tpicture \x1b[31mred\x1b[0m \u202eback\u2028 \ud83d at\x00 the end"
LINK = "https://eve:hunter2@bucket.example/in/kite.png?X-Amz-Signature=beef&x=1#frag"
SECRETS = ("eve", "hunter2", "Signature", "beef", "frag")


def every_class() -> Iterator[type[WanbridgeError]]:
    """All of the tree, so that a new one is not forgotten."""
    waiting = [WanbridgeError]
    while waiting:
        kind = waiting.pop()
        waiting += [c for c in kind.__subclasses__() if c.__module__ == errors.__name__]
        yield kind


def made(kind: type[WanbridgeError], said: str) -> WanbridgeError:
    """An error of that class about *said*."""
    if issubclass(kind, AllProvidersFailed):
        return kind(said, [ProviderError("halide", said), ConfigurationError(said)])
    if issubclass(kind, CallFailed):
        return kind("halide", said)
    if issubclass(kind, InvalidRequest):
        return kind((Problem("$.prompt", said), Problem("$.n", said)))
    if issubclass(kind, UnsupportedFeature):
        return kind("halide", "size", said, (UnsupportedFeature("halide", "n", said),))
    if issubclass(kind, BudgetExceeded):
        return kind(Money("0.05", "USD"), Money("0.01", "USD"))
    return kind(said)


each_class = pytest.mark.parametrize("kind", sorted(every_class(), key=repr))


@each_class
def test_an_error_is_one_line(kind: type[WanbridgeError]) -> None:
    """Whatever a provider or a user wrote; it can be printed anywhere."""
    line = str(made(kind, WORDS))

    assert line.isprintable()
    line.encode()
    if kind is not BudgetExceeded:
        assert "bad picture [31mred" in line
        assert "at the end" in line


@each_class
def test_an_error_shows_no_secret_of_a_url(kind: type[WanbridgeError]) -> None:
    """Neither query, nor user, nor password; the place stays readable."""
    line = str(made(kind, f"({LINK}), or {LINK.replace('/', chr(92) + '/')}: no picture"))

    assert [] == [secret for secret in SECRETS if secret in line]
    if kind is not BudgetExceeded:
        assert "(https://bucket.example/in/kite.png), or " in line
        assert ": no picture" in line


@each_class
def test_an_error_is_no_page(kind: type[WanbridgeError]) -> None:
    """A provider that answers with its whole HTML page, or with our picture."""
    page = "<html> " + "lorem ipsum " * 500_000
    picture = "data:image/png;base64," + "QUJD" * 500_000

    assert len(str(made(kind, page))) < 5000
    assert "QUJD" not in str(made(kind, picture))


@each_class
def test_an_error_survives_a_process_pool(kind: type[WanbridgeError]) -> None:
    """Pickled and read again it says the same."""
    error = made(kind, WORDS.replace("\ud83d", ""))

    again = pickle.loads(pickle.dumps(error))

    assert type(error) is type(again)
    assert str(error) == str(again)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("see http://x.example/a?b=1.", "see http://x.example/a."),
        ("oss://bucket/key?OSSAccessKeyId=1 is gone", "oss://bucket/key is gone"),
        ("postgresql://me:p@ss@db/spend", "postgresql://db/spend"),
        ("at https://[::1]:8443/v1?k", "at https://[::1]:8443/v1"),
        ("'https://x.example/?k=1' or \"http://u@y/\"", "'https://x.example/' or \"http://y/\""),
        ("https://x.example/@kite/1.png", "https://x.example/@kite/1.png"),
        ("12:/30, a://, what? #4", "12:/30, a://, what? #4"),
        ("ein Gewürz 🪁 und 紙鳶", "ein Gewürz 🪁 und 紙鳶"),
        ("data:text/plain;charset=utf-8,secret 'next'", "data:text/plain;charset=utf-8,… 'next'"),
    ],
)
def test_words_around_a_url_stay(said: str, expected: str) -> None:
    """Punctuation of the sentence is not the URL's."""
    assert expected == str(ConfigurationError(said))


def test_facts_stay_behind_a_long_message() -> None:
    """Code, status and request are what a provider's support asks for."""
    error = ProviderError(
        "halide", "why " * 1000, status=500, code="E\n7", request_id="r-1", charge=Charge.NO
    )

    assert str(error).startswith("halide: why why ")
    assert str(error).endswith("… (4,000 characters) (code E 7, HTTP 500, request r-1)")


def test_a_group_names_each_account_with_its_reason() -> None:
    """Also where a reason is not of a call, and in a traceback."""
    broke = BudgetExceeded(Money("0.05", "USD"), Money("0.01", "USD"))
    broke.attempts = (  # type: ignore[attr-defined]
        Attempt(provider="kie-eu", outcome="skipped", charge=Charge.NO),
    )
    error = AllProvidersFailed(
        "route night: 2 tried, 1 not asked",
        [ProviderUnavailable("reapi", f"down, see {LINK}"), CreditExhausted("gccai", "0"), broke],
    )

    expected = (
        "route night: 2 tried, 1 not asked: reapi: down, see https://bucket.example/in/kite.png; "
        "gccai: 0; kie-eu: budget: this call may cost 0.05 USD, 0.01 USD is left"
    )
    assert expected == str(error)
    shown = "".join(traceback.format_exception(error))
    assert expected in shown
    assert [] == [secret for secret in SECRETS if secret in shown]
    half = error.subgroup(CreditExhausted)
    assert "route night: 2 tried, 1 not asked: gccai: 0" == str(half)


def test_what_the_provider_wrote_is_kept_beside_the_line() -> None:
    """For whoever wants to read all of it."""
    assert WORDS == CallFailed("halide", WORDS).message
    assert 403 == CallbackRefused(WORDS, 403).status
