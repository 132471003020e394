"""Compare heads and backbones, and say which differences are real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featx._types import Silent
from featx.comparison.build import put_together
from featx.comparison.make import make_runs
from featx.comparison.result import Comparison
from featx.comparison.run import Run, read_run
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featx._types import PathLike, Progress

__all__ = ["Comparison", "Run", "compare", "put_together", "read_run"]


def compare(
    *what: Any,
    backbone: Any = (),
    head: str | Sequence[str] = (),
    metric: str | Sequence[str] = (),
    extract: Mapping[str, Any] | None = None,
    out: PathLike | None = "runs",
    cache: PathLike | None = None,
    progress: Progress | None = None,
    **fit: Any,
) -> Comparison:
    """Put finished runs side by side, or make them first.

    >>> featx.compare("svm-photos-vgg16-1", "ridge-photos-vgg16-1")  # doctest: +SKIP
    >>> featx.compare("photos", backbone=["vgg16", "resnet50"], head=["svm", "ridge"])
    ... # doctest: +SKIP

    Parameters
    ----------
    what
        Runs: folders, names in ``out``, or what `featx.fit` gave. With ``backbone`` and ``head``:
        the data, as `featx.extract` takes it, or the name of a data set in the cache.
    backbone, head
        One or several: each head is fitted on each backbone's features. What is cached is used, the
        rest is extracted.
    metric
        One or several to show; the first one is tested. Empty for what chose among candidates:
        accuracy or RMSE unless ``scoring`` said otherwise.
    extract
        Arguments of `featx.extract`: ``{"limit": 500, "weights": "random"}``.
    out
        Folder of all runs; None writes nothing.
    cache
        The cache folder; None for ``FEATX_CACHE``, else ``cache``.
    fit
        Arguments of `featx.fit`: ``cv``, ``group``, ``target`` ...

    Raises
    ------
    UsageError
        If there are fewer than two runs, they predict different things, or an option does not fit.
    NotFoundError, ModelFileError
        If a run is not there, or cannot be read.
    FeatxError
        As `featx.extract` and `featx.fit` do.
    """
    metrics = _several(metric)
    backbones, heads = _several(backbone), _several(head)
    if not backbones and not heads:
        if fit or extract:
            raise UsageError(
                f"{sorted([*fit, *(extract or ())])[0]!r} is for runs that are made here: name "
                "backbones and heads, or leave it out"
            )
        _refuse_lists(what)
        return put_together([read_run(one, out or "runs") for one in what], metrics)
    _check_made(what, backbones, heads)
    runs = make_runs(
        what[0] if len(what) == 1 else list(what),
        backbones,
        heads,
        fitting=fit,
        extraction=extract or {},
        out=out,
        cache=cache,
        progress=progress or Silent(),
    )
    return put_together(runs, metrics)


def _refuse_lists(what: Sequence[Any]) -> None:
    for one in what:
        if isinstance(one, list | tuple):
            shown = ", ".join(repr(run) if isinstance(run, str) else "..." for run in one[:3])
            raise UsageError(
                f"got a {type(one).__name__} of {len(one)} runs; expected them one by one: "
                f"compare({shown}{', ...' if len(one) > 3 else ''}), or compare(*runs)"
            )


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _check_made(what: Sequence[Any], backbones: list[Any], heads: list[str]) -> None:
    """Raise where nothing could be compared, before anything is computed."""
    for missing, name in ((not what, "DATA"), (not backbones, "--backbone"), (not heads, "--head")):
        if missing:
            raise UsageError(
                f"to make runs, {name} is missing: featx compare DATA --backbone A,B --head "
                "svm,ridge; without --backbone and --head, finished runs are compared"
            )
