"""Train the candidates of a fine-tuning on the splits, each from the same start."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import softmax
from skorch.dataset import Dataset

from featx._words import count
from featx.backbones import load_backbone
from featx.evaluate import Attempt, judge_of
from featx.finetuning.ask import Ask, head_of, training_of
from featx.finetuning.keeping import check_kept
from featx.heads.network import perceptron, room, weights_of
from featx.tuning import Part, Pictures, TunedNetwork, freeze_layers, outputs, tensors_of, train

if TYPE_CHECKING:
    from featx._types import Array, Ints, JsonObject, Progress
    from featx.backbones import Backbone, BackboneRequest
    from featx.evaluate import Params, Setup
    from featx.features import Features
    from featx.heads.course import Judge, Row
    from featx.tuning import Frozen, Trained


@dataclass(frozen=True)
class Tuned:
    """A network that was trained.

    Attributes
    ----------
    tensors
        Of the backbone up to its cut.
    coefs, offsets
        Of the head's layers, (d, k) and (k,), for the target in its own units.
    params
        Of the candidate.
    rows, best
        One an epoch, and the epoch that was taken.
    """

    tensors: dict[str, torch.Tensor]
    coefs: list[Array]
    offsets: list[Array]
    params: Params
    rows: tuple[Row, ...]
    best: int


@dataclass(frozen=True)
class Units:
    """How a target is trained: numbers in standard deviations from their mean, classes as such."""

    mean: float = 0.0
    size: float = 1.0
    numbers: bool = False

    def scaled(self, values: Array) -> Array:
        """Give (n,) class numbers as they are, (n,) numbers as (n, 1) float32."""
        if not self.numbers:
            return values
        return ((values - self.mean) / self.size).astype(np.float32)[:, None]

    def targets(self, scaled: Array) -> Array:
        """Give back what `scaled` gave."""
        return scaled[:, 0].astype(np.float64) * self.size + self.mean if self.numbers else scaled

    def meant(self, raw: Array) -> Array:
        """Give the probabilities (n, k) or numbers (n,) that a network's outputs (n, k) mean."""
        values = raw.astype(np.float64)
        return self.targets(values) if self.numbers else np.asarray(softmax(values, axis=1))


