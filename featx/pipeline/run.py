"""Run a recipe: extract what is missing, fit, train, and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from featx._files import side_dir
from featx._types import Silent
from featx.catalog import cache_dir
from featx.comparison import put_together, read_run
from featx.errors import (
    DeviceError,
    MissingDependencyError,
    NumericsError,
    RecipeMismatchError,
    UsageError,
    WeightsNotFoundError,
)
from featx.extraction import extract
from featx.fitting import fit
from featx.heads import HEADS, parse_grid, parse_params
from featx.heads.neural import device_here
from featx.metrics import METRICS
from featx.pipeline.look import Looked, look
from featx.pipeline.questions import Question, by_question

if TYPE_CHECKING:
    from featx._types import JsonObject, PathLike, Progress
    from featx.comparison import Run
    from featx.pipeline.read import Pipeline

_MACHINE = (
    *(DeviceError, MissingDependencyError, NumericsError, WeightsNotFoundError),
    *(RecipeMismatchError, MemoryError),
)
"""What this machine cannot do. Of a fit or a training a `UsageError` stops the step alone, too: the
file's mistakes were told before, so what is left does not suit the data, or memory is short."""


@dataclass(frozen=True)
class Skip:
    """A step that was not run.

    Attributes
    ----------
    step
        ``extract 2``, ``fit 1``, ``finetune 3``.
    reason
        Why.
    """

    step: str
    reason: str


@dataclass(frozen=True)
class Step:
    """What a step gave: a list of `Extraction`, a `FitResult`, a `Skip`, or a `Comparison`.

    A comparison is of the runs that answer the same ``question``, with a correction for its own
    tests alone; ``alone`` is the name of a step whose question no other run answers.

    In the end the rows of the table, one for each fit and training: dicts with ``step``, ``row``
    (what the file calls it), ``run``, ``head``, ``metric``, what was measured (``mean``, ``std``,
    ``low``, ``high``; ``metrics`` holds the means of all), ``total_s``, ``gain`` and
    ``s_per_point`` (`featx.comparison.cost`), ``d``, ``layers``, ``n_train``, ``published``,
    ``as``, and ``skipped``: the reason where it was not run, else None.
    """

    kind: Literal["extract", "fit", "finetune", "skip", "compare", "alone", "rows"]
    result: Any
    question: Question | None = None


