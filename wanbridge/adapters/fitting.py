"""Fits a request to one provider: which fields are sent, noted or refused.

Pure. Every canonical field that the caller has set is sent, noted or refused here, from the
facts in the adapter's `Offer`; nothing has been sent by then. `judge` adds what an adapter
refuses only while it writes the message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import attrs
from attrs import evolve, frozen

from wanbridge.adapters.base import Adapter
from wanbridge.adapters.input_pictures import (
    image_problem,
    inline_bytes,
    picture_notes,
    turned_box_problem,
)
from wanbridge.adapters.offers import Limits, Offer
from wanbridge.adapters.staging import LINK_SHOWN, Staging
from wanbridge.errors import InvalidRequest, Problem, UnsupportedFeature
from wanbridge.model.brief import brief
from wanbridge.model.inputs import InputImage
from wanbridge.model.notes import Note
from wanbridge.model.request import ImageRequest
from wanbridge.wire import HttpRequest

# Prompt and model are always sent; extra is checked by the adapter.
_ALWAYS = frozenset({"prompt", "model", "extra"})
_DEFAULTS = ImageRequest("x")
_FIELDS = tuple(f.name for f in attrs.fields(ImageRequest) if f.name not in _ALWAYS)


DROPPABLE = frozenset({*_FIELDS, "regions"}) - {"images", "n", "sequential"}

# Placeholders for the API key and the client-made id in a message that is not sent.
KEY_SHOWN = "<key>"
ID_SHOWN = "00000000-0000-4000-8000-000000000000"


@frozen(kw_only=True)
class FittedRequest:
    """One request, fitted to one provider.

    Attributes:
        request: What the adapter is given: dropped and ignored fields are at their default.
        notes: How fields were treated.
        problems: Why it cannot be sent; empty if it can.
        staged: Indices of the pictures that the provider takes only as links: before the submit
            they are put in the object store.
    """

    request: ImageRequest
    offer: Offer
    notes: tuple[Note, ...]
    problems: tuple[UnsupportedFeature, ...]
    staged: tuple[int, ...] = ()

    def linked(self, links: Mapping[str, str]) -> ImageRequest:
        """`request` with a link for each picture that is `staged`.

        Args:
            links: By the ``data:`` URI of the picture.
        """
        if not self.staged:
            return self.request
        images = list(self.request.images)
        for index in self.staged:
            url = images[index].url
            assert url is not None
            images[index] = evolve(images[index], url=links[url])
        return evolve(self.request, images=tuple(images))

    def shown(self) -> ImageRequest:
        """`request` for a message that is not sent: links are placeholders."""
        return self.linked(_Shown())

    def settle(self) -> FittedRequest:
        """This fitted request; raises the first problem with the others in ``.also``.

        Raises:
            UnsupportedFeature: there are `problems`.
        """
        if self.problems:
            first, *rest = self.problems
            raise UnsupportedFeature(first.provider, first.field, first.reason, tuple(rest))
        return self


def fit(
    adapter: Adapter,
    request: ImageRequest,
    *,
    may_drop: Collection[str] = (),
    check_limits: bool = True,
    staging: Staging | None = None,
) -> FittedRequest:
    """Fit *request* to *adapter*.

    Args:
        may_drop: Canonical fields that may be left out, with a note, where they cannot be said.
        check_limits: False sends what breaks a documented limit anyway; limits age.
        staging: The object store that links to pictures can be had from; None: there is none.

    Raises:
        UnsupportedFeature: the provider does not sell the model at all.
        InvalidRequest: an extra field is wanbridge's own, or *may_drop* names a field that
            cannot be dropped.
    """
    _check_may_drop(may_drop)
    adapter.extras(request)
    fitting = _Fitting(adapter, request, may_drop, check_limits)
    for name in request.fields_set:
        if (remark := _field(adapter, request, fitting.offer, name)) is not None:
            fitting.add(remark)
    for remark in adapter.remarks(fitting.request, fitting.offer):
        fitting.add(remark)
    for index, image in enumerate(fitting.request.images if request.has_local_images else ()):
        for note in picture_notes(index, image, fitting.offer.limits.pictures):
            fitting.add(note)
    for index, image in request.refs:
        if reason := _ref_problem(adapter, image, fitting.offer.limits):
            fitting.add(adapter.unsupported("images", f"images[{index}]: {reason}"))
    staged = _staged(adapter, request, fitting.offer.limits, staging)
    if staged:
        assert staging is not None
        fitting.add(Note("images", "adapted", _staging_detail(staged, staging)))
    if check_limits:
        for problem in _broken_limits(adapter, fitting.request, fitting.offer.limits, staging):
            fitting.add(problem)
    fitting.fit_size()
    return FittedRequest(
        request=fitting.request,
        offer=fitting.offer,
        notes=tuple(fitting.notes),
        problems=tuple(fitting.problems),
        staged=staged,
    )


@frozen(kw_only=True)
class Verdict:
    """Whether one account can be sent a request, and what that would be.

    Attributes:
        fit: The fitted request; None if the model is not sold there.
        http: The message with placeholders; None if it cannot be sent.
        problems: Why it cannot be sent, everything at once; empty if it can.
    """

    fit: FittedRequest | None
    http: HttpRequest | None
    problems: tuple[UnsupportedFeature, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it cannot be sent, as text."""
        return tuple(f"{problem.field}: {problem.reason}" for problem in self.problems)

    @property
    def refused(self) -> str | None:
        """The reasons in one text, as in a quote; None if it can be sent."""
        return "; ".join(self.reasons) or None


