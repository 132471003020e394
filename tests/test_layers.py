"""Modules import only from layers below their own; this table is what the layers are."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import featx

PACKAGE = Path(featx.__file__).parent

# A module imports from the rows above its own, never from its own row. A package (sources,
# store ...) counts as one module; "featx" is __init__.py.
LAYERS = {
    "0 foundations": [
        "errors _types _quiet _html",
        "_buckets _cores _imports _memory _visible _words",
        "_objects",
        "_lease",
        "_files",
    ],
    "1 pure values": [
        "augmentation views",
        "manifest recipe pooling mapping folds targets products solvers paired twins suspects",
        "scoreboard cautions metrics modelinfo provenance costs confounding training",
        "card tallies",
        "scores leaks tiles",
    ],
    "2 adapters": [
        (
            "sources images augment tokens datasets backbones store heads artifact demo tables "
            "plots cluster"
        ),
    ],
    "3 engines": ["forward gram catalog runs", "evaluate features embedding", "tuning"],
    "4 workflows": [
        "preparing surveying suggestions commands",
        "export problem embedder extraction drift rebuild",
        "manage doubts planning inspection origin",
        "result",
        "fitting model",
        "prediction comparison curves deploy finetuning",
        "probing pipeline",
        "reporting",
    ],
    "5 shells": ["cli", "featx", "__main__"],
}
ROWS = [row.split() for rows in LAYERS.values() for row in rows]
ROW = {module: number for number, row in enumerate(ROWS) for module in row}
PURE = [module for row in LAYERS["1 pure values"] for module in row.split()]
OUTSIDE = {"torch", "torchvision", "timm", "zarr", "PIL", "tifffile", "typer", "rich", "matplotlib"}
"""What touches the outside: not for a pure value."""

TORCH = {
    "augment",
    "backbones",
    "forward",
    "demo",
    "embedding",
    "gram",
    "heads",
    "tuning",
    "finetuning",
}
"""The modules that may import torch, at their top or inside a function."""


def module_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "featx" if first == "__init__" else first


def imported(file: Path) -> Iterator[str]:
    """Give the dotted name of everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import; write the whole name"
            name = node.module or ""
            yield from (f"featx.{a.name}" for a in node.names) if name == "featx" else (name,)


def imports() -> dict[str, set[str]]:
    """Give, for each module of featx, the dotted names that it imports."""
    found: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        found.setdefault(module_of(file), set()).update(imported(file))
    return found


IMPORTS = imports()


def own(module: str) -> set[str]:
    """Give the modules of featx that ``module`` imports, itself left out."""
    parts = (name.split(".") for name in IMPORTS[module])
    names = {p[1] if len(p) > 1 else "featx" for p in parts if p[0] == "featx"}
    return names - {module}


def test_the_table_names_every_module_once() -> None:
    twice = [name for name, n in Counter(m for row in ROWS for m in row).items() if n > 1]
    assert not twice
    assert sorted(set(IMPORTS) - set(ROW)) == [], "modules without a layer: give them one here"
    assert sorted(set(ROW) - set(IMPORTS)) == [], "names in the table that are no module"


@pytest.mark.parametrize("module", sorted(IMPORTS))
def test_imports_go_downwards(module: str) -> None:
    upwards = sorted(other for other in own(module) if ROW[other] >= ROW[module])
    assert not upwards, f"{module} imports {', '.join(upwards)}, not from a row above its own"


def test_adapters_do_not_know_each_other() -> None:
    assert len(LAYERS["2 adapters"]) == 1


@pytest.mark.parametrize("module", PURE)
def test_pure_values_touch_nothing_outside(module: str) -> None:
    assert not {name.split(".")[0] for name in IMPORTS[module]} & OUTSIDE


def test_torch_is_imported_by_few() -> None:
    users = {
        module
        for module, names in IMPORTS.items()
        if {name.split(".")[0] for name in names} & {"torch", "torchvision", "timm"}
    }
    assert users <= TORCH
