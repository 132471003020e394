"""The blocks of a Markdown page, and a folder in which a reader could run them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

import featx

ROOT = Path(featx.__file__).parents[1]

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


def environment(
    folder: Path, shared: Path, featx: Sequence[str] = (sys.executable, "-m", "featx")
) -> Mapping[str, str]:
    """Give an environment in which featx is a command and MobileNetV2 was downloaded before."""
    downloaded = folder / "torch" / "hub" / "checkpoints"
    downloaded.mkdir(parents=True)
    shutil.copy(shared / "weights" / "mobilenet_v2-b0353104.pth", downloaded)
    scripts = folder / "bin"
    scripts.mkdir()
    command = scripts / "featx"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(featx)} "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "FEATX_CACHE"}
    return kept | {
        "PATH": os.pathsep.join([str(scripts), kept["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "TORCH_HOME": str(folder / "torch"),
    }


RUN = {"sh": ["sh", "-euc"], "python": [sys.executable, "-W", "error", "-c"]}
"""What runs a block of each language that is run; the block comes last."""


def run_block(
    block: Block,
    folder: Path,
    variables: Mapping[str, str],
    how: Mapping[str, Sequence[str]] = RUN,
) -> str:
    """Run a block as a reader would, and give what it printed; it has to end well."""
    code = block.code
    for default, first in FIRST_TRAINING.items():
        code = code.replace(default, first)
    done = subprocess.run(
        [*how[block.language], code],
        cwd=folder,
        env=variables,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, f"{code}\n\n{done.stdout}\n{done.stderr}"
    return done.stdout


def commands() -> set[str]:
    """Give the name of every command of featx."""
    import typer

    from featx.cli.app import app

    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
