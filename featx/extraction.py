"""Embed a data set once: from images to the store, and a manifest that says which are whose."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache as once
from functools import partial
from typing import TYPE_CHECKING, Any

from featx import catalog, datasets
from featx._files import side_dir
from featx._html import facts
from featx._types import Silent
from featx.backbones import resolve
from featx.cluster import connect
from featx.commands import data_words
from featx.embedding import manifest_of, run_pass
from featx.errors import CacheWriteError, NotFoundError, TooManyFailedError, UsageError
from featx.features import view
from featx.preparing import check_choice, counted, prepare
from featx.store import list_stores
from featx.suggestions import roles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from featx._objects import Place
    from featx._types import JsonObject, PathLike, Progress
    from featx.augmentation import Augmentation
    from featx.cluster import Cluster
    from featx.embedding import Pass, Timing
    from featx.manifest import Manifest
    from featx.recipe import Resize, StoredDtype
    from featx.store.making import AskedCompression

MAX_FAILED = "10%"


@dataclass(frozen=True)
class Extraction:
    """What one store holds of a data set after an extraction.

    Attributes
    ----------
    data, label, store
        The data set's name, the store's short name (with a ``#`` where others have it too) and
        its folder.
    rows, dim
        n and d of the view: images that have a vector, times their views, and its length.
    computed, derived, reused
        Images whose vector was computed now, pooled from a flattened store, or there before.
    failed
        (path, reason) of the images that have none.
    columns
        Of the data set's table, but for the one that names the files.
    seconds
        Wall time of the pass over the images, shared by the stores that it filled.
    timing
        How busy reading, decoding, the network and writing were in it.
    notes
        What was chosen for the user.
    views
        Of each image, as asked for.
    """

    data: str
    label: str
    store: Place
    rows: int
    dim: int
    computed: int
    derived: int
    reused: int
    failed: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    seconds: float
    timing: Timing
    notes: tuple[str, ...] = field(default=(), repr=False)
    views: int = 1
    roles: Mapping[str, JsonObject] = field(default_factory=dict, repr=False)

    @property
    def images_per_second(self) -> float:
        """Of the images computed or derived."""
        return (self.computed + self.derived) / self.seconds if self.seconds else 0.0

    def _counts(self) -> str:
        counts = {"computed": self.computed, "derived": self.derived, "reused": self.reused}
        said = [f"{n:,} {name}" for name, n in counts.items() if n] or ["no vector"]
        return ", ".join([*said, *([f"{len(self.failed):,} failed"] if self.failed else [])])

    def __repr__(self) -> str:
        size = f"{self.rows} x {self.dim}"
        return f"<Extraction {self.data}: {size} {self.label}; {self._counts()}>"

    def _repr_html_(self) -> str:
        speed = f", {self.images_per_second:,.0f} images/s" if self.images_per_second else ""
        busy = f"; {said}" if (said := self.timing.describe()) else ""
        shown: dict[str, object] = {
            "data set": self.data,
            "features": self.label,
            "rows": f"{self.rows:,} x {self.dim:,}",
            "images": self._counts(),
            "time": f"{self.seconds:.1f} s{speed}{busy}",
            "columns": ", ".join(self.columns),
            "first failure": ": ".join(self.failed[0]) if self.failed else "",
            "notes": "; ".join(self.notes),
            "store": self.store,
        }
        return facts({name: value for name, value in shown.items() if value != ""})

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "data": self.data,
            "features": self.label,
            "store": str(self.store),
            "rows": self.rows,
            "views": self.views,
            "dim": self.dim,
            "computed": self.computed,
            "derived": self.derived,
            "reused": self.reused,
            "failed": [{"path": path, "reason": reason} for path, reason in self.failed],
            "columns": list(self.columns),
            "roles": dict(self.roles),
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 2),
            "timing": self.timing.to_json(),
            "where_time_goes": self.timing.describe(),
            "notes": list(self.notes),
        }


def extract(
    data: Any = None,
    *,
    backbone: Any = "vgg16",
    layers: Sequence[str] = (),
    pools: Sequence[str] = (),
    name: str | None = None,
    append: bool = False,
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
    cache: PathLike | None = None,
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
    on_error: str = "record",
    retry_failed: bool = False,
    rehash: bool = False,
    max_failed: int | str = MAX_FAILED,
    dask: str | None = None,
    progress: Progress | None = None,
) -> list[Extraction]:
    """Run frozen backbones once over images and cache the vectors.

    Parameters
    ----------
    data
        A folder, a table, tar shards, an array file, or several of them; folders and shards may be
        addresses in a bucket, and paths in a table addresses in one or on the web. From Python also
        a DataFrame, paths, Pillow images, bytes or arrays. None for the demo data set.
    backbone
        One or several: a torchvision name, ``timm/NAME``, ``module:callable``, or a
        `torch.nn.Module`.
    layers, pools
        Where to cut and what to make of the map; every combination fills its own store.
    name, append
        Of the data set; with ``append`` the rows are put after those that it has.
    limit, limit_per_class, seed
        Take the first N images, or N of each class chosen with a seed. The seed is also that of
        ``weights="random"`` and of ``augment``.
    path_column, root, label_column
        Of a table; the root may be an address.
    image_size, resize, preprocess, mean, std, interpolation
        In place of what the weights ask for.
    precision, engine, decoder, device, batch_size
        How to compute; see `featx.forward.Asked`. ``precision="fp32", decoder="pil"`` is the
        reference, torch on whole images, in stores of its own.
    dtype
        In which the vectors are stored.
    compression
        Of stores that are made: ``zstd``, ``none``, or ``auto``, which is zstd.
    cache
        The cache folder; None for ``FEATX_CACHE``, else ``cache``.
    weights, weights_key, strip_prefix
        A file, an enum member's name, or ``random``; None for the pretrained ones.
    intensity, channels, page, reader
        How to read images of more than 8 bits, other than 1, 3 or 4 channels, or several pages.
    views, augment
        Embed each image so often: as it is, and varied at random as an augmentation says, a name
        in `featx.augmentation.PRESETS`, a TOML file or an `Augmentation`. More views later compute
        those that are new.
    on_error
        ``record`` a bad image and go on, or ``raise``.
    retry_failed, rehash
        Try images again that are recorded as bad; read files again though they seem unchanged.
    max_failed
        A number or a percentage of images, above which it is an error in the end.
    dask
        Whose workers compute: ``local:N``, so many processes on this machine, or the address of a
        scheduler, ``tcp://HOST:PORT``; None for this process.
    progress
        Told of every task and decision.

    Returns
    -------
    list of Extraction
        One for each store.

    Raises
    ------
    UsageError
        If an argument has a value that does not fit.
    SourceError, SourceNotFoundError, SourceReadError
        If the data cannot be understood, found or read.
    WeightsError, WeightsNotFoundError
        If the weights do not fit or are not there.
    ImageError
        If ``on_error="raise"`` and an image is bad.
    TooManyFailedError
        If more images failed than ``max_failed``; what is done is kept, and in ``results``.
    ClusterError, MissingDependencyError
        If the workers are not there, do not fit, or are lost.
    NumericsError, DeviceError, CacheWriteError
        If values, the device or the disk cannot hold it; what is done is kept.
    """
    report = progress or Silent()
    check_choice("on_error", on_error, ("record", "raise"))
    parse_max_failed(max_failed, 0)
    folder = catalog.cache_dir(cache)
    prepared = prepare(
        data,
        backbone,
        demo=side_dir(folder),
        progress=report,
        shards=catalog.shards_dir(folder),
        name=name,
        limit=limit,
        limit_per_class=limit_per_class,
        seed=seed,
        path_column=path_column,
        root=root,
        label_column=label_column,
        image_size=image_size,
        resize=resize,
        precision=precision,
        engine=engine,
        decoder=decoder,
        device=device,
        dtype=dtype,
        compression=compression,
        batch_size=batch_size,
        layers=layers,
        pools=pools,
        weights=weights,
        weights_key=weights_key,
        strip_prefix=strip_prefix,
        preprocess=preprocess,
        mean=mean,
        std=std,
        interpolation=interpolation,
        intensity=intensity,
        channels=channels,
        page=page,
        reader=reader,
        views=views,
        augment=augment,
    )
    source, requests = prepared.source, prepared.requests
    how = replace(
        prepared.how,
        rehash=rehash,
        retry_failed=retry_failed,
        raise_on_error=on_error == "raise",
    )
    if append:
        _check_appendable(folder, datasets.safe_name(source.name))
    report.say(counted(source))
    asked = data_words(
        data,
        {
            "name": name,
            "append": append,
            "limit": limit,
            "limit_per_class": limit_per_class,
            "path_column": path_column,
            "root": root,
            "label_column": label_column,
            "views": None if views == 1 else views,
            "augment": augment,
        },
    )
    for request in requests if len(requests) > 1 else ():
        resolve(request, folder, report)  # a slip in the last name shows now
    out: list[Extraction] = []
    with ExitStack() as stack:
        reach = None if dask is None else once(partial(_enter, stack, dask, report))
        for request in requests:
            done = run_pass(source, request, folder, how, report, cluster=reach)
            manifest = replace(manifest_of(source, done.located.outcomes), asked=(asked,))
            out += _commit(folder, manifest, done, append, how.views, report)
    last = datasets.Last(out[0].data, tuple(e.store.name for e in out))
    try:
        datasets.remember(folder, last)
    except CacheWriteError as error:
        if any(one.computed or one.derived for one in out):
            raise
        report.say(f"{error}; nothing was missing, so it goes on: name the data with --data")
    _refuse_many_failures(out, len(source.entries), max_failed)
    return out


def _enter(stack: ExitStack, dask: str, progress: Progress) -> Cluster:
    return stack.enter_context(connect(dask, progress.say))


def _check_appendable(cache: Place, name: str) -> None:
    try:
        datasets.head(cache, name)
    except NotFoundError as error:
        raise NotFoundError(f"{error}; leave --append out for the first table") from None


def _commit(
    cache: Place, manifest: Manifest, done: Pass, append: bool, views: int, progress: Progress
) -> list[Extraction]:
    """Save the manifest, and say what each store holds of it."""
    before = {head.name: head for head in datasets.list_heads(cache)}.get(manifest.name)
    if before and not append and before.source != manifest.source:
        progress.say(
            f"data set {manifest.name} now stands for {manifest.source}; until now it was "
            f"{before.source}; --name NAME keeps both"
        )
    try:
        (datasets.append if append else datasets.save)(cache, manifest)
    except CacheWriteError as error:
        if append or before is None or before.manifest != manifest.hash:
            raise
        progress.say(f"{error}; its rows are those that the cache has, so it goes on")
    stores, _ = list_stores(cache)
    labels = dict(zip((s.path.name for s in stores), catalog.unique_labels(stores), strict=True))
    columns = _columns(manifest)
    serve = roles(manifest.frame, columns)
    out = []
    for recipe in done.recipes:
        found = view(manifest, done.store_after(cache, recipe))
        computed, derived = done.located.computed, done.located.derived
        images = len(found) if views == 1 else int((found.manifest.item == 0).sum())
        out.append(
            Extraction(
                data=manifest.name,
                label=labels[recipe.store_name],
                store=found.store.path,
                rows=len(found),
                dim=found.store.dim,
                computed=computed,
                derived=derived,
                reused=max(0, images - computed - derived),
                failed=tuple(zip(found.failed["path"], found.failed["reason"], strict=True)),
                columns=columns,
                seconds=done.seconds,
                timing=done.located.timing,
                notes=done.notes,
                views=views,
                roles=serve,
            )
        )
    return out


def _columns(manifest: Manifest) -> tuple[str, ...]:
    frame, paths = manifest.frame, manifest.path.tolist()
    return tuple(str(name) for name in frame.columns if frame[name].tolist() != paths)


def _refuse_many_failures(out: Sequence[Extraction], n: int, max_failed: int | str) -> None:
    worst = max(out, key=lambda e: len(e.failed))
    allowed = parse_max_failed(max_failed, n)
    if len(worst.failed) <= allowed:
        return
    path, reason = worst.failed[0]
    raise TooManyFailedError(
        f"{len(worst.failed)} of {n} images have no vector, more than the {allowed} that "
        f"--max-failed {max_failed} allows; the first: {path}: {reason}; the others are cached, "
        "and --max-failed 100% accepts this",
        out,
    )


def parse_max_failed(value: int | str, n: int) -> int:
    """Give the number of ``n`` images that may fail, from a number or a percentage.

    Raises
    ------
    UsageError
        If it is neither.
    """
    text = str(value).strip()
    try:
        if text.endswith("%"):
            return int(n * float(text[:-1]) / 100)
        return int(text)
    except ValueError:
        raise UsageError(
            f"max_failed is {value!r}; expected a number of images such as 20, or 10%"
        ) from None
