"""Where a delivered picture comes from, as it is written into its file."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from attrs import field, frozen

from wanbridge.model.brief import brief
from wanbridge.model.jobs import Job, Receipt

# What a saved file says of where it comes from: True without the prompt, False nothing.
Metadata: TypeAlias = bool | Literal["prompt"]


@frozen(kw_only=True)
class Source:
    """The purchase that a picture comes from.

    Attributes:
        provider: Account name.
        model: Canonical model.
        job_id: The provider's task id; None if it answered in one go.
        key: Of the logical call; None where it is not known, as in a stored result.
        made_at: When the picture was there, by our clock; None if unknown.
        prompt: As it was asked; None without one, and where it is not known.
    """

    provider: str
    model: str
    job_id: str | None = None
    key: str | None = None
    made_at: datetime | None = None
    prompt: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, bought: Job | Receipt, made_at: datetime | None = None) -> Source:
        """That of the pictures of a job, or of a submit that was answered in one go."""
        return cls(
            provider=bought.account,
            model=bought.request.model,
            job_id=bought.id if isinstance(bought, Job) else None,
            key=bought.key,
            made_at=made_at,
            prompt=bought.request.prompt or None,
        )

    def facts(self, seed: int | None, metadata: Metadata) -> dict[str, str | int]:
        """What a file is given, by the names of `wanbridge.pictures.metadata.NAMES`."""
        if metadata is False:
            return {}
        made_at = None if self.made_at is None else self.made_at.isoformat(timespec="seconds")
        facts = {
            "model": self.model,
            "provider": self.provider,
            "job_id": self.job_id,
            "key": self.key,
            "seed": seed,
            "date": made_at,
            "prompt": self.prompt if metadata == "prompt" else None,
        }
        return {name: value for name, value in facts.items() if value is not None}


def checked_metadata(metadata: object) -> Metadata:
    """*metadata*, if it is something to ask for.

    Raises:
        TypeError: it is not.
    """
    if isinstance(metadata, bool):
        return metadata
    if isinstance(metadata, str) and metadata == "prompt":
        return "prompt"
    raise TypeError(f'metadata={brief(metadata)}: True, False, or "prompt" to write that too')
