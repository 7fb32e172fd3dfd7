"""Addresses of objects and folders: ``s3://bucket/key``, ``gs://``, ``az://`` and ``file://``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from attrs import evolve, frozen

from wanbridge.errors import ConfigurationError
from wanbridge.model.brief import brief

SCHEMES = ("s3", "gs", "az", "file")
_ANY_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_address(given: object) -> bool:
    """Whether *given* is text of the form ``scheme://...``, of whatever scheme."""
    return isinstance(given, str) and _ANY_SCHEME.match(given) is not None


@frozen
class Address:
    """Where an object is, or what its address begins with.

    Attributes:
        scheme: ``s3``, ``gs``, ``az`` or ``file``.
        bucket: Bucket, or container of ``az``; empty for ``file``.
        key: Without a slash in front. As the store has it: nothing in it is percent-encoded.
    """

    scheme: str
    bucket: str
    key: str

    @classmethod
    def of(cls, given: str) -> Self:
        """Read an address.

        Raises:
            TypeError: it is no text.
            ConfigurationError: it is none; what may be a key in it is not shown.
        """
        if not isinstance(given, str):
            raise TypeError(f"an address is {brief(given)}; it must be text like s3://bucket/key")
        right = "right would be s3://bucket/prefix, gs://, az:// or file:///folder"
        try:
            parts = urlsplit(given)
            host = parts.netloc
        except ValueError:
            raise ConfigurationError(f"storage: this is no URL; {right}") from None
        if parts.scheme not in SCHEMES:
            shown = f"{parts.scheme}://" if is_address(given) else "a text without a scheme"
            raise ConfigurationError(f"storage: {shown} is no object store; {right}")
        if "@" in host or parts.query or parts.fragment:
            raise ConfigurationError(
                f"storage: this {parts.scheme}:// URL holds a user, a query or a fragment; keys"
                " go into the environment, as the store's own tools take them"
            )
        if parts.scheme == "file":
            if host not in ("", "localhost") or not parts.path.startswith("/"):
                raise ConfigurationError(
                    "storage: a file:// URL has three slashes and a whole path: file:///folder"
                )
            return cls("file", "", unquote(parts.path)[1:])
        if not host:
            raise ConfigurationError(f"storage: {parts.scheme}:// names no bucket; {right}")
        return cls(parts.scheme, host, parts.path.lstrip("/"))

    def __str__(self) -> str:
        if self.scheme == "file":
            return self.path.as_uri()
        return f"{self.scheme}://{self.bucket}/{self.key}".rstrip("/")

    @property
    def path(self) -> Path:
        """The file or folder of a ``file`` address."""
        return Path("/", self.key)

    @property
    def is_prefix(self) -> bool:
        """Whether it can only be a folder: a bucket, or something that ends in a slash."""
        return not self.key or self.key.endswith("/")

    def under(self, name: str) -> Self:
        """The address of *name* in this folder."""
        folder = f"{self.key.rstrip('/')}/" if self.key.rstrip("/") else ""
        return evolve(self, key=folder + name)


def made_folder(address: Address) -> Path:
    """The file of a ``file`` address, whose folder is made: in a store none has to be."""
    path = address.path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