def judge(
    adapter: Adapter,
    request: ImageRequest,
    *,
    may_drop: Collection[str] = (),
    check_limits: bool = True,
    staging: Staging | None = None,
) -> Verdict:
    """Fit *request* to *adapter* and write the message, which is not sent; needs no key.

    Args:
        may_drop, check_limits, staging: As for `fit`.

    Raises:
        InvalidRequest: as `fit` does.
    """
    try:
        fitted = fit(
            adapter, request, may_drop=may_drop, check_limits=check_limits, staging=staging
        )
    except UnsupportedFeature as exc:
        return Verdict(fit=None, http=None, problems=(exc,))
    problems, http = fitted.problems, None
    if not problems:
        shown = evolve(adapter, api_key=KEY_SHOWN)
        try:
            http = shown.submit(fitted.shown(), fitted.offer, key=ID_SHOWN)
        except UnsupportedFeature as exc:
            problems = (exc,)
    return Verdict(fit=fitted, http=http, problems=problems)


class _Fitting:
    """A request while it is fitted, with the notes and problems so far."""

    def __init__(
        self,
        adapter: Adapter,
        request: ImageRequest,
        may_drop: Collection[str],
        check_limits: bool,
    ) -> None:
        self.adapter, self.request, self.may_drop = adapter, request, may_drop
        self.check_limits = check_limits
        self.offer = adapter.offer(request.model)
        self.notes: list[Note] = []
        self.problems: list[UnsupportedFeature] = []

    def add(self, remark: Note | UnsupportedFeature) -> None:
        """Add a note or a refusal; a refused field that may be dropped is dropped."""
        if isinstance(remark, UnsupportedFeature) and remark.field in self.may_drop:
            if remark.field not in self.request.fields_set:
                self.problems.append(remark)  # it is at its default: there is nothing to drop
                return
            remark = Note(remark.field, "dropped", remark.reason)
        if isinstance(remark, UnsupportedFeature):
            self.problems.append(remark)
            return
        self.notes.append(remark)
        if remark.kind in ("dropped", "ignored"):
            self.request = _without(self.request, remark.field)

    def fit_size(self) -> None:
        """Fit the size; if it is dropped, the default one is fitted."""
        for turn in range(2):
            before = self.request.size
            for remark in _size(self.adapter, self.request, self.offer, self.check_limits):
                self.add(remark)
            if turn or self.request.size == before:
                return


def refuse_digests(request: ImageRequest) -> None:
    """Refuse pictures of a stored request, which keeps only their SHA-256.

    Raises:
        InvalidRequest: naming each such picture.
    """
    message = "only the SHA-256 of this picture was stored; give the picture again"
    if gone := [i for i, image in enumerate(request.images) if image.is_digest]:
        raise InvalidRequest(tuple(Problem(f"$.images[{i}].url", message) for i in gone))


def _check_may_drop(may_drop: Collection[str]) -> None:
    if isinstance(may_drop, str | bytes) or not isinstance(may_drop, Collection):
        raise InvalidRequest((Problem("$.may_drop", "give a tuple: may_drop=('seed',)"),))
    if wrong := [name for name in may_drop if not isinstance(name, str)]:
        raise InvalidRequest((Problem("$.may_drop", f"{brief(wrong[0])} is no field's name"),))
    if may_drop and (wrong := sorted(set(may_drop) - DROPPABLE)):
        known = ", ".join(sorted(DROPPABLE))
        message = f"{', '.join(wrong)} cannot be dropped; {known} can"
        raise InvalidRequest((Problem("$.may_drop", message),))


