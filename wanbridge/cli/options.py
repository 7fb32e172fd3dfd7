"""Groups of flags, which cyclopts reads from these classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from attrs import frozen
from cyclopts import Group, Parameter

from wanbridge.cli.usage import UsageError
from wanbridge.model.source import Metadata

_REQUEST = Group.create_ordered("Request")
_CALL = Group.create_ordered("Call")
_ACCOUNT = Group.create_ordered("Provider")
_OUTPUT = Group.create_ordered("Output")

Prompt = Annotated[str | None, Parameter(help="What to draw, or how to change the images.")]


def _flag(group: Group, *names: str, metavar: str | None = None) -> Parameter:
    return Parameter(name=names or None, group=group, metavar=metavar, show_default=False)


def _switch(group: Group, name: str) -> Parameter:
    return Parameter(name=name, group=group, negative="", show_default=False)


@Parameter(name="*")
@frozen(kw_only=True)
class RequestOptions:
    """What to draw. A flag that is not given leaves the request, or its file, as it is."""

    request: Annotated[Path | None, _flag(_REQUEST, metavar="FILE")] = None
    """A canonical request as JSON; the other flags change it. Pictures may lie beside it."""
    allow_outside: Annotated[bool, _switch(_REQUEST, "--allow-outside")] = False
    """Let the file name pictures outside of its folder."""
    image: Annotated[
        tuple[str, ...],
        Parameter(
            group=_REQUEST, metavar="FILE_OR_URL", show_default=False, allow_leading_hyphen=True
        ),
    ] = ()
    """Picture to edit or to refer to, - for standard input; once for each, in order."""
    fit: Annotated[bool, _switch(_REQUEST, "--fit")] = False
    """Make local pictures acceptable everywhere: upright, opaque, PNG or JPEG, at most 8,000 px."""
    region: Annotated[tuple[str, ...], _flag(_REQUEST, metavar="N:X1,Y1,X2,Y2")] = ()
    """Box on image N (from 1) in its own pixels, upright with --fit; N may be left out for one."""
    n: Annotated[int | None, _flag(_REQUEST, "-n", metavar="COUNT")] = None
    """How many pictures, 1-4; up to 12 with --sequential."""
    size: Annotated[str | None, _flag(_REQUEST)] = None
    """1024x1024, 2K, 16:9 or 16:9@4K."""
    model: Annotated[
        Literal["wan2.7-image", "wan2.7-image-pro", "standard", "pro"] | None, _flag(_REQUEST)
    ] = None
    """The model; standard and pro are short for the full names."""
    negative_prompt: Annotated[str | None, _flag(_REQUEST, metavar="TEXT")] = None
    """What to keep out of the picture."""
    seed: Annotated[int | None, _flag(_REQUEST)] = None
    """0-2147483647; random if not given."""
    palette: Annotated[str | None, _flag(_REQUEST, metavar="HEX:PERCENT,...")] = None
    """3-10 colours whose shares sum to 100: '#1E2A39:34,#C6A15B:26,#E8E2D6:40'."""
    thinking: Annotated[bool | None, _flag(_REQUEST)] = None
    """Let the model think first; by default where it has effect."""
    sequential: Annotated[bool | None, _flag(_REQUEST)] = None
    """One consistent series instead of independent pictures."""
    watermark: Annotated[bool | None, _flag(_REQUEST)] = None
    """The provider's AI label."""
    format: Annotated[Literal["png", "jpeg", "webp"] | None, _flag(_REQUEST)] = None
    """File format; by default whatever is lossless at the provider."""
    may_drop: Annotated[tuple[str, ...], _flag(_REQUEST, metavar="FIELD")] = ()
    """Field that may be left out where the provider cannot be told; once for each."""
    no_check_limits: Annotated[bool, _switch(_REQUEST, "--no-check-limits")] = False
    """Send also what breaks a documented limit."""


@Parameter(name="*")
@frozen(kw_only=True)
class CallOptions:
    """How to make one call."""

    deadline: Annotated[float | None, _flag(_CALL, metavar="SECONDS")] = None
    """For the whole call; 600 unless the configuration says otherwise."""
    key: Annotated[str | None, _flag(_CALL)] = None
    """Your own key of this call, the same for all it sends; random by default."""
    trace: Annotated[bool, _switch(_CALL, "--trace")] = False
    """Show every attempt: who was asked, whether it cost money, and why the next one was."""


ConfigFile = Annotated[
    Path | None,
    Parameter(name="--config", group=_ACCOUNT, metavar="FILE", env_var="WANBRIDGE_CONFIG"),
]


@Parameter(name="*")
@frozen(kw_only=True)
class AccountOptions:
    """Whom to ask."""

    provider: Annotated[str | None, _flag(_ACCOUNT, metavar="NAME")] = None
    """Account to use; may be left out if there is only one."""
    route: Annotated[str | None, _flag(_ACCOUNT, metavar="NAME")] = None
    """Route of the configuration, or an order over all accounts: cheapest, fastest, spread."""
    config: ConfigFile = None
    """Configuration, TOML or JSON; without one, the keys in the environment."""
    sandbox: Annotated[bool, _switch(_ACCOUNT, "--sandbox")] = False
    """Ask a fake provider on this machine instead: no key, no cost."""


@Parameter(name="*")
@frozen(kw_only=True)
class PictureOptions:
    """Where pictures go."""

    output: Annotated[str, _flag(_OUTPUT, "--output", "-o", metavar="DIR_OR_FILE")] = "."
    """Directory, or a file name (-2, -3 are added for more); by default here. Also in an object
    store: s3://bucket/prefix, or s3://bucket/kite.png."""
    force: Annotated[bool, _switch(_OUTPUT, "--force")] = False
    """Replace files that exist."""
    json: Annotated[bool, _switch(_OUTPUT, "--json")] = False
    """Print the result as JSON, with "files", and nothing else."""
    no_metadata: Annotated[bool, _switch(_OUTPUT, "--no-metadata")] = False
    """Save the files as they are delivered; otherwise they say model, provider, seed, key, date."""
    metadata_prompt: Annotated[bool, _switch(_OUTPUT, "--metadata-prompt")] = False
    """Let the files say the prompt, too."""

    @property
    def metadata(self) -> Metadata:
        """What the files say of where they come from.

        Raises:
            UsageError: the flags contradict each other.
        """
        if self.no_metadata and self.metadata_prompt:
            raise UsageError("--no-metadata and --metadata-prompt: one or the other")
        return "prompt" if self.metadata_prompt else not self.no_metadata


@Parameter(name="*")
@frozen(kw_only=True)
class DocumentOptions:
    """Where a job goes."""

    output: Annotated[str | None, _flag(_OUTPUT, "--output", "-o", metavar="FILE")] = None
    """File for the job; by default <provider>-<id>.job.json here."""
    force: Annotated[bool, _switch(_OUTPUT, "--force")] = False
    """Replace a file that exists."""
    json: Annotated[bool, _switch(_OUTPUT, "--json")] = False
    """Print the job too, and nothing else."""


AsJson = Annotated[bool, _switch(_OUTPUT, "--json")]
