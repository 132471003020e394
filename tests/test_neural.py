"""Networks on vectors: what torch and a plain loop say, and what scikit-learn asks of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

from featx.errors import DeviceError, NumericsError, UnknownNameError, UsageError
from featx.evaluate import Spec, evaluate
from featx.heads import network
from featx.heads.course import Course, Enough, epoch_seed, learning_rate, run
from featx.heads.neural import NeuralClassifier, NeuralRegressor
from featx.training import Training, read_hidden


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, ...]:
    X, y = load_digits(return_X_y=True)
    return tuple(train_test_split((X / 16).astype(np.float32), y, random_state=0))


def as_module(head: Any) -> nn.Sequential:
    """Give torch's own layers the weights of a head."""
    modules: list[nn.Module] = []
    for weights, offset in zip(head.coefs_, head.intercepts_, strict=True):
        layer = nn.Linear(*weights.shape)
        layer.load_state_dict(
            {"weight": torch.from_numpy(weights.T.copy()), "bias": torch.from_numpy(offset)}
        )
        modules += [
            layer,
            {"relu": nn.ReLU(), "gelu": nn.GELU(), "tanh": nn.Tanh()}[head.activation],
        ]
    return nn.Sequential(*modules[:-1])


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_what_it_says_is_what_torch_says(digits: Any, activation: str) -> None:
    X, T, y, _ = digits
    head = NeuralClassifier("20,10", activation, epochs=2, random_state=0).fit(X, y)
    with torch.no_grad():
        expected = as_module(head)(torch.from_numpy(T)).softmax(1).numpy()
    np.testing.assert_allclose(head.predict_proba(T), expected, rtol=1e-4, atol=1e-6)
    assert (head.predict(T) == head.classes_[expected.argmax(axis=1)]).all()


def by_hand(X: np.ndarray, y: np.ndarray, optimizer: Any, loss: Any, k: int) -> nn.Sequential:
    """Train a network in torch's own words, three passes over rows in a random order."""
    x, targets = torch.from_numpy(X), torch.from_numpy(y)
    seed = int(np.random.RandomState(3).randint(2**31 - 1))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Linear(X.shape[1], 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, k)
        )
        steps = optimizer(module.parameters())
        for epoch in range(3):
            torch.manual_seed(epoch_seed(seed, epoch))
            for rows in torch.split(torch.randperm(len(x)), 50):
                steps.zero_grad()
                loss(module(x[rows]), targets[rows]).backward()
                steps.step()
    return module


def test_it_is_trained_as_a_plain_loop_trains(digits: Any) -> None:
    X, _, y, _ = digits
    module = by_hand(X, y, lambda p: torch.optim.Adam(p, lr=1e-2), nn.CrossEntropyLoss(), 10)
    head = NeuralClassifier(16, dropout=0.3, lr=1e-2, epochs=3, batch_size=50, random_state=3)
    head.fit(X, y)
    for layer, weights in zip((module[0], module[3]), head.coefs_, strict=True):
        np.testing.assert_allclose(layer.weight.detach().numpy().T, weights, rtol=1e-4, atol=1e-5)


def test_numbers_are_trained_as_a_plain_loop_trains() -> None:
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    y = (y / 100).astype(np.float32)
    sgd = lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.5, weight_decay=1e-3)  # noqa: E731
    module = by_hand(X, y[:, None], sgd, nn.L1Loss(), 1)
    head = NeuralRegressor(
        16, dropout=0.3, loss="l1", optimizer="sgd", lr=1e-2, momentum=0.5, weight_decay=1e-3,
        epochs=3, batch_size=50, random_state=3,
    )  # fmt: skip
    head.fit(X, y)
    np.testing.assert_allclose(
        module[0].weight.detach().numpy().T, head.coefs_[0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden": None},
        {"hidden": (64, 32), "activation": "gelu", "dropout": 0.2, "init": "kaiming"},
        {"optimizer": "sgd", "lr": 1e-2, "scheduler": "cosine", "init": "xavier"},
        {"optimizer": "adamw", "scheduler": "step"},
        {"scheduler": "plateau", "class_weight": "balanced"},
    ],
)
def test_it_learns(digits: Any, options: dict[str, Any]) -> None:
    X, T, y, u = digits
    head = NeuralClassifier(random_state=0, **{"epochs": 12, **options}).fit(X, y)
    assert head.score(T, u) > 0.85
    assert len(head.loss_curve_) == head.n_iter_ == 12
    assert head.loss_curve_[-1] < head.loss_curve_[0] / 2
    assert head.validation_loss_curve_ is None


