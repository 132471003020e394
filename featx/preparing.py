"""Read and check what an extraction is asked for, before anything is loaded or computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from featx import datasets
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
) -> Prepared:
    """Read the arguments of `featx.extract`; open the data.

    Parameters
    ----------
    demo
        Folder that gets the demo's table, where ``data`` is None.

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
    how = How(
        device=device,
        precision=precision,
        batch_size=batch_size,
        engine=engine,
        decoder=decoder,
        compression=compression,
        seed=seed,
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


def counted(source: Source) -> str:
    """Say how many images a source has, and where it came from."""
    ignored = f", {source.ignored} other files left out" if source.ignored else ""
    return f"{source.name}: {len(source.entries)} images from {source.description}{ignored}"


def _or_demo(data: Any, folder: Path, progress: Progress) -> Any:
    if data is not None:
        return data
    from featx.demo import demo_table

    progress.say("no DATA given: taking the demo data set (photographs of solar cells)")
    return demo_table(folder)
