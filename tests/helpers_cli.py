"""Stand-ins for workflows, so that the command line is tested alone."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from featx.cli.app import app

EXTRACTION = {
    "data": "photos",
    "features": "vgg16:features:flatten@224",
    "store": "cache/vgg16.zarr",
    "rows": 40,
    "dim": 25088,
    "computed": 38,
    "derived": 0,
    "reused": 2,
    "failed": [],
    "columns": ["label"],
    "roles": {"label": {"role": "classification", "least": 5}},
    "seconds": 1.25,
    "images_per_second": 30.4,
    "timing": {"bound_by": "forward"},
    "where_time_goes": "forward 71 % busy, decode 22 %, write 7 %: bound by forward",
    "notes": [],
}


class Workflow:
    """Answers every call with ``answer`` (raised where it is an exception), keeps the arguments."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.args: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.args, self.options = args, options
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(**options) if callable(self.answer) else self.answer


def replace_module(monkeypatch: pytest.MonkeyPatch, name: str, **values: Any) -> None:
    """Let ``from featx.<name> import ...`` find ``values`` and nothing else."""
    module = ModuleType(f"featx.{name}")
    vars(module).update(values)
    monkeypatch.setitem(sys.modules, f"featx.{name}", module)


def featx(*args: str, **options: Any) -> Result:
    """Run one command in this process."""
    return CliRunner().invoke(app, list(args), prog_name="featx", **options)