def run_pipeline(
    pipeline: Pipeline,
    *,
    device: str = "auto",
    n_jobs: int | None = -1,
    out: PathLike | None = "runs",
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> Iterator[Step]:
    """Run the steps one after the other, and give each when it is done.

    A fit takes the stores of this file that its ``features`` name, patterns such as
    ``vgg16:*:avg@*`` among them, or all of them; several are fused. What is cached is not computed
    again, so that a run that was stopped goes on where it was.

    A step that this machine cannot run, or that does not suit the data, is skipped with its reason:
    weights out of reach, too little memory, a package or a column that is not there.

    Raises
    ------
    FeatxError
        As `featx.extract` does. Backbones, layers, the names of features and of runs, and the
        weights of several features are looked at before the first image.
    """
    report = progress or Silent()
    folder = cache_dir(cache)
    looked = look(pipeline, cache=folder, demo=side_dir(folder), out=out, progress=report)
    shared = {"out": out, "cache": cache, "progress": report}
    work = _Work(pipeline, looked, report, device, n_jobs, shared)
    if not pipeline.rows or any(row.step not in looked.skips for row in pipeline.rows):
        yield from work.extracts()
    yield from work.fits()
    yield from work.finetunes()
    yield from _compared(work.runs, pipeline.metrics)
    if pipeline.rows:
        yield Step("rows", work.table())


@dataclass
class _Work:
    """The steps of a run, what they gave, and which were skipped."""

    pipeline: Pipeline
    looked: Looked
    report: Progress
    device: str
    n_jobs: int | None
    shared: JsonObject
    data: str | None = None
    runs: dict[str, Run] = field(default_factory=dict)

    def extracts(self) -> Iterator[Step]:
        for i, step in enumerate(self.pipeline.extracts, 1):
            options = {**self.pipeline.data_options, **step}
            for done in self._tried("extract", i, partial(self._extract, options)):
                if done.kind == "extract":
                    self.data = done.result[0].data
                yield done

    def _extract(self, options: JsonObject) -> Any:
        place = {name: self.shared[name] for name in ("cache", "progress")}
        return extract(self.pipeline.data, device=self.device, **place, **options)

    def fits(self) -> Iterator[Step]:
        for i, step in enumerate(self.pipeline.fits, 1):
            taken = self.looked.fits[i - 1]
            for name in taken.needs:
                if (why := self.looked.skips.get(name)) is not None:
                    words = f"needs {name}, which is skipped: {why}"
                    self.looked.skips.setdefault(f"fit {i}", words)
            options = {key: value for key, value in step.items() if key != "features"}
            kinds: Any = taken.stores[0] if len(taken.stores) == 1 else list(taken.stores)
            yield from self._tried("fit", i, partial(self._fit, kinds, options))

    def _fit(self, kinds: Any, options: JsonObject) -> Any:
        told = with_device(options, self.device)
        return fit(kinds, data=self.data, n_jobs=self.n_jobs, **self.shared, **told)

    def finetunes(self) -> Iterator[Step]:
        about = {k: v for k, v in self.pipeline.data_options.items() if k != "name"}
        for i, step in enumerate(self.pipeline.finetunes, 1):
            options = {**about, **step}
            yield from self._tried("finetune", i, partial(self._finetune, options))

    def _finetune(self, options: JsonObject) -> Any:
        from featx.finetuning import finetune

        device = _one_of(self.device)
        return finetune(self.pipeline.data, device=device, **self.shared, **options)

    def _tried(self, kind: Any, i: int, run: Callable[[], Any]) -> Iterator[Step]:
        """Give what a step gave, or that it was skipped; keep the run of a fit or a training."""
        where = f"{kind} {i}"
        if where not in self.looked.skips:
            self.report.say(self._title(where))
            try:
                result = run()
            except (*_MACHINE, UsageError) as error:
                if kind == "extract" and not isinstance(error, _MACHINE):
                    raise
                self.looked.skips[where] = str(error) or "not enough memory"
        if where in self.looked.skips:
            yield Step("skip", Skip(where, self.looked.skips[where]))
            return
        if kind != "extract":
            self.runs[where] = read_run(result)
        yield Step(kind, result)

    def _title(self, where: str) -> str:
        labels = {row.step: row.label for row in self.pipeline.rows}
        kind, _, number = where.partition(" ")
        of = len(getattr(self.pipeline, f"{kind}s"))
        label = f": {labels[where]}" if where in labels else ""
        return f"{kind} {number} of {of}{label}"

    def table(self) -> list[JsonObject]:
        return [
            row.filled(self.runs[row.step], self.pipeline.metrics)
            if row.step in self.runs
            else row.skipped(self.looked.skips[row.step])
            for row in self.pipeline.rows
        ]


def with_device(step: JsonObject, device: str) -> JsonObject:
    """Let a head that is trained on a device have this one, unless the step itself names some.

    Other heads know a device for inner products alone; these stay on the processor.
    """
    if "device" not in HEADS[step.get("head", "svm")].params:
        return step
    fixed = parse_params(step.get("set", ()))
    if "device" in {**fixed, **(parse_grid(step.get("grid")) or {})}:
        return step
    there = device_here(_one_of(device))
    return step if there == "cpu" else {**step, "set": {"device": there, **fixed}}


def _one_of(device: str) -> str:
    """Give the device that a network is trained on: the first where several extract."""
    return "cuda:0" if device == "cuda:all" else device


def _compared(runs: Mapping[str, Run], metrics: tuple[str, ...]) -> Iterator[Step]:
    """Compare the runs that answer the same question, and name those that have no other."""
    for question, alike in by_question(runs).items():
        if len(alike) > 1:
            known = {metric.name for metric in METRICS[question.task]}
            shown = [name for name in metrics if name in known]
            yield Step("compare", put_together(list(alike.values()), shown), question)
        elif len(runs) > 1:
            yield Step("alone", next(iter(alike)), question)
