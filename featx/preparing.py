"""Read and check what an extraction is asked for, before anything is loaded or computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from featx import datasets
from featx._words import count
from featx.augmentation import NO_AUGMENTATION, PRESETS, Augmentation, read_augmentation
from featx.backbones import BackboneRequest
from featx.embedding import How
from featx.errors import UsageError
from featx.forward import DECODERS, ENGINES
from featx.forward.ways import check_asked
from featx.sources import open_source
from featx.store.making import compression_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Literal

    from featx._types import PathLike, Progress
    from featx.recipe import Resize, StoredDtype
    from featx.sources import Source
    from featx.store.making import AskedCompression


MOST_VIEWS = 1000


@dataclass(frozen=True)
class Prepared:
    """An extraction, ready to be run.

    Attributes
    ----------
    source
        The images.
    requests
        One for each backbone.
    how
        How to run them; a bad image is recorded, nothing is read again that seems unchanged.
    """

    source: Source
    requests: tuple[BackboneRequest, ...]
    how: How


def prepare(
    data: Any,
    backbone: Any,
    *,
    demo: Path,
    progress: Progress,
    shards: Path | None = None,
    keep_shards: bool = True,
    name: str | None = None,
    limit: int | None = None,
    limit_per_class: int | None = None,
    seed: int = 0,
    path_column: str | None = None,
    root: PathLike | None = None,
    label_column: str | None = None,
    image_size: int | Literal["weights"] | None = None,
    resize: Resize | None = None,
    precision: str = "auto",
    engine: str = "auto",
    decoder: str = "auto",
    device: str = "auto",
    dtype: StoredDtype = "float16",
    compression: AskedCompression = "auto",
    batch_size: int | None = None,
    layers: Sequence[str] = (),
    pools: Sequence[str] = (),
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
    views: int = 1,
    augment: Augmentation | PathLike | None = None,
) -> Prepared:
    """Read the arguments of `featx.extract`; open the data.

    Parameters
    ----------
    demo
        Folder that gets the demo's table, where ``data`` is None.
    shards, keep_shards
        The folder of indexes of tar shards, and whether new ones are kept.

    Raises
    ------
    UsageError
        If an argument has a value that does not fit.
    SourceError, SourceNotFoundError, SourceReadError
        If the data cannot be understood, found or read.
    """
    check_choice("decoder", decoder, DECODERS)
    check_choice("engine", engine, ENGINES)
    compression_of(compression)
    varied = read_views(views, augment, parts=page == "all" or channels == "each")
    how = How(
        device=device,
        precision=precision,
        batch_size=batch_size,
        engine=engine,
        decoder=decoder,
        compression=compression,
        seed=seed,
        views=views,
    )
    check_asked(how.asked)
    asked = BackboneRequest(
        name="",
        layers=tuple(layers),
        poolings=tuple(pools),
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
        dtype=dtype,
        numerics="reference" if precision == "fp32" and decoder == "pil" else "certified",
        augment=varied,
    )
    source = open_source(
        _or_demo(data, demo, progress),
        name=name,
        path_column=path_column,
        root=root,
        limit=limit,
        limit_per_class=limit_per_class,
        label_column=label_column,
        seed=seed,
        every_file=bool(reader),
        shards=shards,
        keep_shards=keep_shards,
        progress=progress,
    )
    datasets.check_columns(source.frame)
    names = backbone if isinstance(backbone, list | tuple) else [backbone]
    if not names or "" in names:
        raise UsageError("a backbone without a name; give --backbone NAME (see featx backbones)")
    return Prepared(source, tuple(replace(asked, name=one) for one in names), how)


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise `UsageError` if ``value`` is none of the allowed."""
    if value not in allowed:
        raise UsageError(f"{name} is {value!r}; expected {' or '.join(map(repr, allowed))}")


def read_views(views: int, augment: Augmentation | PathLike | None, *, parts: bool) -> Augmentation:
    """Give how views are varied; that of nothing where an image has one.

    Parameters
    ----------
    parts
        Whether an image's items are its pages or channels.

    Raises
    ------
    UsageError
        If one of the two is given without the other, or views of pages or channels are asked for.
    UnknownNameError
        If there is no such augmentation.
    """
    if type(views) is not int or not 1 <= views <= MOST_VIEWS:
        raise UsageError(f"views is {views!r}; expected a whole number from 1 to {MOST_VIEWS}")
    if augment is None:
        if views > 1:
            raise UsageError(
                f"{views} views of each image, and nothing that varies them: say how with "
                f"--augment NAME or FILE.toml; names: {', '.join(PRESETS)}"
            )
        return NO_AUGMENTATION
    how = read_augmentation(augment)
    if views == 1:
        raise UsageError(
            "an augmentation and one view of each image, which is the image as it is: say how many "
            "views with --views N, 2 or more, or leave --augment out"
        )
    if how.is_nothing:
        raise UsageError(f"augmentation {augment} changes nothing, so all views would be equal")
    if parts:
        raise UsageError(
            "views of pages or channels: an image's items are its pages (--page all) or channels "
            "(--channels each), or else its views; leave out one of the two"
        )
    return how


def counted(source: Source) -> str:
    """Say how many images a source has, and where it came from."""
    ignored = f", {count(source.ignored, 'other file')} left out" if source.ignored else ""
    return (
        f"{source.name}: {count(len(source.entries), 'image')} from {source.description}{ignored}"
    )


def _or_demo(data: Any, folder: Path, progress: Progress) -> Any:
    if data is not None:
        return data
    from featx.demo import demo_table

    progress.say("no DATA given: taking the demo data set (photographs of solar cells)")
    return demo_table(folder)
