"""Which rows are views of which image, and the mean of what is said of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx._types import Array, Float64s, Ints


@dataclass(frozen=True, eq=False)
class Views:
    """Rows that are views of m images.

    Attributes
    ----------
    image
        (n,) int64 number of the image that each row shows, from 0; every image has a row.
    """

    image: Ints

    @property
    def n_images(self) -> int:
        """m, the number of images."""
        return int(self.image.max(initial=-1)) + 1

    @property
    def first(self) -> Ints:
        """(m,) the first row of each image: the one that shows it as it is."""
        return np.unique(self.image, return_index=True)[1].astype(np.int64)

    @property
    def counts(self) -> Ints:
        """(m,) how many views each image has."""
        return np.bincount(self.image).astype(np.int64)

    def rows(self, images: Ints) -> Ints:
        """Give all rows of some images, rising."""
        return np.flatnonzero(np.isin(self.image, images)).astype(np.int64)

    def of(self, images: Ints) -> Views:
        """Give the views of (j,) images alone: rows as `rows` has them, images in this order."""
        place = np.full(self.n_images, -1)
        place[images] = np.arange(len(images))
        return Views(place[self.image[self.rows(images)]])

    def mean(self, values: Array) -> Float64s:
        """Give the mean over the views of each image: (n,) or (n, k) to (m,) or (m, k)."""
        if values.ndim == 1:
            mean: Float64s = np.bincount(self.image, values, self.n_images) / self.counts
            return mean
        return np.stack([self.mean(column) for column in values.T], axis=1)

    def words(self) -> str:
        """Say how many there are of an image: ``8``, or ``4 to 8``."""
        counts = self.counts.tolist() or [0]
        least, most = min(counts), max(counts)
        return f"{most}" if least == most else f"{least} to {most}"
