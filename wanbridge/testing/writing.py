"""What every adapter promises of the messages that it writes, asked for each of its offers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from attrs import evolve

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.fitting import DROPPABLE, fit
from wanbridge.adapters.offers import Offer
from wanbridge.errors import InvalidRequest, UnsupportedFeature
from wanbridge.model.inputs import InputImage
from wanbridge.model.request import ImageRequest
from wanbridge.model.size import Size
from wanbridge.testing.requests import (
    KEY,
    ODD_SIZES,
    SIZES,
    modes,
    others,
    plain,
    says_pixels,
    sent,
)
from wanbridge.wire import SECRET_HEADERS

NOT_JSON: tuple[Any, ...] = (
    *(float("nan"), float("inf"), Ellipsis, b"bytes", {1, 2}, "half \ud800"),
    {"deep": [Ellipsis]},
)


def declared_fields_reach_the_wire(adapter: Adapter, offer: Offer) -> None:
    """Claiming support and dropping the value is the worst of both."""
    reached = set()
    for mode in modes(adapter, offer.model):
        base = plain(mode, offer.model)
        before = sent(adapter, base)
        for name, other in others(adapter, base):
            fitted = fit(adapter, other)
            if not fitted.problems:
                after = adapter.submit(fitted.request, fitted.offer, key=KEY)
                reached |= {name} if before != after else set()

    assert offer.fields <= reached, f"without effect on the message: {offer.fields - reached}"


def nothing_vanishes(adapter: Adapter, offer: Offer) -> None:
    """Each value of each field is in the message, in a note or in a refusal."""
    silent = []
    for mode in modes(adapter, offer.model):
        base = plain(mode, offer.model)
        for name, other in others(adapter, base):
            fitted = fit(adapter, other)
            reported = {n.field for n in fitted.notes} | {p.field for p in fitted.problems}
            if name in reported or _means_what_absent_means(name, other, mode):
                continue
            if fitted.problems or sent(adapter, base) == sent(adapter, other):
                silent.append((mode, name, getattr(other, name, None)))

    assert not silent, f"neither sent nor reported: {silent}"


def _means_what_absent_means(name: str, request: ImageRequest, mode: str) -> bool:
    """2K is the default; thinking is on where it has effect, and files are lossless."""
    if name == "size":
        return request.size.tier == "2K" and request.size.aspect_ratio is None
    if name == "thinking":
        return request.thinking is True and mode == "text"
    return name == "output_format" and request.output_format == "png"


def what_cannot_be_said_can_be_dropped(adapter: Adapter, offer: Offer) -> None:
    """``may_drop`` gives the message that there would be without the field, and says so."""
    for mode in modes(adapter, offer.model):
        base = plain(mode, offer.model)
        for name, other in others(adapter, base):
            if name in offer.fields or name not in DROPPABLE or name not in other.fields_set:
                continue
            kept, dropped = fit(adapter, other), fit(adapter, other, may_drop=(name,))
            if kept.problems:
                assert [name] == [problem.field for problem in kept.problems]
                reported = [(n.field, n.kind) for n in dropped.notes if n.kind != "info"]
                assert [(name, "dropped")] == reported, f"{mode}: {reported}"
            assert sent(adapter, base) == sent(adapter, other, may_drop=(name,)), f"{mode}: {name}"


def a_submit_is_pure(make: Callable[[], Adapter], offer: Offer) -> None:
    """The same arguments give the same bytes, from another instance too."""
    adapter = make()
    for mode in modes(adapter, offer.model):
        for name, request in others(adapter, plain(mode, offer.model)):
            outcomes = {_outcome(make(), request) for _ in range(3)}
            assert len(outcomes) == 1, f"{mode}, {name}: {outcomes}"


def _outcome(adapter: Adapter, request: ImageRequest) -> str:
    try:
        message = sent(adapter, request)
    except UnsupportedFeature as exc:
        return str(exc)
    return f"{message.url} {sorted(message.headers.items())} {message.body!r}"


def the_key_is_in_one_header_only(adapter: Adapter, offer: Offer) -> None:
    """The credential is in one header whose value is never shown, in no body, URL or repr."""
    key = "sk-live-0123456789"
    adapter = evolve(adapter, api_key=key)
    for mode in modes(adapter, offer.model):
        message = sent(adapter, plain(mode, offer.model))
        holding = [name for name, value in message.headers.items() if key in value]
        assert len(holding) == 1, f"the key is in the headers {holding}"
        hidden = ", ".join(sorted(SECRET_HEADERS))
        assert holding[0].lower() in SECRET_HEADERS, f"{holding[0]} is shown; hidden are {hidden}"
        assert key.encode() not in message.body, "the key is in the body"
        shown = f"{message.url} {message!r} {adapter!r} {offer!r}"
        assert key not in shown, "the key is in a URL or a repr"


def a_body_holds_no_null_but_the_callers(adapter: Adapter, offer: Offer) -> None:
    """Absent values are absent; only an extra may say null."""
    for mode in modes(adapter, offer.model):
        for name, request in others(adapter, plain(mode, offer.model)):
            if not fit(adapter, request).problems:
                nulls = list(_nulls(sent(adapter, request).json()))
                assert not nulls, f"{mode}, {name}: {nulls}"
    extra = {adapter.name: {"zz_given": None}}
    body = sent(adapter, evolve(plain("text", offer.model), extra=extra)).json()

    assert ["zz_given"] == list(_nulls(body))


def _nulls(value: Any, name: str = "$") -> Iterator[str]:
    if value is None:
        yield name
    items = value.items() if isinstance(value, dict) else ()
    for key, item in enumerate(value) if isinstance(value, list) else items:
        yield from _nulls(item, str(key))


def extras_are_ours_only_and_merged_last(adapter: Adapter, offer: Offer) -> None:
    """An extra field stands at the end of one node; another adapter's is not there."""
    ours = {"zz_ours": {"deep": [1]}}
    base = plain("text", offer.model)
    request = evolve(base, extra={adapter.name: ours, "elsewhere": {"zz_theirs": 1}})
    body = sent(adapter, request).json()
    nodes = list(_holding(body, "zz_ours"))

    assert len(nodes) == 1, f"an extra field is in {len(nodes)} nodes"
    assert list(nodes[0])[-1] == "zz_ours", "an extra field is not the last of its node"
    assert nodes[0]["zz_ours"] == {"deep": [1]}
    assert "zz_theirs" not in json.dumps(body), "another adapter's extra field is sent"
    del nodes[0]["zz_ours"]
    assert sent(adapter, base).json() == body


