"""Thumbnails of the images that a run was fitted on, as the backbone sees them."""

from __future__ import annotations

import base64
import io
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from featx import images
from featx._words import count
from featx.catalog import shards_dir
from featx.errors import ImageError
from featx.sources import Places, is_remote
from featx.tokens import TokenIndex

if TYPE_CHECKING:
    from featx._types import Array
    from featx.recipe import Preprocess
    from featx.reporting.subject import Subject

SIDE = 224
"""Pixels of a thumbnail's longer side."""
QUALITY = 72
"""Of its JPEG: some 9 kB each."""
_NO_FILE = (
    "its file is not known: it was given in memory, or had just been written; if it is a "
    "file, run the same `featx extract` again, which computes nothing, and then this"
)
_IN_AN_ARRAY = re.compile(rb"\[\d+\]$")
"""What an image of an array file is called: ``photos.npy[3]``."""


@dataclass(frozen=True)
class Picture:
    """A thumbnail as a data URI, or why there is none."""

    src: str = ""
    missing: str = ""


@dataclass
class Pictures:
    """Makes each thumbnail once, from the file whose bytes the run was fitted on.

    Attributes
    ----------
    wanted
        Whether images are to be shown at all.
    """

    subject: Subject
    wanted: bool = True
    _made: dict[tuple[str, str], Picture] = field(default_factory=dict)

    def of(self, path: str, item: str = "0") -> Picture:
        """Give the thumbnail of an item of the image called ``path`` in the data set."""
        key = (path, item)
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]

    def unseen(self) -> list[str]:
        """Say how many thumbnails there are not, and the most frequent reason."""
        reasons = Counter(made.missing for made in self._made.values() if made.missing)
        if not self.wanted or not reasons:
            return []
        [(why, _)] = reasons.most_common(1)
        return [f"{reasons.total()} of {count(len(self._made), 'picture')} cannot be shown: {why}"]

    def _make(self, key: tuple[str, str]) -> Picture:
        if not self.wanted:
            return Picture(missing="images were left out")
        pre, digest = self.subject.preprocess, self.subject.digests.get(key)
        if pre is None or digest is None:
            return Picture(missing="the cache does not know this image any more")
        place = self._places.get(digest) or self._guessed(key[0])
        if place is None:
            return Picture(missing=_NO_FILE)
        if is_remote(place):
            return Picture(missing="it lies in a bucket or on the web, and reports fetch nothing")
        try:
            payload = self._read(place)
        except ImageError as error:
            return Picture(missing=str(error))
        except OSError as error:
            if _IN_AN_ARRAY.search(place):
                return Picture(missing="it is one of an array, of which no thumbnails are made")
            return Picture(missing=f"its file cannot be read: {error.strerror or error}")
        if images.digest(payload) != digest:
            return Picture(missing="its file has changed since")
        try:
            return Picture(src=thumbnail(_seen(payload, pre, int(key[1]))))
        except ImageError as error:
            return Picture(missing=str(error))

    def _guessed(self, path: str) -> bytes | None:
        """Give where a file should be that was too new to be noted; its bytes tell whether it is.

        What was written in the second before it was read could still change unseen.
        """
        features = self.subject.features
        if isinstance(features, str):
            return None
        told, _, _ = features.manifest.source.rpartition(": ")  # "/home/me/photos: 6 images in ..."
        if not told or is_remote(told):
            return None
        source = Path(told)
        there = (folder / path for folder in (source, source.parent, Path()))
        return next((os.fsencode(file.absolute()) for file in there if file.is_file()), None)

    def _read(self, place: bytes) -> bytes:
        """Read a file, or a member of a tar shard."""
        if b".tar!" not in place:
            return Path(os.fsdecode(place)).read_bytes()
        payload = self._again.entry(place).read()
        return payload if isinstance(payload, bytes) else b""

    @cached_property
    def _again(self) -> Places:
        return Places(shards_dir(self.subject.cache))

    @cached_property
    def _places(self) -> dict[bytes, bytes]:
        with TokenIndex(self.subject.cache) as tokens:
            return tokens.paths()


def _seen(payload: bytes, pre: Preprocess, item: int) -> Array:
    """Give an item as the backbone sees it; of varied views the image that they are of."""
    found = images.load(payload, pre)
    return found[item] if item < len(found) else found[0]


def thumbnail(image: Array) -> str:
    """Give (H, W, 3) uint8, or float32 in 0..1, as the data URI of a small JPEG."""
    if image.dtype != np.uint8:
        image = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
