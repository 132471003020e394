"""Every block of every guide runs, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers_docs import ROOT, RUN, blocks, commands, environment, lay_out, run_block

DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "guides").glob("*.md"))
NAMES = [page.stem for page in PAGES]
SHOWN = {"console", "text"}
"""What cannot run in a test (a GPU, a download), or is no command: read, not run."""
WARM = str(Path(__file__).with_name("warm.py"))
MOST_LINES = 150
MOST_SHOWN = 12

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _places(page: Path) -> set[str]:
    """Give the anchors of a page, as they are made of its headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", _text(page)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


def _leads_nowhere(page: Path, link: str) -> bool:
    path, _, place = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or bool(place and place not in _places(target))


def _said(page: Path) -> list[str]:
    """Give the commands of featx that a page names, each with what follows in its line."""
    text = _text(page)
    inline = re.findall(r"`featx ([a-z]+[^`]*)`", _FENCED.sub("", text))
    lines = "\n".join(block.code for block in blocks(text) if block.language != "python")
    return inline + re.findall(r"^featx (.+)$", lines.replace("\\\n", " "), flags=re.MULTILINE)


def test_the_index_lists_every_page() -> None:
    listed = {link for link in _LINK.findall(_text(DOCS / "README.md")) if "guides/" in link}
    assert {f"guides/{page.name}" for page in PAGES} == listed


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_blocks_are_run_or_are_said_not_to_be(page: Path) -> None:
    found = blocks(_text(page))
    assert {block.language for block in found} <= set(RUN) | SHOWN
    assert _text(page).count("\n```") == 2 * len(found)
    assert any(block.language in RUN for block in found)


def test_few_blocks_are_not_run() -> None:
    found = [block for page in PAGES for block in blocks(_text(page))]
    assert sum(block.language in SHOWN for block in found) <= MOST_SHOWN


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_pages_are_short(page: Path) -> None:
    assert len(_text(page).splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", [DOCS / "README.md", *PAGES], ids=["index", *NAMES])
def test_links_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(_FENCED.sub("", _text(page)))
    inside = [link for link in links if not link.startswith("https://")]
    assert inside
    assert [link for link in inside if _leads_nowhere(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_options_exist(page: Path) -> None:
    import typer

    from featx.cli.app import app

    group = typer.main.get_command(app)
    known = commands()
    for said in _said(page):
        name = said.split()[0]
        assert name in known
        command = group.commands[name]  # type: ignore[attr-defined]
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        assert set(re.findall(r"(?<!\S)--[a-z][a-z-]*", said)) <= options, said


def _grow_old(folder: Path) -> None:
    """Date images an hour back, as a reader's are: where the newest lie is not kept by featx."""
    for path in folder.rglob("*.jpg"):
        then = path.stat().st_mtime - 3600
        os.utime(path, (then, then))


def _messages() -> list[str]:
    """Give the messages that the page on errors quotes: each part that is always the same."""
    rows = re.findall(
        r"^\| (`.*?) \|", _text(DOCS / "guides" / "troubleshooting.md"), flags=re.MULTILINE
    )
    quoted = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    return [part.strip(" ,;") for message in quoted for part in message.split("\u2026")]


def test_messages_that_are_explained_are_those_of_the_code() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "featx").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", sources).replace('unknown_name("', "unknown ")
    parts = [part for part in _messages() if part]
    assert len(parts) > 30
    assert [part for part in parts if part not in said] == []


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The start of a command line that runs the rest where everything has been imported."""
    place = str(tmp_path_factory.mktemp("warm") / "socket")
    with subprocess.Popen(
        [sys.executable, "-W", "error", WARM, "serve", place],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield [sys.executable, "-IS", WARM, "run", place]


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.xdist_group("guides")  # one process that is warm is enough
@pytest.mark.skipif(os.name == "nt", reason="the blocks of sh need a POSIX shell")
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_runs(page: Path, tmp_path: Path, shared: Path, warm: list[str]) -> None:
    lay_out(tmp_path, shared)
    _grow_old(tmp_path)
    variables = environment(tmp_path, shared, [*warm, "featx"])
    how = {**RUN, "python": [*warm, "python"]}
    for block in blocks(_text(page)):
        if block.language in RUN:
            run_block(block, tmp_path, variables, how)
