"""Reading replies: strict shapes, errors, and whether an error reply may have been charged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from attrs import frozen

from wanbridge.adapters.steps import Op
from wanbridge.errors import (
    AuthenticationFailed,
    Charge,
    CreditExhausted,
    MalformedResponse,
    Problem,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from wanbridge.model.jobs import Job
from wanbridge.model.notes import Note
from wanbridge.model.structuring import ShapeError, structure
from wanbridge.wire import HttpResponse

T = TypeVar("T")


@frozen(kw_only=True)
class ErrorDetail:
    """The facts of an error reply, in the provider's own words.

    Attributes:
        task_id: A task that the reply names all the same: it may have been accepted.
    """

    code: str | None
    message: str
    request_id: str | None = None
    task_id: str | None = None


# Errors of the call itself, which say nothing of the generation that it is about.
ABOUT_THE_CALL = (AuthenticationFailed, CreditExhausted, RateLimited, ProviderUnavailable)

_BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationFailed,
    402: CreditExhausted,
    403: AuthenticationFailed,
    408: ProviderUnavailable,
    429: RateLimited,
}


def is_task_id(text: str) -> bool:
    """Whether *text* can be a task's id, which goes into URLs: printable ASCII, not empty."""
    return text != "" and text.isascii() and text.isprintable()


