"""What a run was asked. Runs that answer the same question are compared, in one family of tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from featx._words import count
from featx.folds import parse_cv

if TYPE_CHECKING:
    from featx._types import JsonObject
    from featx.comparison import Run


@dataclass(frozen=True)
class Question:
    """What a run was asked: all but the method, and the data, which a recipe has but once.

    The seed is left out: other splits of the same kind are compared on the rows that both tested.

    Attributes
    ----------
    target, task
        What is predicted.
    splits
        How rows were set apart for testing, in words.
    group
        The column whose rows stayed in one part; None for none.
    train_per_class
        What training rows were cut down to; None for all of them.
    missing
        Target values whose rows were left out.
    """

    target: str
    task: str
    splits: str
    group: str | None
    train_per_class: int | None
    missing: tuple[str, ...]

    def words(self) -> str:
        """Say it in one line."""
        parts = [f"{self.target} ({self.task})", self.splits]
        parts += [f"rows of one {self.group} together"] if self.group is not None else []
        if self.train_per_class is not None:
            parts.append(f"{count(self.train_per_class, 'training row')} a class")
        parts += [f"rows with {' or '.join(self.missing)} left out"] if self.missing else []
        return ", ".join(parts)

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return asdict(self) | {"missing": list(self.missing), "words": self.words()}


def question_of(run: Run) -> Question:
    """Read from a run's record what it was asked."""
    record, asked = run.record, run.record["arguments"]
    return Question(
        target=record["target"],
        task=record["task"],
        splits=_splits(asked),
        group=record["group"],
        train_per_class=asked["train_per_class"],
        missing=tuple(sorted(asked["missing"])),
    )


def by_question(runs: Mapping[str, Run]) -> dict[Question, dict[str, Run]]:
    """Put runs together that answer the same question; each keeps the name of its step."""
    groups: dict[Question, dict[str, Run]] = {}
    for step, run in runs.items():
        groups.setdefault(question_of(run), {})[step] = run
    return groups


def _splits(asked: JsonObject) -> str:
    """Say what decides the splits; ``cv`` is not used where something else does."""
    if asked["split"] is not None:
        return f"tested where column {asked['split']} says so"
    if asked["test_size"] is not None:
        return f"{100 * asked['test_size']:g} % of the rows tested once"
    kind, n, fraction = parse_cv(asked["cv"])
    words = f"{n} {kind}"
    if kind == "random":
        words = f"{n} random splits with {100 * (fraction or 0):g} % test rows"
    return words + (f", drawn {asked['repeats']} times" if asked["repeats"] > 1 else "")
