"""Manifests and the data sets that keep them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featx import datasets
from featx.errors import CorruptStoreError, NotFoundError, UsageError
from featx.manifest import NO_DIGEST, Manifest


def make(paths: list[str], frame: dict[str, list[object]], *, name: str = "set") -> Manifest:
    n = len(paths)
    names = [p.encode("utf-8", "backslashreplace").ljust(16, b"\1")[:16] for p in paths]
    digest = np.array([list(name) for name in names], np.uint8)
    return Manifest(
        name=name,
        source="a folder",
        path=np.array(paths, dtype=object),
        digest=digest.reshape(n, 16),
        item=np.zeros(n, np.uint16),
        failure=np.array([None] * n, dtype=object),
        frame=pd.DataFrame(frame, index=range(n)),
    )


BASE = make(["a", "b", "c"], {"id": ["007", "8", None], "age": ["1", "2", "3"]})


def test_the_hash_is_of_rows_order_and_columns() -> None:
    same = make(["a", "b", "c"], {"id": ["007", "8", None], "age": ["1", "2", "3"]})
    assert same.hash == BASE.hash
    others = [
        BASE.take(np.array([1, 0, 2])),
        make(["a", "b", "c"], {"id": ["7", "8", None], "age": ["1", "2", "3"]}),
        make(["a", "b", "c"], {"id": ["007", "8", "None"], "age": ["1", "2", "3"]}),
        make(["a", "b", "c"], {"id": ["007", "8", None], "age": [1, 2, 3]}),
        make(["a", "b", "c"], {"ID": ["007", "8", None], "age": ["1", "2", "3"]}),
        make(["a", "b", "d"], {"id": ["007", "8", None], "age": ["1", "2", "3"]}),
    ]
    assert len({m.hash for m in [BASE, *others]}) == 7


def test_append_keeps_order_updates_and_adds() -> None:
    week2 = make(["d", "b"], {"id": ["9", "800"], "site": ["x", "y"]})
    both = BASE.append(week2)
    assert both.path.tolist() == ["a", "b", "c", "d"]
    assert both.frame["id"].tolist()[:2] == ["007", "800"]
    assert both.frame["age"].tolist()[:3] == ["1", "2", "3"]
    assert pd.isna(both.frame["age"][3])
    assert both.frame["site"].tolist()[1] == "y"
    assert both.append(week2).hash == both.hash


def test_append_keeps_rows_that_name_one_image_twice() -> None:
    raters = make(["a", "a", "b"], {"score": ["1", "2", "3"]})
    both = raters.append(make(["a", "a", "a", "c"], {"score": ["1", "20", "4", "5"]}))
    assert both.path.tolist() == ["a", "a", "b", "a", "c"]
    assert both.frame["score"].tolist() == ["1", "20", "3", "4", "5"]
    assert raters.append(raters).hash == raters.hash


def test_append_needs_no_columns() -> None:
    assert len(make(["a", "b"], {}).append(make(["b", "c"], {}))) == 3


def test_round_trip_through_the_cache(tmp_path: Path) -> None:
    manifest = make(["a b", "ü\n", "😀"], {"id": ["007", None, "x"], "n": [1, 2, 3]})
    failure = np.array([None, "no such file", None], dtype=object)
    digest = manifest.digest.copy()
    digest[1] = np.frombuffer(NO_DIGEST, np.uint8)
    manifest = Manifest(
        "set", "t.csv", manifest.path, digest, manifest.item, failure, manifest.frame
    )
    datasets.save(tmp_path, manifest)
    back = datasets.load(tmp_path, "set")
    assert back.hash == manifest.hash
    assert back.source == "t.csv"
    assert back.failure.tolist() == [None, "no such file", None]
    assert back.frame["n"].tolist() == [1, 2, 3]


def test_saving_again_writes_nothing(tmp_path: Path) -> None:
    datasets.save(tmp_path, BASE)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    datasets.save(tmp_path, BASE)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_manifests_are_immutable_and_the_head_moves(tmp_path: Path) -> None:
    datasets.save(tmp_path, BASE)
    datasets.save(tmp_path, BASE.take(np.array([0])))
    assert len(list((tmp_path / "datasets" / "set").glob("*.parquet"))) == 2
    assert len(datasets.load(tmp_path, "set")) == 1
    assert [h.rows for h in datasets.list_heads(tmp_path)] == [1]


def test_cells_of_several_types_become_text(tmp_path: Path) -> None:
    datasets.save(tmp_path, make(["a", "b"], {"id": [7, "x"]}))
    assert datasets.load(tmp_path, "set").frame["id"].tolist() == ["7", "x"]


def test_an_unknown_data_set_names_the_nearest_and_the_path(tmp_path: Path) -> None:
    datasets.save(tmp_path, BASE)
    with pytest.raises(NotFoundError, match="did you mean 'set'") as error:
        datasets.load(tmp_path, "sett")
    assert str(tmp_path.absolute()) in str(error.value)


def test_an_unknown_data_set_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds none: run `featx extract FOLDER") as error:
        datasets.load(tmp_path, "photos")
    assert str(tmp_path.absolute()) in str(error.value)
    for name in ("faces", "x-rays"):
        datasets.save(tmp_path, replace(BASE, name=name))
    with pytest.raises(NotFoundError, match=r"unknown data set 'photos'; .* holds faces, x-rays"):
        datasets.load(tmp_path, "photos")
    for i in range(30):
        datasets.save(tmp_path, replace(BASE, name=f"set-{i:02d}"))
    with pytest.raises(NotFoundError, match=r"set-18 and 12 more$"):
        datasets.load(tmp_path, "photos")


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"[1]", b'{"manifest": 3}'])
@pytest.mark.parametrize("victim", ["head.json", "*.parquet", "last.json"])
def test_damage_is_named_and_mended_by_the_next_save(
    tmp_path: Path, victim: str, damage: bytes
) -> None:
    def save_all() -> None:
        datasets.save(tmp_path, BASE)
        datasets.remember(tmp_path, datasets.Last("set", ("a.zarr",)))

    save_all()
    (file,) = tmp_path.rglob(victim)
    file.write_bytes(damage)
    with pytest.raises(CorruptStoreError, match="run the same extraction again"):
        datasets.recall(tmp_path) if victim == "last.json" else datasets.load(tmp_path, "set")
    assert list(datasets.list_broken(tmp_path)) == (["set"] if victim == "head.json" else [])
    save_all()
    assert datasets.load(tmp_path, "set").hash == BASE.hash
    assert datasets.recall(tmp_path).data == "set"


def test_every_flipped_bit_of_a_manifest_is_found(tmp_path: Path) -> None:
    datasets.save(tmp_path, BASE)
    (file,) = tmp_path.rglob("*.parquet")
    good = file.read_bytes()
    for at in range(0, len(good), 7):
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(CorruptStoreError):
            datasets.load(tmp_path, "set")


def test_a_column_called_as_featxs_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rename it"):
        datasets.save(tmp_path, make(["a"], {"featx:path": ["b"]}))


def test_names_are_safe_on_every_system() -> None:
    assert datasets.safe_name("my photos/2024: *best*") == "my-photos-2024-best"
    assert datasets.safe_name("größe") == "größe"
    with pytest.raises(UsageError, match="--name"):
        datasets.safe_name("../..")


def test_the_last_extraction(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="featx extract"):
        datasets.recall(tmp_path)
    last = datasets.Last("set", ("a.zarr", "b.zarr"))
    datasets.remember(tmp_path, last)
    datasets.remember(tmp_path, last)
    assert datasets.recall(tmp_path) == last
