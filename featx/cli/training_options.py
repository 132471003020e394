"""The options that say how a network is trained, each declared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from featx.cli.parsing import numbers
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Option = typer.Option
_PANEL = "Networks; of several values the best is chosen"

Hidden = Annotated[
    list[str] | None,
    _Option(
        "--hidden",
        metavar="W,W|none",
        help="Widths of hidden layers, 512,32; none: a linear layer. Repeats.",
        rich_help_panel=_PANEL,
    ),
]
Activation = Annotated[
    str | None,
    _Option("--activation", metavar="NAME", help="relu, gelu, tanh.", rich_help_panel=_PANEL),
]
Dropout = Annotated[
    str | None,
    _Option("--dropout", metavar="P", help="Share of values dropped.", rich_help_panel=_PANEL),
]
Loss = Annotated[
    str | None,
    _Option(
        "--loss", metavar="NAME", help="cross-entropy; mse, l1, huber.", rich_help_panel=_PANEL
    ),
]
Optimizer = Annotated[
    str | None,
    _Option("--optimizer", metavar="NAME", help="adam, adamw, sgd.", rich_help_panel=_PANEL),
]
Lr = Annotated[
    str | None,
    _Option("--lr", metavar="X,X", help="Learning rate [default: 1e-3].", rich_help_panel=_PANEL),
]
Epochs = Annotated[
    str | None,
    _Option("--epochs", metavar="N", help="Passes, at most [default: 50].", rich_help_panel=_PANEL),
]
Steps = Annotated[
    str | None,
    _Option("--batch-size", metavar="N", help="Rows a step [default: 32].", rich_help_panel=_PANEL),
]
Init = Annotated[
    str | None,
    _Option(
        "--init",
        metavar="NAME",
        help="Of the head: default, xavier, kaiming.",
        rich_help_panel=_PANEL,
    ),
]
WeightDecay = Annotated[
    str | None,
    _Option("--weight-decay", metavar="X", help="Of the optimizer.", rich_help_panel=_PANEL),
]
Momentum = Annotated[
    str | None,
    _Option("--momentum", metavar="X", help="Of sgd [default: 0.9].", rich_help_panel=_PANEL),
]
Scheduler = Annotated[
    str | None,
    _Option(
        "--scheduler", metavar="NAME", help="none, cosine, step, plateau.", rich_help_panel=_PANEL
    ),
]
EarlyStopping = Annotated[
    str | None,
    _Option(
        "--early-stopping",
        metavar="N",
        help="Stop after N epochs without a lower loss on a fifth of the training rows.",
        rich_help_panel=_PANEL,
    ),
]


def as_parameters(
    head: str, options: Mapping[str, Sequence[str] | str | None]
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
        if given is None:
            continue
        if head != "nn":
            raise UsageError(
                f"--{name.replace('_', '-')} is for networks: --head nn; --set and --grid are for "
                f"the parameters of {head}"
            )
        values = _values(name, given)
        (grid if len(values) > 1 else fixed).append(f"{name}={','.join(values)}")
    return grid, fixed


def _values(name: str, given: Sequence[str] | str) -> list[str]:
    """Give each candidate; the widths of one network are joined by commas, and so written by x."""
    if name == "hidden":
        return [text.replace(" ", "").replace(",", "x") for text in given]
    return [text.strip() for text in str(given).split(",") if text.strip()]


def words(given: str | None) -> list[str]:
    """Give the words between commas."""
    return [text.strip() for text in (given or "").split(",") if text.strip()]


def values(option: str, given: str | None) -> list[float]:
    """Give the numbers between commas.

    Raises
    ------
    UsageError
        If one is no number.
    """
    return list(numbers(option, None if given is None else [given]) or ())


def counts(option: str, given: str | None) -> list[int]:
    """Give the whole numbers between commas.

    Raises
    ------
    UsageError
        If one is none.
    """
    found = values(option, given)
    if any(value != int(value) for value in found):
        raise UsageError(f"{option} is {given!r}; expected whole numbers")
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