class ReplyReader:
    """Reads replies; a base of `Adapter`."""

    __slots__ = ()

    account: str
    api_key: str | None

    # What each of the provider's error codes means.
    error_codes: ClassVar[Mapping[str, type[ProviderError]]] = {}
    # Statuses that, with a readable error body, surely created no task. Each with its source.
    not_accepted: ClassVar[frozenset[int]] = frozenset()
    # Statuses which say so even without one: an edge in front of the service answered.
    edge: ClassVar[frozenset[int]] = frozenset({403})
    # Whether `read_poll` reads a 404 to a poll as `Missing`, so that it is no failure.
    polls_404: ClassVar[bool] = False

    def error_detail(self, body: Any) -> ErrorDetail | None:
        """Code and message of a parsed error body; None if it is none of the known shapes."""
        raise NotImplementedError  # pragma: no cover - unless failure is overridden

    def class_of(self, code: str) -> type[ProviderError] | None:
        """The class of a provider's code, None if unknown. By table; overridden for patterns."""
        return self.error_codes.get(code)

    def parse(self, response: HttpResponse) -> Any:
        """The reply's JSON, or `MalformedResponse`."""
        try:
            return response.json()
        except ValueError:
            said = response.text(80) or "nothing"
            message = f"the reply is not JSON but begins with {said!r}"
            raise self.malformed(response, message) from None

    def structure(
        self, response: HttpResponse, shape: type[T], *, spoiled: list[Problem] | None = None
    ) -> T:
        """The reply as *shape*, strictly.

        Args:
            spoiled: Collects the paths of lenient fields that had a wrong type.

        Raises:
            MalformedResponse: naming the paths that are missing or of a wrong type.
        """
        body = self.parse(response)
        try:
            return structure(body, shape, spoiled=spoiled)
        except ShapeError as exc:
            message = "; ".join(map(str, exc.problems))
            raise self.malformed(response, message, raw=body) from None

    def read(self, response: HttpResponse, op: Op, shape: type[T]) -> T:
        """The reply to a free request as *shape*.

        Raises:
            ProviderError: the error that `failure` finds in it.
            MalformedResponse: as `structure` does.
        """
        if (error := self.failure(response, op=op)) is not None:
            raise error
        return self.structure(response, shape)

    def malformed(
        self, response: HttpResponse, message: str, *, raw: Any = None
    ) -> MalformedResponse:
        """A reply without the documented shape."""
        return MalformedResponse(
            self.account,
            self.without_key(message),
            status=response.status,
            raw=self.without_key(response.text() if raw is None else raw),
        )

    def without_key(self, said: Any) -> Any:
        """Text or JSON of a reply without the API key, which some providers echo."""
        if not self.api_key or said is None:
            return said
        if isinstance(said, str):
            return said.replace(self.api_key, "***")
        if isinstance(said, dict):
            return {k: self.without_key(v) for k, v in said.items()}
        return [self.without_key(v) for v in said] if isinstance(said, list) else said

    def spoiled_notes(self, spoiled: list[Problem]) -> tuple[Note, ...]:
        """One note each for facts of a reply that could not be read."""
        return tuple(Note(p.path, "info", f"unreadable in the reply: {p.message}") for p in spoiled)

    def failure(
        self, response: HttpResponse, *, op: Op, job: Job | None = None
    ) -> ProviderError | None:
        """The error in a reply, checked before anything is read from it; None if there is none.

        The default judges by HTTP status. Dialects that put failures into a 200 override
        `error_in_200`, and those that do not speak by status override this.
        ``.final`` on the error says that the job itself has ended.
        """
        if response.status < 300:
            return self.error_in_200(response, op, job)
        if self.polls_404 and op is Op.POLL and self.is_unknown_task(response):
            return None
        return self.refusal(response, op=op, job=job)

    def error_in_200(self, response: HttpResponse, op: Op, job: Job | None) -> ProviderError | None:
        """The error in a reply of a good status; by default there is none."""
        return None

    def is_unknown_task(self, response: HttpResponse) -> bool:
        """Whether a reply to a poll is the provider's own 404, not that of an edge before it."""
        try:
            return response.status == 404 and self.error_detail(response.json()) is not None
        except ValueError:
            return False

    def refusal(self, response: HttpResponse, *, op: Op, job: Job | None = None) -> ProviderError:
        """The error of a reply whose HTTP status says that it is one."""
        try:
            body = response.json()
            detail = self.error_detail(body)
        except ValueError:
            body, detail = None, None
        if detail is None:
            return self._unreadable(response, op=op, job=job)
        return self.error(
            self.classify(response.status, detail.code),
            detail,
            response,
            raw=body,
            job=job,
            charge=self._submit_charge(
                op, response.status in self.not_accepted and detail.task_id is None
            ),
        )

    def _unreadable(self, response: HttpResponse, *, op: Op, job: Job | None) -> ProviderError:
        at_edge = response.status in self.edge
        said = response.text(120)
        if 300 <= response.status < 400:
            said = "it redirects, which is not followed; check base_url"
        return self.error(
            ProviderUnavailable if response.status == 403 else self.classify(response.status, None),
            ErrorDetail(code=None, message=said or "no explanation"),
            response,
            raw=response.text(),
            job=job,
            charge=self._submit_charge(op, at_edge),
        )

    @staticmethod
    def _submit_charge(op: Op, surely_not: bool) -> Charge:
        # Other requests are free, but say nothing of the charge for the job they are about.
        return Charge.NO if op is Op.SUBMIT and surely_not else Charge.MAYBE

    def classify(self, status: int | None, code: str | None) -> type[ProviderError]:
        """The class of a failure: by code, else by status."""
        if code is not None and (known := self.class_of(code)) is not None:
            return known
        if status is None:
            return ProviderUnavailable
        fallback = ProviderUnavailable if status >= 500 or status < 400 else RequestRejected
        return _BY_STATUS.get(status, fallback)

    def error(
        self,
        cls: type[ProviderError],
        detail: ErrorDetail,
        response: HttpResponse,
        *,
        charge: Charge,
        raw: Any = None,
        job: Job | None = None,
        final: bool = False,
    ) -> ProviderError:
        """An error of this provider with the facts of the reply."""
        return cls(
            self.account,
            self.without_key(detail.message),
            charge=charge,
            job=job,
            status=response.status if response.status >= 300 else None,
            code=detail.code,
            request_id=detail.request_id,
            retry_after=response.retry_after,
            raw=self.without_key(raw),
            final=final,
        )
