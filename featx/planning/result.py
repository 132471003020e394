"""What a plan says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featx._types import JsonObject


@dataclass(frozen=True)
class PlannedHead:
    """Whether a head can be fitted on the vectors of one store.

    Attributes
    ----------
    size_bytes
        Of memory at the peak; None where it is not known.
    why
        Why it cannot be, and what to do; empty where it can.
    """

    head: str
    size_bytes: int | None
    why: str

    @property
    def fits(self) -> bool:
        """Whether the fit would start."""
        return not self.why

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "head": self.head,
            "fits": self.fits,
            "bytes": self.size_bytes,
            "why": self.why or None,
        }


@dataclass(frozen=True)
class PlannedStore:
    """What one recipe comes to.

    Attributes
    ----------
    label, dim
        The store's name and the length of its vectors.
    rows
        Vectors that it will get.
    blocks
        In which they are written.
    size_bytes
        What they take on the disk.
    share
        Of their size that is left by the compression; None where nothing was measured.
    heads
        Those that were asked for, on all vectors.
    """

    label: str
    dim: int
    rows: int
    blocks: int
    size_bytes: int
    share: float | None
    heads: tuple[PlannedHead, ...]

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "features": self.label,
            "dim": self.dim,
            "rows": self.rows,
            "blocks": self.blocks,
            "bytes": self.size_bytes,
            "compressed_to": None if self.share is None else round(self.share, 4),
            "heads": [head.to_json() for head in self.heads],
        }


@dataclass(frozen=True)
class PlannedBackbone:
    """What one pass over the images comes to.

    Attributes
    ----------
    compute, derived, cached, copies, undecodable
        Numbers of images: to be computed, to be pooled from a flattened store, that the stores
        have, that have the bytes of another one to come, and that the stores know as bad.
    compute_views
        Of the images to be computed: views that any store lacks.
    start_s, images_per_second, seconds
        Of the pass: until the network is ready, images with all their views from then on, in all.
        None where no image could be tried. Of one worker, but for the seconds in all.
    read_bytes
        Of the files that are read.
    busy
        Of each stage, the share of its threads' time, 0 to 1.
    bound_by
        The busiest stage; empty where nothing is computed.
    memory_bytes
        At the peak of the extraction; None where nothing is computed.
    notes
        What was chosen, and what to know.
    """

    backbone: str
    compute: int
    compute_views: int
    derived: int
    cached: int
    copies: int
    undecodable: int
    start_s: float | None
    images_per_second: float | None
    seconds: float | None
    read_bytes: int
    busy: Mapping[str, float]
    bound_by: str
    memory_bytes: int | None
    stores: tuple[PlannedStore, ...]
    notes: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """On the disk, of all its stores."""
        return sum(store.size_bytes for store in self.stores)

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "backbone": self.backbone,
            "compute": self.compute,
            "compute_views": self.compute_views,
            "derived": self.derived,
            "cached": self.cached,
            "copies": self.copies,
            "undecodable": self.undecodable,
            "seconds": _rounded(self.seconds),
            "start_s": _rounded(self.start_s),
            "images_per_second": _rounded(self.images_per_second),
            "read_bytes": self.read_bytes,
            "busy": {stage: round(value, 4) for stage, value in self.busy.items()},
            "bound_by": self.bound_by,
            "bytes": self.size_bytes,
            "memory_bytes": self.memory_bytes,
            "stores": [store.to_json() for store in self.stores],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Plan:
    """What an extraction will cost on this machine, and which heads can be fitted afterwards.

    Attributes
    ----------
    data
        Name of the data set.
    images, missing
        Numbers of its images, and of those whose file is not there.
    views
        That are wanted of each image.
    workers
        That compute side by side, each as fast as this machine.
    disk_free_bytes, memory_free_bytes
        Where the cache is or would be (None in a bucket), and of memory before anything was loaded.
    target
        What heads were assumed to be fitted to, in words.
    backbones
        One each.
    """

    data: str
    images: int
    missing: int
    views: int
    workers: int
    disk_free_bytes: int | None
    memory_free_bytes: int
    target: str
    backbones: tuple[PlannedBackbone, ...]

    @property
    def size_bytes(self) -> int:
        """On the disk, of all backbones."""
        return sum(one.size_bytes for one in self.backbones)

    @property
    def seconds(self) -> float | None:
        """Of all passes; None where one is not known."""
        each = [one.seconds for one in self.backbones]
        return None if None in each else sum(filter(None, each))

    @property
    def fits_on_disk(self) -> bool:
        """Whether there is room for all stores."""
        return self.disk_free_bytes is None or self.size_bytes <= self.disk_free_bytes

    @property
    def fits_in_memory(self) -> bool:
        """Whether every pass finds the memory that it takes."""
        return all((one.memory_bytes or 0) <= self.memory_free_bytes for one in self.backbones)

    def to_json(self) -> JsonObject:
        """Give it as a JSON object, in seconds and bytes."""
        return {
            "data": self.data,
            "images": self.images,
            "missing": self.missing,
            "views": self.views,
            "workers": self.workers,
            "seconds": _rounded(self.seconds),
            "bytes": self.size_bytes,
            "disk_free_bytes": self.disk_free_bytes,
            "fits_on_disk": self.fits_on_disk,
            "memory_free_bytes": self.memory_free_bytes,
            "fits_in_memory": self.fits_in_memory,
            "target": self.target,
            "backbones": [one.to_json() for one in self.backbones],
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