def _field(
    adapter: Adapter, request: ImageRequest, offer: Offer, name: str
) -> Note | UnsupportedFeature | None:
    """How the offer and the mode treat one field that is set; None if it is sent as it is."""
    if (why := offer.ignored.get(name)) is not None:
        return Note(name, "ignored", why)
    if (why := offer.refused.get(name)) is not None:
        return adapter.unsupported(name, why)
    if name == "thinking" and request.mode != "text" and name in offer.fields:
        return Note(name, "ignored", "thinking has effect only in text-to-image outside sets")
    if name == "color_palette" and request.mode == "set":
        return adapter.unsupported(name, "a palette has no effect in sets (sequential)")
    if name == "regions" and request.mode == "set":
        return adapter.unsupported(name, "regions are for editing, not for sets (sequential)")
    if name in offer.fields:
        return None
    if name == "inline":
        return Note(name, "adapted", "the reply carries links; the client downloads the bytes")
    if name == "output_format" and request.output_format == offer.output:
        return Note(name, "info", f"not sent: the output is always {offer.output} here")
    if name == "output_format":
        always = f"; it is always {offer.output}" if offer.output else ""
        return adapter.unsupported(name, f"{request.output_format} cannot be asked for{always}")
    if name == "callback_url":
        return adapter.unsupported(name, "this provider calls nobody back; poll instead")
    return adapter.unsupported(name, f"{offer.alias} has no such parameter here")


def _without(request: ImageRequest, name: str) -> ImageRequest:
    if name == "regions":
        images = tuple(evolve(image, regions=()) for image in request.images)
        return evolve(request, images=images)
    return evolve(request, **{name: getattr(_DEFAULTS, name)})


def _staged(
    adapter: Adapter, request: ImageRequest, limits: Limits, staging: Staging | None
) -> tuple[int, ...]:
    """Indices of the pictures that come as bytes and go as links from *staging*."""
    if staging is None or "data" in limits.image_schemes or staging.problem(adapter, limits):
        return ()
    return tuple(i for i, image in enumerate(request.images) if image.scheme == "data")


def _staging_detail(staged: tuple[int, ...], staging: Staging) -> str:
    named = ", ".join(f"images[{index}]" for index in staged)
    each = "a signed link" if len(staged) == 1 else "signed links"
    return f"{named}: staged in {staging.place} before the submit, and sent as {each}"


class _Shown(dict[str, str]):
    """One placeholder for every link."""

    def __missing__(self, url: str) -> str:
        return LINK_SHOWN


def _broken_limits(
    adapter: Adapter, request: ImageRequest, limits: Limits, staging: Staging | None
) -> Iterator[UnsupportedFeature]:
    """One refusal for each documented limit that the request breaks."""
    if len(request.prompt) > limits.prompt:
        yield adapter.unsupported(
            "prompt", f"{len(request.prompt)} characters; at most {limits.prompt} here"
        )
    if limits.prompt_required and not request.prompt.strip():
        yield adapter.unsupported("prompt", "empty; required here also with images")
    most = limits.n_set if request.sequential else limits.n
    if request.n > most:
        yield adapter.unsupported("n", f"{request.n}; at most {most} here")
    for index, image in enumerate(request.images):
        if reason := image_problem(adapter, image, limits, staging):
            yield adapter.unsupported("images", f"images[{index}]: {reason}")
        if request.has_regions and (reason := turned_box_problem(image)):
            yield adapter.unsupported("regions", f"images[{index}]: {reason}")
    if limits.data_total is None or not request.has_local_images:
        return
    if (total := sum(map(inline_bytes, request.images))) > limits.data_total:
        right = f"at most {limits.data_total:,} here, else give URLs"
        yield adapter.unsupported("images", f"{total:,} bytes inline in all; {right}")


def _ref_problem(adapter: Adapter, image: InputImage, limits: Limits) -> str | None:
    """Why the provider cannot resolve a picture's ``ref``; None if it can."""
    assert image.ref is not None
    if "ref" not in limits.image_schemes:
        return "a ref is not known here; give a URL"
    if adapter.name not in image.ref:
        return f"held by {', '.join(image.ref)}, not by {adapter.name}"
    return None


def _size(
    adapter: Adapter, request: ImageRequest, offer: Offer, check_limits: bool
) -> Iterator[Note | UnsupportedFeature]:
    limits = offer.limits.sizes(request.mode)
    size = request.size
    if size.pixels is None and check_limits and size.tier not in limits.tiers:
        where = {"text": "", "edit": " with images", "set": " in sets"}[request.mode]
        sold = ", ".join(limits.tiers)
        yield adapter.unsupported("size", f"{offer.alias} has no {size.tier}{where}; {sold}")
        return
    if size.pixels is not None and check_limits and (why := limits.problem(*size.pixels)):
        yield adapter.unsupported("size", why)
        return
    try:
        pixels = adapter.pixels(request, offer)
    except UnsupportedFeature as exc:
        yield exc
        return
    if pixels is not None and pixels.note:
        yield Note("size", "adapted", pixels.note)
