"""The reference of the Python functions can be built, and holds every public name."""

from __future__ import annotations

import html
import inspect
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from helpers_docs import ROOT

MODULES = {"featx": "featx", "featx.plots": "featx/plots", "featx.reporting": "featx/reporting"}


def _commands(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^python .*-m pdoc [^#\n]*[^#\s]", text, flags=re.MULTILINE)


COMMAND = _commands(ROOT / "CONTRIBUTING.md")


def test_the_pages_name_one_command_for_it() -> None:
    assert len(COMMAND) == 1
    assert _commands(ROOT / "docs" / "README.md") == COMMAND


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    python, *words = shlex.split(COMMAND[0])
    assert (python, words.count("docs/_build")) == ("python", 1)
    words[words.index("docs/_build")] = str(folder)
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def _words(text: str) -> str:
    """Give the letters and digits of a docstring alone: what markup cannot change."""
    return re.sub(r"[\W_]+", "", text)


def _shown(page: str) -> str:
    """Give the letters and digits that a reader of HTML sees."""
    return _words(html.unescape(re.sub(r"<[^>]*>", "", page)))


@pytest.mark.slow
def test_nothing_but_the_public_modules_is_described(built: Path) -> None:
    pages = {str(page.relative_to(built).with_suffix("")) for page in built.rglob("*.html")}
    assert pages == {"index", *MODULES.values()}


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_there_with_its_docstring(built: Path, module: str) -> None:
    described = (built / f"{MODULES[module]}.html").read_text(encoding="utf-8")
    names = import_module(module).__all__
    assert names
    for name in names:
        doc = inspect.getdoc(getattr(import_module(module), name))
        assert doc, name
        part = re.search(rf'<section id="{name}">.*?</section>', described, flags=re.DOTALL)
        assert part, name
        summary, _, rest = doc.partition("\n\n")
        assert _words(summary) in _shown(part[0]), name
        for parameter in re.findall(r"^(\w[\w, ]*)\n    ", rest, flags=re.MULTILINE):
            assert _words(parameter) in _shown(part[0]), (name, parameter)


@pytest.mark.slow
def test_the_first_page_leads_to_the_others(built: Path) -> None:
    described = (built / "featx.html").read_text(encoding="utf-8")
    for page in MODULES.values():
        assert page == "featx" or f'href="{page}.html' in described
