"""Every block of the README runs, in the order in which a reader meets them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

import featx

ROOT = Path(featx.__file__).parents[1]
README = ROOT / "README.md"
INSTALL = [
    'pip install -e ".[demo]" && featx demo',
    'pip install -e ".[test]" && pytest',
]
"""Run as they stand by .ci/run, in fresh environments; not here."""

FIRST_TRAINING = {
    "--backbone mobilenet_v2": "--backbone mobilenet_v2 --weights IMAGENET1K_V1",
    'backbone="mobilenet_v2"': 'backbone="mobilenet_v2", weights="IMAGENET1K_V1"',
    'Embedder("mobilenet_v2"': 'Embedder("mobilenet_v2", weights="IMAGENET1K_V1"',
}
"""torchvision's default for MobileNetV2 is its second training; the first lies in ../shared."""


class Block(NamedTuple):
    language: str
    code: str


def blocks(text: str) -> list[Block]:
    """Give the fenced blocks of a Markdown text."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(language, code.strip()) for language, code in found]


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
    import typer

    from featx.cli.app import app

    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    named = re.findall(r"`featx ([a-z]+)", README.read_text(encoding="utf-8"))
    assert set(named) <= known
    assert known <= set(re.findall(r"[a-z]+", README.read_text(encoding="utf-8")))


def lay_out(folder: Path, shared: Path) -> None:
    """Put what the README speaks of into ``folder``: photos, new photos, faces, weights."""
    cartoons = shared / "data" / "pacs_cartoon"
    for name in ("dog", "elephant", "giraffe"):
        images = sorted((cartoons / name).iterdir())
        for into, chosen in (("photos", images[:12]), ("new-photos", images[12:14])):
            (folder / into / name).mkdir(parents=True)
            for image in chosen:
                shutil.copy(image, folder / into / name)
    faces = shared / "data" / "utkface_2000"
    table = pd.read_csv(faces / "ages.csv").iloc[:50]
    for path in table["path"]:
        (folder / "faces" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(faces / path, folder / "faces" / path)
    table.iloc[:40].to_csv(folder / "faces" / "ages.csv", index=False)
    table.iloc[40:, :1].to_csv(folder / "faces" / "next-week.csv", index=False)
    shutil.copy(shared / "weights" / "vgg16_features.pth", folder)


def environment(folder: Path, shared: Path) -> Mapping[str, str]:
    """Give an environment in which featx is a command and MobileNetV2 was downloaded before."""
    downloaded = folder / "torch" / "hub" / "checkpoints"
    downloaded.mkdir(parents=True)
    shutil.copy(shared / "weights" / "mobilenet_v2-b0353104.pth", downloaded)
    scripts = folder / "bin"
    scripts.mkdir()
    command = scripts / "featx"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m featx "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "FEATX_CACHE"}
    return kept | {
        "PATH": os.pathsep.join([str(scripts), kept["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "TORCH_HOME": str(folder / "torch"),
    }


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(os.name == "nt", reason="the blocks of sh need a POSIX shell")
def test_every_other_block_runs(tmp_path: Path, shared: Path) -> None:
    lay_out(tmp_path, shared)
    variables = environment(tmp_path, shared)
    run = {"sh": ["sh", "-euc"], "python": [sys.executable, "-W", "error", "-c"]}
    for language, code in BLOCKS[2:]:
        for default, first in FIRST_TRAINING.items():
            code = code.replace(default, first)
        done = subprocess.run(
            [*run[language], code],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, f"{code}\n\n{done.stdout}\n{done.stderr}"
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 6
    assert pd.read_csv(tmp_path / "ages.csv")["prediction"].between(0, 120).all()
    assert len(pd.read_csv(tmp_path / "photos-features.csv")) == 36
    described = json.loads((tmp_path / "which-animal.onnx.json").read_text(encoding="utf-8"))
    assert (tmp_path / described["graph"]).is_file()
    assert described["classes"] == ["dog", "elephant", "giraffe"]
