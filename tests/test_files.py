"""A file that is there once: the first writer of several wins, with or without hard links."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from featx._files import write_new


def _no_links(self: Path, target: Path) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_of_several_writers_one_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", _no_links)
    path = tmp_path / "deep" / "file"
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: write_new(path, bytes([i]) * 1000), range(8)))
    assert sum(won) == 1
    assert path.read_bytes() == bytes([won.index(True)]) * 1000
    assert list(path.parent.iterdir()) == [path]


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert not write_new(path, b"new")
    assert path.read_bytes() == b"old"
