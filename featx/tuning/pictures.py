"""Images for training: decoded in threads, kept where there is room, varied by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from featx import images
from featx._memory import available
from featx.augment import augmented, generator
from featx.embedding.reading import in_order, workers

if TYPE_CHECKING:
    from featx._types import Array, Bytes16s, Ints
    from featx.augmentation import Augmentation
    from featx.recipe import Preprocess
    from featx.sources import Entry

SHARE = 0.25
"""Of the free memory, for images that are kept decoded."""
AHEAD = 4
"""Batches that are made ready ahead."""


class Pictures:
    """The images of a data set, prepared for a network; read again where there is no room.

    Parameters
    ----------
    entries
        Where they are read, n of them.
    digests
        (n, 16) uint8 of their bytes.
    pre
        How they are prepared.
    """

    def __init__(self, entries: Sequence[Entry], digests: Bytes16s, pre: Preprocess) -> None:
        self._entries = entries
        self._pre = pre
        self._kept: dict[int, Array] = {}
        self._room = int(available() * SHARE)
        self.digests = [row.tobytes() for row in digests]

    def image(self, row: int) -> Array:
        """Give one image, (H, W, 3).

        Raises
        ------
        ImageError, SourceReadError
            If it is not what it was.
        """
        kept = self._kept.get(row)
        if kept is not None:
            return kept
        image = images.load(self._entries[row].read(), self._pre)[0]
        if self._room >= image.nbytes:
            self._room -= image.nbytes
            self._kept[row] = image
        return image


class Part(Dataset[Any]):
    """Some of the images with their targets, as skorch takes them.

    Parameters
    ----------
    pictures
        All images.
    rows
        (m,) which of them.
    targets
        (m,) int64 or (m, 1) float32, in the order of ``rows``.
    augment
        How training images are varied in each epoch; None: they are not.
    seed
        Of the variations.

    Attributes
    ----------
    epoch : int
        Decides how images are varied.
    """

    def __init__(
        self,
        pictures: Pictures,
        rows: Ints,
        targets: Array,
        augment: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self._pictures = pictures
        self._rows = rows.tolist()
        self.targets = torch.from_numpy(targets)
        self._augment = augment
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> tuple[Array, torch.Tensor]:
        return self.image(place), self.targets[place]

    def image(self, place: int) -> Array:
        """Give one image, varied as the epoch says."""
        row = self._rows[place]
        image = self._pictures.image(row)
        if self._augment is None:
            return image
        digest = self._pictures.digests[row]
        return augmented(image, self._augment, generator(self._seed, digest, self.epoch + 1))


class Loader:
    """Batches of a `Part`, made ready in threads.

    Parameters
    ----------
    dataset
        The images.
    shuffle
        Whether it is for training: each pass has an order of its own, by torch's generator, and a
        last batch of one image, which norms cannot take, is left out.
    """

    def __init__(self, dataset: Part, batch_size: int, shuffle: bool = False) -> None:
        self._part = dataset
        self._batch_size = batch_size
        self._shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        n = len(self._part)
        order = torch.randperm(n) if self._shuffle else torch.arange(n)
        batches = list(torch.split(order, self._batch_size))
        if self._shuffle and len(batches) > 1 and len(batches[-1]) == 1:
            del batches[-1]
        yield from in_order(self._batch, batches, workers(), AHEAD)

    def _batch(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stacked = np.stack([self._part.image(place) for place in places.tolist()])
        return torch.from_numpy(stacked), self._part.targets[places]


LOADERS = {"iterator_train": Loader, "iterator_train__shuffle": True, "iterator_valid": Loader}
"""For `featx.heads.network.make_net`."""