def what_is_written_beside_extras_is_reserved(adapter: Adapter, offer: Offer) -> None:
    """An extra cannot replace a count, an id or a delivery that the adapter has decided on."""
    written: set[str] = set()
    for mode in modes(adapter, offer.model):
        for _, request in others(adapter, plain(mode, offer.model)):
            if not fit(adapter, request).problems:
                extra = evolve(request, extra={adapter.name: {"zz_ours": 1}})
                (node,) = _holding(sent(adapter, extra).json(), "zz_ours")
                written |= node.keys() - {"zz_ours"}

    assert written <= adapter.reserved, f"not reserved: {written - adapter.reserved}"
    for name in adapter.reserved:
        request = evolve(plain("text", offer.model), extra={adapter.name: {name: 1}})
        with suppress(InvalidRequest):
            fit(adapter, request)
            raise AssertionError(f"extra.{adapter.name}.{name} is reserved, and yet taken")


def _holding(value: Any, name: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and name in value:
        yield value
    items = value.values() if isinstance(value, dict) else ()
    for item in value if isinstance(value, list) else items:
        yield from _holding(item, name)


def an_extra_that_is_no_json_is_refused(adapter: Adapter, offer: Offer) -> None:
    """Extras are the one place for the caller's own values; they are not for `json` to judge."""
    for value in NOT_JSON:
        extra = {adapter.name: {"zz_given": value}}
        with suppress(InvalidRequest):
            sent(adapter, evolve(plain("text", offer.model), extra=extra))
            raise AssertionError(f"an extra that is {value!r} is sent")


def a_size_is_sent_or_refused(adapter: Adapter, offer: Offer) -> None:
    """Tier × ratio × mode; without limits what they forbid is sent, and nothing else comes out."""
    for mode in modes(adapter, offer.model):
        request = plain(mode, offer.model)
        for size in SIZES:
            request = evolve(request, size=size)
            for check_limits in (True, False):
                with suppress(UnsupportedFeature):
                    assert sent(adapter, request, check_limits=check_limits).body
        for size in ODD_SIZES if says_pixels(adapter, offer.model) else ():
            assert sent(adapter, evolve(request, size=size), check_limits=False).body


def a_picture_held_elsewhere_is_refused(adapter: Adapter, offer: Offer) -> None:
    """Another provider's id means nothing here: that is no limit that could have aged."""
    images = (InputImage(ref={"elsewhere": "an id"}),)
    request = evolve(plain("edit", offer.model), images=images, size=Size(aspect_ratio="1:1"))
    for check_limits in (True, False):
        refused = None
        try:
            sent(adapter, request, check_limits=check_limits)
        except UnsupportedFeature as exc:
            refused = exc.field
        assert refused == "images", f"a picture that another provider holds: {refused} is refused"


def callbacks_that_are_asked_for_can_be_read(adapter: Adapter, offer: Offer) -> None:
    """Who says ``callback_url`` reads what comes there."""
    reads = type(adapter).read_callback is not Adapter.read_callback
    assert reads or "callback_url" not in offer.fields, "callback_url is said, read_callback is not"


# Asked of one adapter and one offer; purity is beside them, for it needs several instances.
WRITING: tuple[Callable[[Adapter, Offer], None], ...] = (
    declared_fields_reach_the_wire,
    nothing_vanishes,
    what_cannot_be_said_can_be_dropped,
    the_key_is_in_one_header_only,
    a_body_holds_no_null_but_the_callers,
    extras_are_ours_only_and_merged_last,
    what_is_written_beside_extras_is_reserved,
    an_extra_that_is_no_json_is_refused,
    a_size_is_sent_or_refused,
    a_picture_held_elsewhere_is_refused,
    callbacks_that_are_asked_for_can_be_read,
)