@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_it_learns_numbers(digits: Any, loss: str) -> None:
    X, T, y, u = digits
    head = NeuralRegressor(loss=loss, lr=3e-3, epochs=10, random_state=0).fit(X, y / 9)
    assert head.score(T, u / 9) > 0.8


def test_it_stops_early_with_the_best_weights(digits: Any) -> None:
    X, _, y, _ = digits
    head = NeuralClassifier(epochs=200, lr=1e-2, early_stopping=3, random_state=0).fit(X, y)
    curve = head.validation_loss_curve_
    assert head.n_iter_ < 200
    assert int(np.argmin(curve)) == len(curve) - 1 - 3
    rows = np.arange(len(X))
    _, held = train_test_split(
        rows,
        test_size=0.2,
        stratify=y,
        random_state=int(np.random.RandomState(0).randint(2**31 - 1)),
    )
    held = np.sort(held)
    said = head.predict_proba(X[held])[np.arange(len(held)), y[held]]
    assert -np.log(said).mean() == pytest.approx(min(curve), rel=1e-3)


def test_a_seed_decides_and_the_callers_generator_stays(digits: Any) -> None:
    X, T, y, _ = digits
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two, other = (
        NeuralClassifier(8, dropout=0.5, epochs=2, random_state=seed).fit(X, y).predict_proba(T)
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (one == two).all()
    assert (one != other).any()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"hidden": "12,a"}, UsageError, "hidden is '12,a'; expected the widths"),
        ({"hidden": 0}, UsageError, "hidden is 0"),
        ({"hidden": 8.5}, UsageError, "hidden is 8.5"),
        ({"hidden": "8 4"}, UsageError, "hidden is '8 4'"),
        ({"hidden": "8,,4"}, UsageError, "hidden is '8,,4'"),
        ({"activation": "rellu"}, UnknownNameError, "relu"),
        ({"optimizer": "sdg"}, UnknownNameError, "sgd"),
        ({"scheduler": "linear"}, UnknownNameError, "cosine"),
        ({"init": "zero"}, UnknownNameError, "xavier"),
        ({"loss": "l1"}, UsageError, "loss 'l1' is not for classification"),
        ({"loss": "l3"}, UnknownNameError, "l1"),
        ({"dropout": 1.0}, UsageError, "dropout is 1.0; expected a number at least 0 and below 1"),
        ({"lr": 0.0}, UsageError, "lr is 0.0; expected a number above 0"),
        ({"epochs": 2.5}, UsageError, "epochs is 2.5; expected a whole number"),
        ({"batch_size": 0}, UsageError, "batch_size is 0"),
        ({"early_stopping": 0}, UsageError, "early_stopping is 0"),
        ({"validation": 1}, UsageError, "validation is 1; expected a number above 0 and below 1"),
        ({"device": "cuda:99"}, DeviceError, "torch has no device 'cuda:99' here"),
    ],
)
def test_what_cannot_be(digits: Any, options: dict[str, Any], error: Any, words: str) -> None:
    X, _, y, _ = digits
    with pytest.raises(error, match=words.replace(".", r"\.")):
        NeuralClassifier(**options).fit(X, y)


def test_weights_that_grow_without_bound_are_refused(digits: Any) -> None:
    X, _, y, _ = digits
    with pytest.raises(NumericsError, match="a smaller learning rate"):
        NeuralRegressor((64, 64), optimizer="sgd", lr=1e6, epochs=3, random_state=0).fit(X, y)


def test_widths() -> None:
    given = [None, "none", 7, "7", "7x5", "7,5", (7, 5), [7]]
    expected = [(), (), (7,), (7,), (7, 5), (7, 5), (7, 5), (7,)]
    assert [read_hidden(one) for one in given] == expected


SCHEDULES: dict[str, Any] = {
    "cosine": lambda o: CosineAnnealingLR(o, T_max=20),
    "step": lambda o: StepLR(o, step_size=7),
    "plateau": lambda o: ReduceLROnPlateau(o, patience=5, eps=0.0),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_those_of_torch(name: str) -> None:
    losses = [5.0, 4.0, *[4.0 - 1e-5 * i for i in range(9)], 3.9, *[3.95] * 8]
    training = Training(lr=0.5, epochs=20, scheduler=name)
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.5)
    schedule = SCHEDULES[name](optimizer)
    optimizer.step()
    rows: list[dict[str, float]] = []
    for loss in losses:
        assert learning_rate(training, rows) == pytest.approx(optimizer.param_groups[0]["lr"])
        rows.append({"train_loss": 9.0, "valid_loss": loss})
        schedule.step(*([loss] if name == "plateau" else []))


