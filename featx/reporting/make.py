"""Write reports: of runs, of a learning curve, of layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx import catalog, plots
from featx._files import write_text, writing
from featx._types import Silent
from featx.comparison import put_together
from featx.errors import FeatxError, NotFoundError, UsageError
from featx.reporting.page import render
from featx.reporting.pictures import Pictures
from featx.reporting.sections import Material, page_of
from featx.reporting.subject import read_subject
from featx.runs import list_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from featx._types import JsonObject, PathLike, Progress
    from featx.comparison import Comparison
    from featx.curves import LearningCurve
    from featx.probing import Probe
    from featx.reporting.subject import Subject

REPORT_FILE = "report.html"
CURVE_HEADS = ("svm", "svr", "ridge", "logreg")
"""Heads whose learning curve takes about as long as their fit did."""
CURVE_S = 60
"""Seconds of a fit up to which a report has a learning curve unless it is asked for."""
CURVE_ROWS = 20_000
"""Rows up to which it has one: a curve holds the inner products of all."""


@dataclass(frozen=True, eq=False)
class Report:
    """A report that was written.

    Attributes
    ----------
    path
        The HTML file.
    figures
        By name, as `featx.plots` draws them.
    summary
        What it says first.
    plots
        The folder that the figures were saved in; None where they were not.
    run
        Of several runs the one that figures are of, but for the one that compares them.
    """

    path: Path
    figures: dict[str, Figure] = field(repr=False)
    summary: tuple[str, ...] = ()
    plots: Path | None = None
    run: str = ""

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "report": str(self.path),
            "figures": list(self.figures),
            "summary": list(self.summary),
            "plots": None if self.plots is None else str(self.plots),
        }


def report(
    runs: Any = None,
    *,
    curve: LearningCurve | bool | None = None,
    layers: Probe | None = None,
    images: bool = True,
    file: PathLike | None = None,
    save_plots: PathLike | None = None,
    out: PathLike = "runs",
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write one HTML file that shows what runs are worth, and can be opened anywhere.

    >>> featx.report("svm-photos-vgg16-1")  # doctest: +SKIP

    Parameters
    ----------
    runs
        One or several: folders, names in ``out``, or what `featx.fit` and `featx.finetune` gave; a
        `featx.Comparison` beside them is not needed, it is made. None: the newest in ``out``,
        unless ``curve`` or ``layers`` is given.
    curve
        What `featx.curve` gave; True has it made, False leaves it out. None: made where
        the fit took seconds, if the cache still has the features.
    layers
        What `featx.probe_layers` gave.
    images
        Whether thumbnails are shown. They are made from the files that were extracted, where these
        still have the same bytes.
    file
        Where to; None: ``report.html`` in the run's folder; ``comparison-1.html`` or the like in
        ``out`` where it is not of one run.
    save_plots
        A folder that gets every figure as PNG and as SVG.
    out
        Folder of all runs.
    cache
        The cache folder; None for ``FEATX_CACHE``, else ``cache``.

    Raises
    ------
    NotFoundError, UnknownNameError, ModelFileError
        If a run is not there, or cannot be read.
    UsageError
        If runs predict different things, or ``file`` is no HTML file.
    CacheWriteError
        If a file cannot be written.
    """
    _check_file(file)
    asked = _asked(runs, Path(out), others=layers is not None or _is_curve(curve))
    several = [read_subject(one, catalog.cache_dir(cache), Path(out)) for one in asked]
    comparison = put_together([one.run for one in several]) if len(several) > 1 else None
    subject = _best(several, comparison)
    made_curve, missing = _curve(curve, subject, progress or Silent())
    material = Material(
        subject,
        None if subject is None else Pictures(subject, images),
        comparison,
        made_curve,
        layers,
        tuple(missing),
        tuple(one for one in several if one is not subject),
    )
    drawn = material.drawn()
    page = page_of(material, drawn, _made())
    path = Path(file).resolve() if file is not None else _place(several, made_curve, Path(out))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(page))
    for why in () if material.pictures is None else material.pictures.unseen():
        (progress or Silent()).say(why)
    figures = {one.name: one.figure for several_ in drawn.values() for one in several_}
    saved = None if save_plots is None else Path(save_plots).resolve()
    if saved is not None:
        _save(figures, saved)
    several_of = subject.run.name if subject is not None and comparison is not None else ""
    return Report(path, figures, page.summary, saved, several_of)


def _is_curve(curve: object) -> bool:
    return curve is not None and not isinstance(curve, bool)


def _asked(runs: Any, out: Path, *, others: bool) -> list[Any]:
    if runs is None or (isinstance(runs, list | tuple) and not runs):
        if others:
            return []
        found = [row for row in list_runs(out) if "error" not in row]
        if not found:
            raise NotFoundError(f"no run in {out.absolute()}; `featx fit` makes one")
        return [found[-1]["path"]]
    return list(runs) if isinstance(runs, list | tuple) else [runs]


def _best(subjects: list[Subject], comparison: Comparison | None) -> Subject | None:
    """Give the run that the comparison puts first: runs of several folders may share a name."""
    if comparison is None:
        return subjects[0] if subjects else None
    first, metric = comparison.table.iloc[0], comparison.metrics[0]
    named = [one for one in subjects if one.run.name == first["run"]]
    return next((one for one in named if one.run.score(metric) == first[metric]), named[0])


def _curve(
    asked: LearningCurve | bool | None, subject: Subject | None, progress: Progress
) -> tuple[LearningCurve | None, list[str]]:
    """Give the learning curve, made where that is wanted and quick, or say why there is none."""
    if not isinstance(asked, bool) and asked is not None:
        return asked, []
    if subject is None:
        return None, ["no learning curve: there is no run to make one of"] if asked else []
    record, features = subject.record, subject.features
    wanted = _is_quick(record) if asked is None else asked
    if isinstance(features, str):
        return None, [f"no {'learning curve and no ' if wanted else ''}map: {features}"]
    if not wanted:
        return None, []
    from featx.curves import curve

    left = ("data", "features", "train_per_class", "quality", "lower_is_better", "aggregate")
    options = {
        name: value
        for name, value in record["arguments"].items()
        if name not in (*left, "twins", "head") and value is not None
    }
    try:
        return curve(features, record["head"], **options, progress=progress), []
    except FeatxError as error:
        return None, [f"no learning curve: {error}"]


def _is_quick(record: JsonObject) -> bool:
    took_s = sum(record["seconds"].values())
    return record["head"] in CURVE_HEADS and record["n"] <= CURVE_ROWS and took_s <= CURVE_S


def _made() -> str:
    return f"featx {version('featx')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _check_file(file: PathLike | None) -> None:
    """Raise before any work is done."""
    if file is None:
        return
    if Path(file).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a report is an HTML file, got {Path(file).name!r}; end it with .html")
    if Path(file).exists() and not Path(file).resolve().is_file():
        raise UsageError(f"{file} is there and no ordinary file; give another name")


def _place(subjects: list[Subject], curve: LearningCurve | None, out: Path) -> Path:
    if len(subjects) == 1 and subjects[0].folder is not None:
        return subjects[0].folder / REPORT_FILE
    kind = "report" if len(subjects) == 1 else "comparison" if subjects else "layers"
    kind = "curve" if curve is not None and not subjects else kind
    numbers = count(1)
    return next(path for n in numbers if not (path := out / f"{kind}-{n}.html").exists())


def _save(figures: dict[str, Figure], folder: Path) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        for suffix in (".png", ".svg"):
            plots.save(figure, folder / f"{name}{suffix}")
