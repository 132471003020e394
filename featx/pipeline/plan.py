"""What a recipe would do, step by step, with nothing computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featx._files import side_dir
from featx._types import Silent
from featx._words import count
from featx.catalog import cache_dir
from featx.evaluate.mixes import read_mixes
from featx.fitting import tokens_of
from featx.folds import parse_cv
from featx.heads import HEADS, parse_grid, parse_params
from featx.pipeline.look import Looked, look
from featx.pipeline.trainings import candidates_of

if TYPE_CHECKING:
    from featx._types import JsonObject, PathLike, Progress
    from featx.pipeline.read import Pipeline


@dataclass(frozen=True)
class PlannedStep:
    """A step that would be run.

    Attributes
    ----------
    step
        ``extract 1``, ``fit 1``, ``finetune 1``.
    row
        What the file calls its row; empty for an extract.
    what
        What it would do.
    numbers
        ``images`` and ``stores`` of an extract; ``features``, ``candidates`` and ``splits`` of a
        fit; ``candidates``, ``splits``, ``trainings`` and ``epochs`` (of each, at most) of a
        training.
    skipped
        Why it would not be run here, where that can be told; else empty.
    """

    step: str
    row: str
    what: str
    numbers: JsonObject
    skipped: str = ""

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        said = {"step": self.step, "row": self.row, "what": self.what}
        return said | self.numbers | {"skipped": self.skipped or None}


def plan_pipeline(
    pipeline: Pipeline,
    *,
    out: PathLike | None = "runs",
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> list[PlannedStep]:
    """Say what each step would do; no image is read, and no weights are downloaded.

    Raises
    ------
    FeatxError
        As `run_pipeline` before the first image.
    """
    looked = look(
        pipeline,
        cache=None,
        demo=side_dir(cache_dir(cache)),
        out=out,
        progress=progress or Silent(),
        fetch=False,
    )
    return list(_steps(pipeline, looked))


def _steps(pipeline: Pipeline, looked: Looked) -> Iterator[PlannedStep]:
    labels = {row.step: row.label for row in pipeline.rows}
    told = [
        *(("extract", i, _extract(s, looked, i)) for i, s in enumerate(pipeline.extracts)),
        *(("fit", i, _fit(s, looked, i)) for i, s in enumerate(pipeline.fits)),
        *(("finetune", i, _finetune(s)) for i, s in enumerate(pipeline.finetunes)),
    ]
    for kind, i, (what, numbers) in told:
        where = f"{kind} {i + 1}"
        yield PlannedStep(where, labels.get(where, ""), what, numbers, looked.skips.get(where, ""))


def _extract(step: Mapping[str, Any], looked: Looked, i: int) -> tuple[str, JsonObject]:
    labels = [recipe.label for recipe in looked.recipes[i]]
    images = len(looked.source.entries)
    names = ", ".join(map(str, step["backbone"]))
    views = f", {step['views']} views of each" if step.get("views", 1) > 1 else ""
    what = f"{names} on {count(images, 'image')}{views} into {', '.join(labels) or 'stores'}"
    return what, {"images": images, "stores": labels}


def _fit(step: Mapping[str, Any], looked: Looked, i: int) -> tuple[str, JsonObject]:
    head = step.get("head", "svm")
    fixed = parse_params(step.get("set", ()))
    searched = step.get("search", True)
    own = HEADS[head].grid if searched and not step.get("grid") else {}
    grid = parse_grid(step.get("grid")) or {k: v for k, v in own.items() if k not in fixed}
    n = 1
    for values in grid.values():
        n *= len(values)
    taken = looked.fits[i]
    kinds = len(taken.stores)
    if kinds and f"fit {i + 1}" not in looked.skips:
        n *= len(read_mixes(tokens_of(step.get("mix", ())), kinds))
    splits = _splits(step, 5)
    features = f"{kinds} kinds of features of " if kinds > 1 else ""
    of = f"{features}{', '.join(taken.needs)}"
    what = f"{head} on {of}: {_times(n, 'candidate')} on {_times(splits, 'split')}"
    return what, {"features": list(taken.stores), "candidates": n, "splits": splits}


def _finetune(step: Mapping[str, Any]) -> tuple[str, JsonObject]:
    n = len(candidates_of(step))
    splits = _splits(step, None)
    trainings = n * splits + (splits > 1)
    epochs = step.get("epochs", 20)
    start = "from scratch" if step.get("from_scratch") else f"{step.get('freeze', 'none')} frozen"
    what = (
        f"{step['backbone']}, {start}, head {step.get('hidden') or 'linear'}: "
        f"{_times(n, 'candidate')} on {_times(splits, 'split')}, {_times(trainings, 'training')} "
        f"of at most {_times(epochs, 'epoch')}"
    )
    numbers = {"candidates": n, "splits": splits, "trainings": trainings, "epochs": epochs}
    return what, numbers


def _splits(step: Mapping[str, Any], otherwise: int | None) -> int:
    """Count the splits of an estimate."""
    cv = step.get("cv", otherwise)
    if step.get("split") or step.get("test_size") is not None or cv is None:
        return 1
    return parse_cv(str(cv))[1] * int(step.get("repeats", 1))


def _times(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
