"""The inner products of the rows of a view, kept in its cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx.gram import StoreVectors, stored_gram, torch_device

if TYPE_CHECKING:
    from featx._types import Ints, Progress
    from featx.features.view import Features
    from featx.gram import Gram


class KindProducts:
    """Those of one kind of features, made when they are first asked for."""

    def __init__(self, vectors: StoreVectors, device: str, progress: Progress) -> None:
        self.vectors, self.progress = vectors, progress
        self.device = torch_device(device)
        self.made: Gram | None = None

    def __call__(self) -> Gram:
        """Give them, from the cache as far as it goes."""
        if self.made is None:
            cache = self.vectors.store.path.parent
            self.made = stored_gram(cache, self.vectors, self.progress, self.device)
        return self.made


def products_of(view: Features, rows: Ints, device: str, progress: Progress) -> list[KindProducts]:
    """Give those of some rows of a view, one a kind of features.

    Raises
    ------
    UsageError, DeviceError
        If ``device``, where they are made, is none of ``cpu`` and ``cuda``, or is not there.
    """
    return [
        KindProducts(StoreVectors(kind.store, kind.rows[rows]), device, progress)
        for kind in view.kinds
    ]
