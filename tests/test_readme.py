"""Every block of the README runs, in the order in which a reader meets them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from helpers_docs import ROOT, blocks, commands, environment, lay_out, run_block

README = ROOT / "README.md"
INSTALL = [
    'pip install -e ".[demo]" && featx demo',
    'pip install -e ".[test]" && pytest',
]
"""Run as they stand by .ci/run, in fresh environments; not here."""

BLOCKS = blocks(README.read_text(encoding="utf-8"))


def test_the_first_two_blocks_are_the_two_commands() -> None:
    assert [block.code for block in BLOCKS[:2]] == INSTALL


def test_every_block_is_one_that_a_test_runs() -> None:
    assert {block.language for block in BLOCKS} == {"sh", "python"}
    assert README.read_text(encoding="utf-8").count("\n```") == 2 * len(BLOCKS)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    inside = [link for link in links if not link.startswith("https://")]
    assert len(inside) > 3
    assert [link for link in inside if not (ROOT / link).exists()] == []


def test_commands_named_in_the_text_exist() -> None:
    known = commands()
    named = re.findall(r"`featx ([a-z]+)", README.read_text(encoding="utf-8"))
    assert set(named) <= known
    assert known <= set(re.findall(r"[a-z]+", README.read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(os.name == "nt", reason="the blocks of sh need a POSIX shell")
def test_every_other_block_runs(tmp_path: Path, shared: Path) -> None:
    lay_out(tmp_path, shared)
    variables = environment(tmp_path, shared)
    for block in BLOCKS[2:]:
        run_block(block, tmp_path, variables)
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 6
    assert pd.read_csv(tmp_path / "ages.csv")["prediction"].between(0, 120).all()
    assert len(pd.read_csv(tmp_path / "photos-features.csv")) == 36
    described = json.loads((tmp_path / "which-animal.onnx.json").read_text(encoding="utf-8"))
    assert (tmp_path / described["graph"]).is_file()
    assert described["classes"] == ["dog", "elephant", "giraffe"]
