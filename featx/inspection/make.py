"""Load a network, find a convolution in it, and run images through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import images as pictures
from featx._types import Silent
from featx.backbones import BackboneRequest, load_backbone
from featx.errors import ImageError, NumericsError, UsageError
from featx.forward import TorchEngine
from featx.inspection.result import Guess, Inspected, Inspection
from featx.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal

    from featx._types import Array, PathLike, Progress
    from featx.backbones import Backbone
    from featx.backbones.classes import Classes
    from featx.backbones.convolutions import Convolution
    from featx.recipe import Resize
    from featx.sources import Entry

MOST = 100
"""Images at once: the maps of all of them are held, a few MB each."""


def inspect(
    images: Any,
    backbone: Any = "vgg16",
    layer: str | None = None,
    *,
    top: int = 5,
    maps: int = 16,
    out: PathLike | None = None,
    device: str = "cpu",
    image_size: int | Literal["weights"] | None = None,
    resize: Resize | None = None,
    weights: PathLike | None = None,
    weights_key: str | None = None,
    strip_prefix: str | None = None,
    preprocess: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str | None = None,
    intensity: str = "",
    channels: str = "",
    page: str = "",
    reader: str = "",
    seed: int = 0,
    progress: Progress | None = None,
) -> Inspection:
    """Look inside a backbone: the classes it sees, the filters of a convolution, and their maps.

    torch computes in fp32, image by image, as the reference path of `featx.extract`: what is seen
    here is what vectors are made of.

    Parameters
    ----------
    images
        One image or several, 100 at most: paths, Pillow images, arrays; or a folder, as
        `featx.extract` takes.
    backbone
        As `featx.extract` takes one.
    layer
        A convolution: node or module path; None for the first one that an image meets.
    top
        How many classes are named.
    maps
        How many activation maps are kept, the first ones.
    out
        Folder for the grids as PNG files; None writes none, and `Inspection.save` does it later.
    device
        Of torch: cpu, cuda, cuda:N, mps or auto.
    image_size, resize, weights, weights_key, strip_prefix, preprocess, mean, std, interpolation
        As `featx.extract` takes them; preprocessing comes from the weights.
    intensity, channels, page, reader
        How to read deep images, as `featx.extract` takes them.
    seed
        Of ``weights="random"``.
    progress
        Told what is found.

    Returns
    -------
    Inspection

    Raises
    ------
    UsageError
        If ``top`` or ``maps`` is no number above 0, an option does not fit, or there are too many
        images.
    ImageError
        If none of the images can be read.
    LayerError
        If ``layer`` is no convolution, or the network has none or cannot be traced.
    NumericsError
        If the convolution gives values that are not finite.
    FeatxError
        As `featx.extract`.
    """
    _check_counts(top=top, maps=maps)
    request = BackboneRequest(
        name=backbone,
        image_size=image_size,
        resize=resize,
        weights=None if weights is None else str(weights),
        weights_key=weights_key,
        strip_prefix=strip_prefix,
        preprocess=preprocess,
        mean=None if mean is None else tuple(mean),
        std=None if std is None else tuple(std),
        interpolation=interpolation,
        seed=seed,
        intensity=intensity,
        channels=channels,
        page=page,
        reader=reader,
        numerics="reference",
    )
    source = open_source(images, every_file=bool(reader))
    if len(source.entries) > MOST:
        raise UsageError(f"{len(source.entries):,} images; name up to {MOST} to look at")
    report = progress or Silent()
    inside = _look(load_backbone(request, report), layer, device)
    failed: list[tuple[str, str]] = []
    seen = [
        inside.see(path, item, pixels, top, maps)
        for path, item, pixels in _read(source.entries, inside.backbone, failed)
    ]
    if not seen:
        raise _none_read(failed, report)
    found = inside.described(tuple(seen), tuple(failed), maps)
    return found if out is None else found.save(out)


@dataclass(frozen=True)
class _Inside:
    """A backbone that is cut at a convolution, at what follows it, and where it ends."""

    backbone: Backbone
    conv: Convolution
    classes: Classes
    engine: TorchEngine

    def see(self, path: str, item: int, pixels: Array, top: int, maps: int) -> Inspected:
        """Run one image, (H, W, 3)."""
        before, *rest = (value[0] for value in self.engine.run(pixels[None]))
        if not np.isfinite(before).all():
            raise NumericsError(
                f"layer {self.conv.layer!r} gives values that are not finite for {path}; choose an "
                "earlier --layer, or other weights"
            )
        after = rest.pop(0)[:maps].copy() if self.conv.nonlinearity else None
        guesses = _guesses(rest[0], self.classes.categories, top) if rest else ()
        return Inspected(path, item, pixels, guesses, before[:maps].copy(), after)

    def described(
        self, seen: tuple[Inspected, ...], failed: tuple[tuple[str, str], ...], maps: int
    ) -> Inspection:
        """Put together what was found."""
        conv, assumed = self.conv, self.classes.note
        return Inspection(
            backbone=self.backbone.name,
            weights=str(self.backbone.provenance["weights"]),
            layer=conv.layer,
            filters=conv.weight,
            groups=conv.groups,
            through=conv.through,
            nonlinearity=conv.nonlinearity,
            operation=conv.operation,
            instead=conv.instead,
            maps=min(maps, len(conv.weight)),
            images=seen,
            failed=failed,
            why_no_top=self.classes.why_not,
            notes=(*self.backbone.notes, *([assumed] if assumed else [])),
        )


def _look(backbone: Backbone, layer: str | None, device: str) -> _Inside:
    """Find what is to be seen in a network, and cut it there."""
    from featx.backbones.classes import find_classes
    from featx.backbones.convolutions import find_convolution

    conv = find_convolution(backbone.cutter, layer)
    classes = find_classes(backbone)
    layers = [name for name in (conv.layer, conv.nonlinearity, classes.layer) if name]
    cut = replace(backbone, module=backbone.cutter.cut(layers).eval())
    return _Inside(backbone, conv, classes, TorchEngine(cut, device, "fp32", batch_size=1))


def _read(
    entries: Sequence[Entry], backbone: Backbone, failed: list[tuple[str, str]]
) -> Iterator[tuple[str, int, Array]]:
    """Give (path, item, pixels) of each image; those that cannot be read go to ``failed``."""
    for entry in entries:
        try:
            items = pictures.load(entry.read(), backbone.preprocess)
        except ImageError as error:
            failed.append((entry.path, str(error)))
            continue
        for item, pixels in enumerate(items):
            yield entry.path, item, pixels


def _none_read(failed: Sequence[tuple[str, str]], report: Progress) -> ImageError:
    """Say of every image why it cannot be read."""
    reasons = [f"{path}: {reason}" for path, reason in failed]
    if len(reasons) == 1:
        return ImageError(f"no image can be read: {reasons[0]}")
    for reason in reasons:
        report.say(reason)
    return ImageError(f"none of the {len(reasons)} images can be read; the first: {reasons[0]}")


def _guesses(scores: Array, categories: Sequence[str], top: int) -> tuple[Guess, ...]:
    """Give the classes of the largest scores: ``exp(s_i) / sum_j exp(s_j)``."""
    s = scores.astype(np.float64)
    e = np.exp(s - s.max())
    order = np.argsort(-s, kind="stable")[:top]
    return tuple(Guess(categories[i], float(e[i] / e.sum()), int(i)) for i in order)


def _check_counts(**counts: int) -> None:
    for name, n in counts.items():
        if n < 1:
            raise UsageError(f"{name} is {n}; give a number of 1 or more")
