"""Arrays of images, in a file or in memory: (N, H, W) or (N, H, W, C)."""

from __future__ import annotations

import os
import re
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featx._types import Array
from featx._words import count
from featx.errors import SourceError, SourceReadError
from featx.sources.entry import Entry, MemoryEntry, Payload, Source, text_column, token_of
from featx.sources.names import data_name, display

ARRAY_SUFFIXES = frozenset({".npy", ".npz"})
_IMAGE_KEYS = ("images", "X", "x", "arr_0")
_SPLIT_KEY = re.compile(
    r"(?P<before>train|val|valid|validation|test)_(?P<rest>.+)"
    r"|(?P<first>.+)_(?P<after>train|val|valid|validation|test)"
)


@dataclass(frozen=True, slots=True)
class ArrayEntry(Entry):
    """One image of an array in a file."""

    images: _Images
    index: int

    def read(self) -> Payload:
        """Give the image as an array.

        Raises
        ------
        SourceError
            If the file is damaged.
        """
        return self.images[self.index]


class _Images:
    """An array of images in a file, read when the first image of it is asked for."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._lock = threading.Lock()
        self._array: Array | None = None

    def __getitem__(self, index: int) -> Array:
        with self._lock:
            if self._array is None:
                self._array = _member(self._path, self._key)
        return np.asarray(self._array[index])


def open_array_file(path: Path) -> Source:
    """Open a ``.npy`` or ``.npz`` file of images; its 1-d arrays as long become columns.

    Raises
    ------
    SourceError
        If no array in it is one of images, several might be, or it holds Python objects.
    """
    shapes = _shapes(path)
    parts = _parts(shapes, path)
    entries: list[Entry] = []
    frames = []
    for split, members in parts.items():
        key = _image_key(members, shapes, path)
        check_images(shapes[key], f"{path}, array {key!r}" if key else str(path))
        n = shapes[key][0]
        entries += _entries(path, key, n)
        frames.append(_frame(path, {k: v for k, v in members.items() if v != key}, shapes, n))
        if split:
            frames[-1]["split"] = text_column([split] * n)
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    where = display(os.path.abspath(path))  # noqa: PTH100
    return Source(
        data_name(path.stem), f"{where}: {count(len(entries), 'image')}", entries, frame, 0
    )


def array_source(images: Array) -> Source:
    """Make a source of an array in memory.

    Raises
    ------
    SourceError
        If its shape is not that of several images.
    """
    check_images(images.shape, "the array")
    return payload_source(images)


def payload_source(payloads: Sequence[Any] | Array) -> Source:
    """Make a source of images in memory: arrays, Pillow images or bytes."""
    entries = [MemoryEntry(f"[{i}]", None, None, payload) for i, payload in enumerate(payloads)]
    frame = pd.DataFrame(index=pd.RangeIndex(len(entries)))
    return Source("memory", f"{count(len(entries), 'image')} in memory", entries, frame, 0)


def check_images(shape: tuple[int, ...], where: str) -> None:
    """Refuse a shape that is not (N, H, W) or (N, H, W, C) beyond doubt.

    Raises
    ------
    SourceError
        If it is something else, with the way to make it right where there is one.
    """
    expected = f"{where} has the shape {shape}; expected (N, H, W) or (N, H, W, C)"
    if len(shape) not in (3, 4) or 0 in shape:
        raise SourceError(expected + ("" if 0 not in shape else ", none of them 0"))
    if len(shape) == 3 and shape[2] <= 4 < shape[0]:
        raise SourceError(f"{expected}: one image alone is x[None]")
    if len(shape) == 4 and shape[1] in (1, 3, 4) and shape[3] > 4:
        raise SourceError(f"{expected}: channels come last, numpy.moveaxis(x, 1, -1)")


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Give the shape of each array without reading it; a ``.npy`` has one, named ``""``."""
    with _explained(path):
        if path.suffix.lower() == ".npy":
            return {"": np.lib.format.open_memmap(path, mode="r").shape}
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _header(archive, name) for name in names}


def _header(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        first = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("object arrays")
    return tuple(shape)


def _member(path: Path, key: str) -> Array:
    with _explained(path):
        if not key:
            return np.asarray(np.lib.format.open_memmap(path, mode="r"))
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file[key])


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceReadError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, NotImplementedError) as error:
        objects = "object" in str(error).lower()
        raise SourceError(
            f"{path} holds Python objects, which featx never loads: they can run code; save plain "
            "arrays of one shape and dtype"
            if objects
            else f"{path} is no NumPy file that can be read: {error}"
        ) from error


def _parts(shapes: dict[str, tuple[int, ...]], path: Path) -> dict[str, dict[str, str]]:
    """Give {split: {short name: key}}; one split named ``""`` unless the keys name several.

    ``train_images`` and ``x_test`` are how MedMNIST and Keras name what they save.
    """
    if not shapes:
        raise SourceError(f"{path} holds no array")
    whole = {key: key for key in shapes}
    if any(key in shapes for key in _IMAGE_KEYS):
        return {"": whole}
    parts: dict[str, dict[str, str]] = {}
    for key in shapes:
        if match := _SPLIT_KEY.fullmatch(key):
            split = match["before"] or match["after"]
            split = "val" if split.startswith("val") else split
            parts.setdefault(split, {})[match["rest"] or match["first"]] = key
    return parts if "train" in parts and len(parts) > 1 else {"": whole}


def _image_key(members: dict[str, str], shapes: dict[str, tuple[int, ...]], path: Path) -> str:
    """Find the array of images: by its name, or as the only one with three or four axes."""
    for name in _IMAGE_KEYS:
        if name in members:
            return members[name]
    deep = [key for key in members.values() if len(shapes[key]) in (3, 4)]
    if len(deep) == 1 or list(shapes) == [""]:
        return deep[0] if deep else ""
    listing = ", ".join(f"{key!r} {shapes[key]}" for key in members.values())
    raise SourceError(
        f"which array of {path} holds the images? It has {listing}; name it 'images', with the "
        "shape (N, H, W) or (N, H, W, C)"
    )


def _entries(path: Path, key: str, n: int) -> list[Entry]:
    absolute = os.path.abspath(path)  # noqa: PTH100
    status = path.stat()
    images = _Images(path, key)
    encoded = os.fsencode(absolute) + b"#" + key.encode()
    shown = display(path.name) + (f":{key}" if key else "")
    return [
        ArrayEntry(f"{shown}[{i}]", token_of(b"%s[%d]" % (encoded, i), status), None, images, i)
        for i in range(n)
    ]


def _frame(
    path: Path, members: dict[str, str], shapes: dict[str, tuple[int, ...]], n: int
) -> pd.DataFrame:
    """Give the arrays that have one value for each image as columns."""
    columns: dict[str, Any] = {}
    for name, key in members.items():
        if shapes[key] in ((n,), (n, 1)):
            values = _member(path, key).reshape(n)
            if values.dtype.kind == "S":
                values = np.char.decode(values, "utf-8", "backslashreplace")
            columns[name] = text_column(values.tolist()) if values.dtype.kind == "U" else values
    return pd.DataFrame(columns, index=pd.RangeIndex(n))
