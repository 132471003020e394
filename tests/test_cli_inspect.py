"""``featx inspect``: its words, its JSON, and small pictures where a terminal shows them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers_cli import featx as command
from helpers_photos import photo

import featx
from featx.inspection.words import lines


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    return photo(tmp_path / "noise.jpg", (120, 90, 60), 0, size=240)


def test_the_command(noise: Path, tmp_path: Path) -> None:
    words = ["--backbone", "squeezenet1_1", "--weights", "random", "--image-size", "64"]
    out = ["-o", str(tmp_path / "out"), "--maps", "2", "--layer", "features.3.squeeze"]
    result = command("inspect", str(noise), *words, *out)
    assert result.exit_code == 0, result.stderr
    assert "no classes: random weights" in result.stdout
    assert "noise-squeezenet1_1-features.3.squeeze-before.png: before, black" in result.stdout
    assert "\x1b" not in result.stdout
    assert "preprocessing: " in result.stderr
    value = json.loads(command("inspect", str(noise), *words, *out, "--json").stdout)
    assert value["layer"] == "features.3.squeeze"
    assert value["operation"] == "ReLU"
    assert [file["shows"] for file in value["files"]] == ["filters", "before", "after"]
    assert all(Path(file["path"]).is_file() for file in value["files"])
    wrong = command("inspect", str(noise), *words, "--layer", "features.2")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_images_that_cannot_be_read_are_said(
    noise: Path, tmp_path: Path, as_json: list[str]
) -> None:
    bad = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for path in bad:
        path.write_bytes(noise.read_bytes()[:500])
    words = ["--backbone", "squeezenet1_1", "--weights", "random", "--image-size", "64"]
    words += ["-o", str(tmp_path / "out"), *as_json]
    one = command("inspect", str(bad[0]), *words)
    assert one.exit_code == 1
    assert f"featx: no image can be read: {bad[0]}: truncated" in one.stderr
    both = command("inspect", *map(str, bad), *words)
    assert both.exit_code == 1
    lines = both.stderr.splitlines()
    for path in bad:
        assert any(line.startswith(f"{path}: truncated") for line in lines)
    assert lines[-1].startswith(f"featx: none of the 2 images can be read; the first: {bad[0]}: ")
    some = command("inspect", str(bad[0]), str(noise), *words)
    assert some.exit_code == 0
    if as_json:
        assert [one["path"] for one in json.loads(some.stdout)["failed"]] == [str(bad[0])]
    else:
        assert f"failed: {bad[0]}: truncated" in " ".join(some.stdout.split())


def test_lines_fit_a_terminal() -> None:
    top = [{"category": "c" * 50, "probability": 1.0, "index": 0}]
    value = {
        "backbone": "vgg16", "weights": "w", "layer": "features.0", "filters": 64,
        "input_channels": 3, "kernel": [3, 3], "groups": 1, "through": [], "instead": None,
        "nonlinearity": "features.1", "operation": "ReLU", "map_size": [224, 224],
        "why_no_top": None, "images": [{"path": "a.jpg", "item": 1, "top": top}], "failed": [],
    }  # fmt: skip
    text = list(lines(value))
    assert max(map(len, text)) < 80
    assert text[-2:] == ["a.jpg, item 1", f"  100.0 %  {'c' * 27}...  {'#' * 24}"]


COLOURS = """
import io, sys
import numpy as np
from featx.cli.preview import half_blocks

class Terminal(io.StringIO):
    encoding = sys.argv[1]
    def isatty(self):
        return True

picture = np.zeros((3, 200, 3), np.uint8)
picture[:, :100] = 255, 0, 0
sys.stdout.buffer.write(half_blocks(Terminal(), [picture, picture]).encode())
"""


def preview(encoding: str = "utf-8", **more: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLORTERM", "TERM")}
    root = str(Path(featx.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", COLOURS, encoding],
        env={**kept, "PYTHONPATH": root, **more},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def test_previews_need_a_terminal_with_colours() -> None:
    text = preview(TERM="xterm-256color", COLORTERM="truecolor")
    assert "38;2;255;0;0" in text
    assert text.count("▀") == 2 * 38
    assert preview(TERM="xterm-256color", NO_COLOR="1") == ""
    assert preview(TERM="dumb") == ""
    assert preview("ascii", TERM="xterm-256color", COLORTERM="truecolor") == ""
