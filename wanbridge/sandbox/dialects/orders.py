"""What the accepted requests of most dialects have in common: the pictures that they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import evolve, frozen

from wanbridge.sandbox.picture import Picture, Region


@frozen(kw_only=True)
class DrawnOrder:
    """An accepted request, as far as its pictures show it.

    Attributes:
        palette: Pairs of ``#RRGGBB`` and share; empty without one.
    """

    model: str
    prompt: str
    width: int
    height: int
    palette: tuple[tuple[str, Decimal], ...]

    def series(
        self,
        provider: str,
        regions: Sequence[Region],
        *,
        count: int,
        seed: int,
        own_seeds: bool = False,
        format: str = "png",
    ) -> list[Picture]:
        """*count* pictures, numbered.

        Args:
            seed: Of the first picture, and of the others unless they have *own_seeds*.
            own_seeds: Each further picture has the next seed.
        """
        first = Picture(
            provider=provider,
            model=self.model,
            prompt=self.prompt,
            width=self.width,
            height=self.height,
            seed=seed,
            format=format,
            count=count,
            palette=self.palette,
            regions=tuple(regions),
        )
        seeds = [(seed + n) % 2**31 if own_seeds else seed for n in range(count)]
        return [evolve(first, index=index, seed=own) for index, own in enumerate(seeds)]
