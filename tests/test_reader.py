"""A reader of the person's own: found where it lies, and part of what a vector is."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from featx import extraction
from featx._imports import marked_reader, reader_function
from featx.errors import MissingDependencyError, UsageError

SOURCE = """
import numpy as np
def read(data):
    return np.full((32, 32, 3), VALUE, np.uint8)
def needs(data):
    import no_such_package_at_all
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "myreader_here", raising=False)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.raw").write_bytes(b"a")
    write(tmp_path, 1)
    return tmp_path


def write(folder: Path, value: int) -> None:
    source = SOURCE.replace("VALUE", str(value))
    (folder / "myreader_here.py").write_text(source, encoding="utf-8")


def run(folder: Path, reader: str = "myreader_here:read") -> extraction.Extraction:
    (done,) = extraction.extract(
        folder / "photos", backbone="squeezenet1_1", weights="random", pools=["avg"],
        image_size=32, precision="fp32", reader=reader, cache=folder / "cache",
    )  # fmt: skip
    return done


def test_another_version_of_a_reader_is_another_recipe(folder: Path) -> None:
    first = run(folder)
    assert (first.computed, run(folder).computed) == (1, 0)
    write(folder, 200)
    assert run(folder).computed == 0, "the version that was imported still runs"
    importlib.invalidate_caches()
    del sys.modules["myreader_here"]
    second = run(folder)
    assert second.computed == 1
    assert second.store != first.store
    write(folder, 1)
    del sys.modules["myreader_here"]
    again = run(folder)
    assert (again.computed, again.store) == (0, first.store)


def test_a_package_that_is_missing_is_not_the_images_fault(folder: Path) -> None:
    with pytest.raises(MissingDependencyError, match="no_such_package_at_all"):
        run(folder, "myreader_here:needs")


def test_a_name_with_its_mark_names_the_same_function(folder: Path) -> None:
    marked = marked_reader("myreader_here:read")
    assert marked.startswith("myreader_here:read@")
    assert reader_function(marked) is reader_function("myreader_here:read")
    assert marked_reader(marked) == marked
    assert marked_reader("builtins:len") == "builtins:len"
    assert marked_reader("") == ""


def test_a_reader_that_is_not_there_says_where_it_was_looked_for(folder: Path) -> None:
    with pytest.raises(UsageError, match="no_reader_here") as error:
        run(folder, "no_reader_here:read")
    assert str(folder) in str(error.value)