def test_an_interrupt_is_not_the_end_of_a_training(digits: Any) -> None:
    X, _, y, _ = digits

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    course = Course(Training(epochs=2), after_epoch=interrupt)
    net = network.make_net(network.perceptron(64, (), 10), course, "classification").initialize()
    with pytest.raises(KeyboardInterrupt):
        run(net, course, X, y)
    assert not issubclass(Enough, KeyboardInterrupt)


@pytest.mark.parametrize("kind", ["wide", "tall"])
@pytest.mark.parametrize("scale", ["none", "standard", "l2"])
def test_a_head_of_features_says_what_it_said_in_the_fold(
    digits: Any, kind: str, scale: Any
) -> None:
    X, _, y, _ = digits
    rows = slice(0, 50) if kind == "wide" else slice(0, 400)
    X, y = X[rows], y[rows] % 3
    fixed = {"hidden": (12, 6), "activation": "gelu", "epochs": 20, "dropout": 0.1}
    found = evaluate(X, y, Spec(head="nn", fixed=fixed, scale=scale, test_size=0.3))
    (fold,) = found.folds
    assert found.how.endswith(
        "nothing searched, hidden=(12, 6), activation=gelu, epochs=20, dropout=0.1"
    )
    np.testing.assert_allclose(
        found.estimator.predict_proba(X[fold.test]), fold.scores, rtol=1e-3, atol=1e-4
    )
    amounts = evaluate(X, X[:, 20:30].sum(axis=1) * 40, Spec(head="nn", fixed=fixed, test_size=0.3))
    assert amounts.metrics["plcc"].mean > 0.5


ESTIMATORS = [
    NeuralClassifier(32, lr=1e-2, epochs=40, batch_size=16, random_state=0),
    NeuralRegressor(32, lr=1e-2, epochs=40, batch_size=16, random_state=0),
]


@pytest.mark.slow
@parametrize_with_checks(ESTIMATORS)
def test_it_is_an_estimator_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", [NeuralClassifier, NeuralRegressor])
def test_groups_are_not_set_apart_where_rows_are_set_aside(
    digits: Any, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = digits[0][:1200], digits[2][:1200]
    groups, seen = np.arange(len(X)) // 4, []
    made = network.make_net

    def spied(*arguments: Any, validation: Any, **options: Any) -> Any:
        seen.append(validation.X)
        return made(*arguments, validation=validation, **options)

    monkeypatch.setattr(network, "make_net", spied)
    kind(epochs=1, early_stopping=1, random_state=0).fit(X, y, groups)
    rows = {row.tobytes(): group for row, group in zip(X, groups, strict=True)}
    held = [rows[row.tobytes()] for row in seen[0]]
    assert len(held) == 4 * len(set(held))
    assert len(held) == pytest.approx(len(X) / 5, rel=0.02)


def test_views_and_groups_reach_the_head(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _, y, _ = digits
    told: list[Any] = []
    fit = NeuralClassifier.fit

    def spied(self: Any, X: Any, y: Any, groups: Any = None) -> Any:
        told.append(groups)
        return fit(self, X, y, groups)

    monkeypatch.setattr(NeuralClassifier, "fit", spied)
    fixed = {"epochs": 1, "early_stopping": 1, "hidden": 4}
    person = np.arange(60) // 3
    evaluate(X[:60], y[:60] % 2, Spec(head="nn", fixed=fixed, cv="2"), groups=person, n_jobs=1)
    image = np.arange(60) // 2
    labels = y[:30] % 2
    evaluate(X[:60], labels, Spec(head="nn", fixed=fixed, cv="2"), images=image, n_jobs=1)
    assert len(told) == 6
    assert all(groups is not None for groups in told)
    assert set(np.unique(told[-1], return_counts=True)[1]) == {2}
    told.clear()
    evaluate(X[:60], y[:60] % 2, Spec(head="nn", fixed=fixed, cv="2"), n_jobs=1)
    assert told == [None] * 3


def test_a_network_that_memory_does_not_hold_is_refused(digits: Any) -> None:
    X, _, y, _ = digits
    with pytest.raises(DeviceError, match=r"not enough memory to train a network of 64 inputs"):
        NeuralClassifier(10**11).fit(X, y)


def test_dropout_of_a_linear_layer_is_of_what_goes_in() -> None:
    kinds = [type(layer) for layer in network.perceptron(4, (), 2, dropout=0.5)]
    assert kinds == [nn.Dropout, nn.Linear]
    kinds = [type(layer) for layer in network.perceptron(4, (3,), 2, dropout=0.5)]
    assert kinds == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
