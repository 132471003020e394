"""The options that say how a network is trained, each declared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from featx.cli.parsing import names, numbers
from featx.errors import UsageError
from featx.training import read_hidden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Option = typer.Option

Hidden = Annotated[
    list[str] | None,
    _Option(
        "--hidden", metavar="W,W|none", help="Widths of hidden layers, 512,32, or none; repeats."
    ),
]
Activation = Annotated[
    list[str] | None,
    _Option("--activation", metavar="NAME", help="relu, gelu, tanh [default: relu]."),
]
Dropout = Annotated[
    list[str] | None,
    _Option("--dropout", metavar="P", help="Share of values dropped [default: 0]."),
]
Loss = Annotated[
    list[str] | None,
    _Option("--loss", metavar="NAME", help="cross-entropy; mse, l1, huber."),
]
Optimizer = Annotated[
    list[str] | None,
    _Option("--optimizer", metavar="NAME", help="adam, adamw, sgd [default: adam]."),
]
Lr = Annotated[
    list[str] | None,
    _Option("--lr", metavar="X,X", help="Learning rate [default: 1e-3]."),
]
Epochs = Annotated[
    list[str] | None,
    _Option("--epochs", metavar="N", help="Passes, at most [default: 50]."),
]
Steps = Annotated[
    list[str] | None,
    _Option("--batch-size", metavar="N", help="Rows a step [default: 32]."),
]
Init = Annotated[
    list[str] | None,
    _Option("--init", metavar="NAME", help="Of the head: default, xavier, kaiming."),
]
WeightDecay = Annotated[
    list[str] | None,
    _Option("--weight-decay", metavar="X", help="Of the optimizer."),
]
Momentum = Annotated[
    list[str] | None,
    _Option("--momentum", metavar="X", help="Of sgd [default: 0.9]."),
]
Scheduler = Annotated[
    list[str] | None,
    _Option("--scheduler", metavar="NAME", help="none, cosine, step, plateau."),
]
EarlyStopping = Annotated[
    list[str] | None,
    _Option(
        "--early-stopping",
        metavar="N",
        help="Stop after N epochs without a lower loss on a fifth of the training rows.",
    ),
]


def as_parameters(
    head: str, options: Mapping[str, Sequence[str] | None]
) -> tuple[list[str], list[str]]:
    """Write options as candidates (``--grid``) where they hold several values, else as ``--set``.

    Raises
    ------
    UsageError
        If one is given for another head than ``nn``.
    """
    grid: list[str] = []
    fixed: list[str] = []
    for name, given in options.items():
        if not given:
            continue
        if head != "nn":
            raise UsageError(
                f"--{name.replace('_', '-')} is for networks: --head nn; --set and --grid are for "
                f"the parameters of {head}"
            )
        values = _values(name, given)
        (grid if len(values) > 1 else fixed).append(f"{name}={','.join(values)}")
    return grid, fixed


def _values(name: str, given: Sequence[str]) -> list[str]:
    """Give each candidate; the widths of one network are joined by commas, and so written by x."""
    if name == "hidden":
        return ["x".join(map(str, read_hidden(text))) or "none" for text in given]
    return list(names(given))


def values(option: str, given: Sequence[str] | None) -> list[float]:
    """Give the numbers between commas.

    Raises
    ------
    UsageError
        If one is no number.
    """
    return list(numbers(option, given) or ())


def counts(option: str, given: Sequence[str] | None) -> list[int]:
    """Give the whole numbers between commas.

    Raises
    ------
    UsageError
        If one is none.
    """
    found = values(option, given)
    if any(value != int(value) for value in found):
        raise UsageError(f"{option} is {','.join(given or ())!r}; expected whole numbers")
    return [int(value) for value in found]


def widths(given: Sequence[str] | None) -> str | None:
    """Give the one architecture that was asked for.

    Raises
    ------
    UsageError
        If there are several.
    """
    if given is not None and len(given) > 1:
        raise UsageError(f"--hidden {' and '.join(given)}: expected one, for example 512,32")
    return given[0] if given else None
