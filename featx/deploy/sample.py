"""Images to try a graph on: those that the head was fitted on, where they are still to be found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx import images
from featx.artifact import read_images
from featx.catalog import shards_dir
from featx.errors import ImageError
from featx.sources import Places, is_remote
from featx.tokens import TokenIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import Array
    from featx.model import Model
    from featx.recipe import Preprocess

ROWS = 32
SEED = 0


@dataclass(frozen=True)
class Sample:
    """Images as a graph takes them.

    Attributes
    ----------
    images
        (n, H, W, 3) of the graph's dtype.
    origin
        What they are, in words.
    """

    images: Array
    origin: str


def find_sample(model: Model) -> Sample:
    """Give up to 32 seeded images of the head's data; noise where none of its files is found.

    A file counts if it lies where it was read last and still has the same bytes.
    """
    pre = model.recipe.preprocess
    found: list[Array] = []
    for image in _fitted(model, pre):
        found.append(as_input(image, pre))
        if len(found) == ROWS:
            break
    if found:
        return Sample(np.stack(found), f"images of {model.info.data}, which the head was fitted on")
    rng = np.random.default_rng(SEED)
    noise = rng.integers(0, 256, (ROWS, *pre.image_size, 3), dtype=np.uint8)
    return Sample(as_input(noise, pre), f"noise: no image of {model.info.data} is where it was")


def input_dtype(pre: Preprocess) -> str:
    """Give the dtype of images prepared so: float32 where an intensity is scaled, else uint8."""
    return "float32" if pre.intensity else "uint8"


def as_input(image: Array, pre: Preprocess) -> Array:
    """Give an image of 8 bits as one of 0 to 1, where that is what the graph takes."""
    if image.dtype == np.uint8 and input_dtype(pre) == "float32":
        return image.astype(np.float32) / np.float32(255)
    return image


def _fitted(model: Model, pre: Preprocess) -> Iterator[Array]:
    """Decode the head's own images in a seeded order; what cannot be read is passed over."""
    digests = sorted(read_images(model.path))
    with TokenIndex(model.cache) as tokens:
        known = tokens.paths()
    places = Places(shards_dir(model.cache))
    for i in np.random.default_rng(SEED).permutation(len(digests)):
        path = known.get(digests[i])
        if path is None:
            continue
        try:
            payload = places.entry(path).read()
            if images.digest(payload) == digests[i]:
                yield images.load(payload, pre)[0]
        except ImageError:
            continue
        except OSError:
            if is_remote(path):  # the others would wait as long
                return
