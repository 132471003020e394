"""A newcomer's path, from a clone to the report of a folder of photos."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.shared
def test_a_folder_of_photos_becomes_a_report(tmp_path: Path, shared: Path) -> None:
    photos = tmp_path / "my photos"
    for name in ("dog", "giraffe", "house"):
        (photos / name).mkdir(parents=True)
        for image in sorted((shared / "data" / "pacs_cartoon" / name).iterdir())[:25]:
            shutil.copy(image, photos / name)
    weights = shared / "weights" / "mobilenet_v2-b0353104.pth"
    done = subprocess.run(
        ["bash", str(ROOT / "examples" / "newcomer.sh"), str(photos), str(weights)],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "FEATX_CACHE"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "runs" / "first" / "report.html").read_text(encoding="utf-8")
    assert "on 75 images that the head had not seen" in report
    assert "data:image/jpeg;base64," in report