@dataclass
class Trainer:
    """Trains one candidate after the other; what `featx.evaluate.evaluate_trained` calls.

    Attributes
    ----------
    setup, ask, request
        What is asked for.
    pictures
        The images, in the order of the target.
    vectors
        Theirs under the backbone as it is, for where all of it is frozen.
    device
        Where it runs.
    work
        Folder of trainings under way; None: they cannot be gone on from.
    identity
        JSON: what a training is besides its candidate and rows.
    progress
        Told of each epoch.
    curves : list
        What each training did, in order: for ``curves.csv``.
    frozen : Frozen or None
        What stays; known after `prepare`.
    """

    setup: Setup
    ask: Ask
    request: BackboneRequest
    pictures: Pictures
    vectors: Features
    device: str
    work: Path | None
    identity: JsonObject
    progress: Progress
    curves: list[tuple[Params, tuple[Row, ...], int]] = field(default_factory=list)
    frozen: Frozen | None = None
    _folders: list[Path] = field(default_factory=list)

    def prepare(self) -> str:
        """Check that what is trained can be kept, and say what is frozen.

        Raises
        ------
        LayerError
            If there is no such layer to freeze.
        RecipeMismatchError
            If the backbone would not be the same with weights from a file.
        """
        backbone = load_backbone(self.request)
        self.frozen = freeze_layers(backbone, self.ask.freeze)
        with tempfile.TemporaryDirectory() as folder:
            check_kept(self.request, backbone, Path(folder), tensors_of(backbone))
        return self.frozen.describe()

    def clear(self) -> None:
        """Forget the trainings: their run is written."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        if self.work is not None:
            with suppress(OSError):  # another run's trainings are under way
                self.work.rmdir()

    def __call__(self, params: Params, own: Ints, held: Ints, test: Ints) -> Attempt:
        """Train one candidate from the start, or from where it was stopped."""
        training = training_of(params, self.setup.spec.seed)
        units = self._units(own)
        y = units.scaled(self.setup.target.values)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            backbone = load_backbone(self.request)
            module = self._network(backbone, params)
        parts = self._part(own, y, varied=True), self._part(held, y) if len(held) else None
        whole = isinstance(parts[0], Part)
        network = module if whole else module.head
        what = f"{self.request.name} with {count(training.batch_size, 'image')} in a batch"
        with room(what, "give a smaller --batch-size"):
            done = train(
                network,
                training,
                self.setup.target.task,
                *parts,
                self._judge(units) if len(held) else None,
                class_weight=self._class_weight(own),
                device=self.device,
                folder=self._folder(params, own, held),
                after_epoch=self._tell,
            )
        self.progress.advance(training.epochs - len(done.rows))
        self.curves.append((params, done.rows, done.best))
        value = np.nan
        if len(held):
            value = self._sign * done.rows[done.best]["valid_score"]
        said = self._said(network, test, units, training.batch_size) if len(test) else None
        model = self._tuned(backbone, module, params, done, units)
        return Attempt(value, said, model)

    def _network(self, backbone: Backbone, params: Params) -> TunedNetwork:
        head = head_of(params)
        n_outputs = 1 if self.setup.target.classes is None else len(self.setup.target.classes)
        layers = perceptron(
            self.vectors.dim, head["hidden"], n_outputs, head["activation"], head["dropout"],
            head["init"],
        )  # fmt: skip
        frozen = freeze_layers(backbone, self.ask.freeze)
        return TunedNetwork(backbone, self.ask.pooling, layers, frozen)

    def _units(self, own: Ints) -> Units:
        """Give the units in which the target is trained: those of the training rows."""
        if self.setup.target.classes is not None:
            return Units()
        values = self.setup.target.values[own]
        return Units(float(values.mean()), float(values.std()) or 1.0, numbers=True)

    def _part(self, rows: Ints, y: Array, *, varied: bool = False) -> Any:
        """Give rows as images; as vectors, where these cannot change."""
        augment = self.ask.augment if varied else None
        if self.ask.freeze == "all" and self.ask.augment is None:
            return Dataset(self.vectors.X[rows], y[rows])
        return Part(self.pictures, rows, y[rows], augment, self.setup.spec.seed)

    def _judge(self, units: Units) -> Judge:
        judge = judge_of(self.setup)

        def score(y: torch.Tensor, said: torch.Tensor) -> float:
            value = judge(units.targets(y.numpy()), units.meant(said.numpy()))
            return value if np.isfinite(value) else -np.inf  # undefined is never the best

        return score

    def _said(self, network: Any, rows: Ints, units: Units, batch_size: int) -> Array:
        part = self._part(rows, units.scaled(self.setup.target.values))
        given = part if isinstance(part, Part) else part.X
        return units.meant(outputs(network, given, batch_size, self.device))

    @property
    def _sign(self) -> float:
        """What turns "more is better" into the criterion's own sense."""
        return 1.0 if self.setup.solver.criterion.greater_is_better else -1.0

    def _class_weight(self, own: Ints) -> Array | None:
        if self.setup.spec.class_weight is None:
            return None
        counts = np.bincount(self.setup.target.values[own])
        return len(own) / (len(counts) * counts)

    def _tell(self, row: Row) -> None:  # noqa: ARG002  # the curves have it
        self.progress.advance()

    def _folder(self, params: Params, own: Ints, held: Ints) -> Path | None:
        if self.work is None:
            return None
        h = blake2b(digest_size=12)
        h.update(json.dumps([self.identity, dict(params)], sort_keys=True, default=str).encode())
        for rows in (own, held):
            h.update(b"|" + rows.astype("<i8").tobytes())
        self._folders.append(self.work / h.hexdigest())
        return self._folders[-1]

    def _tuned(
        self,
        backbone: Backbone,
        module: TunedNetwork,
        params: Params,
        done: Trained,
        units: Units,
    ) -> Tuned:
        coefs, offsets = weights_of(module.head)
        coefs[-1] = coefs[-1] * np.float32(units.size)
        offsets[-1] = offsets[-1] * np.float32(units.size) + np.float32(units.mean)
        return Tuned(tensors_of(backbone), coefs, offsets, params, done.rows, done.best)
