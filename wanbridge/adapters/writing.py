"""Writing requests: the parts that nearly all providers write alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from attrs import evolve

from wanbridge.adapters.offers import Offer
from wanbridge.errors import (
    InvalidRequest,
    MissingCredentials,
    Problem,
    UnsupportedFeature,
)
from wanbridge.model.request import ImageRequest
from wanbridge.model.size import RESOLUTIONS
from wanbridge.model.size_rules import Pixels, SizeUnsupported, resolve
from wanbridge.wire import not_json


class RequestWriter:
    """Writes requests; a base of `Adapter`."""

    __slots__ = ()

    name: ClassVar[str]
    reserved: ClassVar[frozenset[str]]
    account: str
    api_key: str | None

    def unsupported(self, field: str, reason: str) -> UnsupportedFeature:
        """The error that refuses one canonical field."""
        return UnsupportedFeature(self.account, field, reason)

    def bearer(self) -> dict[str, str]:
        """The usual ``Authorization`` header.

        Raises:
            MissingCredentials: no key is configured.
        """
        return {"Authorization": f"Bearer {self._key()}"}

    def x_api_key(self) -> dict[str, str]:
        """The ``x-api-key`` header; raises as `bearer`."""
        return {"x-api-key": self._key()}

    def _key(self) -> str:
        if not self.api_key:
            raise MissingCredentials(
                f"{self.account}: no API key; set {self.name.upper()}_API_KEY"
                f" or api_key under [providers.{self.account}]"
            )
        return self.api_key

    def in_pixels(self, request: ImageRequest, offer: Offer) -> Pixels:
        """The size of *request* as pixels by the rule of `wanbridge.model.size_rules`.

        A tier that is not sold is refused by `fit`, where limits are checked.
        """
        limits = offer.limits.sizes(request.mode)
        if request.size.tier not in limits.tiers:
            limits = evolve(limits, tiers=RESOLUTIONS)
        try:
            return resolve(request.size, request.images, limits)
        except SizeUnsupported as exc:
            raise self.unsupported("size", exc.reason) from None

    @staticmethod
    def in_words(request: ImageRequest, ratios: Collection[str]) -> bool:
        """Whether words say the size: a tier alone, or without images one of *ratios* as well."""
        size = request.size
        if size.pixels is not None:
            return False
        return size.aspect_ratio is None or (size.aspect_ratio in ratios and not request.images)

    def links(self, request: ImageRequest) -> list[str] | None:
        """The pictures' URLs in order; None if there are none.

        Raises:
            UnsupportedFeature: one is named by a ``ref``; left out it would be another picture.
        """
        urls = [image.url for image in request.images if image.url is not None]
        if len(urls) < len(request.images):
            raise self.unsupported("images", "a ref is not known here; give a URL")
        return urls or None

    @staticmethod
    def boxes(request: ImageRequest) -> list[list[list[int]]] | None:
        """One list a picture, empty where it has no box; None if there are none at all."""
        if not request.has_regions:
            return None
        return [[list(box.corners) for box in image.regions] for image in request.images]

    @staticmethod
    def palette(request: ImageRequest) -> list[dict[str, str]] | None:
        """Colours, their ratio as text like ``"34.00%"``; None if there are none."""
        return [{"hex": c.hex, "ratio": f"{c.ratio:.2f}%"} for c in request.color_palette] or None

    @staticmethod
    def thinks(request: ImageRequest) -> bool | None:
        """The thinking switch in text mode, on by default; None where it has no effect."""
        return request.thinking is not False if request.mode == "text" else None

    def extras(self, request: ImageRequest) -> Mapping[str, Any]:
        """The caller's extra fields for this adapter, none of which it writes itself."""
        extra = request.extra.get(self.name, {})
        if not extra:
            return extra
        if taken := sorted(set(extra) & self.reserved):
            message = f"wanbridge writes this itself for {self.name}; use the canonical field"
            raise InvalidRequest(tuple(Problem(f"$.extra.{self.name}.{k}", message) for k in taken))
        if reason := not_json(extra):
            raise InvalidRequest((Problem(f"$.extra.{self.name}", f"is not JSON: {reason}"),))
        return extra
