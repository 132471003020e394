"""Manifests of many rows: the quick ways give what the plain ones gave, and what was written stays.

What is called plain here is how featx 0.1.0 did it at first: caches hold what that wrote.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_manifest import BASE, make

from featx import datasets, manifest
from featx.manifest import Manifest

GOLDEN = {"base": "c99110d6a5f120d00fcc6d569e2eb4ad", "odd": "1da24569a7a2555928076897135dd994"}
COLUMNS = {
    "id": ["007", None, "x", ""],
    "n": [1, 2, 3, 4],
    "f": [1.5, float("nan"), 3.0, 1e300],
    "b": [True, False, True, True],
    "mixed": [1, "1", None, 2.0],
    "t": pd.to_datetime(["2020-01-01", None, "2021-02-03", "2022-02-03"]),
    "none": [None] * 4,
}


def odd() -> Manifest:
    plain = make(["a", "ü\n", "\udc80b", "c"], COLUMNS)
    item = np.array([0, 1, 2, 65535], np.uint16)
    failure = np.array([None, "gone", None, None], object)
    return Manifest("set", "a folder", plain.path, plain.digest, item, failure, plain.frame)


def plain_hash(one: Manifest) -> str:
    h = blake2b(digest_size=16)
    h.update(np.ascontiguousarray(one.digest).tobytes())
    h.update(np.ascontiguousarray(one.item, dtype="<u2").tobytes())
    columns = {"": one.path, "!": one.failure} | {
        f"={name}\x1d{manifest._kind(one.frame[name])}": one.frame[name].to_numpy(dtype=object)
        for name in one.frame
    }
    for name, values in columns.items():
        h.update(f"\x1d{name}".encode("utf-8", "backslashreplace"))
        for value, empty in zip(values, pd.isna(values), strict=True):
            text = "\x1f" if empty else f"\x1e{value}"
            h.update(text.encode("utf-8", "backslashreplace"))
    return h.hexdigest()


def plain_append(one: Manifest, other: Manifest) -> Manifest:
    keys = one._keys() + other._keys()
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    group = np.array([number[key] for key in keys], dtype=np.int64)
    first = np.unique(group, return_index=True)[1]
    frame = pd.concat([one.frame, other.frame], ignore_index=True).astype(object)
    return Manifest(
        name=one.name,
        source=other.source,
        path=np.concatenate([one.path, other.path])[first],
        digest=np.concatenate([one.digest, other.digest])[first],
        item=np.concatenate([one.item, other.item])[first],
        failure=np.concatenate([one.failure, other.failure])[first],
        frame=frame.groupby(group).last().reset_index(drop=True),
    )


def test_the_hash_is_what_it_always_was() -> None:
    assert {"base": BASE.hash, "odd": odd().hash} == GOLDEN
    assert {"base": plain_hash(BASE), "odd": plain_hash(odd())} == GOLDEN


CELLS = st.one_of(st.none(), st.text(max_size=3), st.integers(-9, 9), st.floats(width=32))
TABLES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from([0, 0, 1]), CELLS, CELLS), max_size=12
)


def table(rows, columns: tuple[str, str] = ("x", "y")) -> Manifest:
    made = make([row[0] for row in rows], {})
    frame = {name: pd.Series([row[2 + i] for row in rows]) for i, name in enumerate(columns)}
    item = np.array([row[1] for row in rows], np.uint16)
    failure = np.array(["gone" if row[0] == "d" else None for row in rows], object)
    digest = made.digest.reshape(-1, 16).copy()
    digest[failure == "gone"] = 0
    frame = pd.DataFrame(frame, index=range(len(rows)))
    return Manifest("set", "a table", made.path, digest, item, failure, frame)


@given(TABLES, st.integers(1, 5))
def test_the_hash_is_that_of_its_cells_one_by_one(rows, cells) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "_CELLS", cells)
        assert table(rows).hash == plain_hash(table(rows))


@pytest.mark.filterwarnings("ignore:The behavior of DataFrame concatenation:FutureWarning")
@given(TABLES, TABLES, st.sampled_from([("x", "y"), ("y", "z"), ("u", "v")]))
def test_append_gives_what_grouping_all_rows_gave(ours, theirs, columns) -> None:
    one, other = table(ours), table(theirs, columns)
    got, expected = one.append(other), plain_append(one, other)
    assert got.hash == expected.hash
    for name in ("path", "digest", "item", "failure"):
        assert np.array_equal(getattr(got, name), getattr(expected, name))
        assert getattr(got, name).dtype == getattr(expected, name).dtype
    assert list(got.frame) == list(expected.frame)
    for name in got.frame:
        mine, theirs_ = got.frame[name], expected.frame[name]
        assert mine.dtype == theirs_.dtype == object
        assert (mine.isna() == theirs_.isna()).all()
        assert mine.dropna().map(repr).tolist() == theirs_.dropna().map(repr).tolist()


def test_append_changes_neither_side() -> None:
    week2 = make(["b", "d"], {"id": ["800", "9"], "site": ["x", "y"]})
    before = BASE.hash, week2.hash
    BASE.append(week2)
    assert (BASE.hash, week2.hash) == before


def plain_save(cache: Path, one: Manifest) -> None:
    digests = [row.tobytes() for row in one.digest]
    columns = {
        "featx:path": pa.array(one.path.tolist(), pa.string()),
        "featx:digest": pa.array(digests, pa.binary(16)),
        "featx:item": pa.array(one.item.astype(np.uint16)),
        "featx:failure": pa.array(one.failure.tolist(), pa.string()),
    }
    for name in one.frame.columns:
        columns[str(name)] = datasets._column(one.frame[name])
    folder = cache / "datasets" / one.name
    folder.mkdir(parents=True)
    file = folder / f"{one.hash}.parquet"
    pq.write_table(pa.table(columns), file)
    written = blake2b(file.read_bytes(), digest_size=16).hexdigest()
    head = {"manifest": one.hash, "rows": len(one), "source": one.source, "bytes": written}
    (folder / "head.json").write_text(json.dumps(head))


@pytest.mark.parametrize("rows", [[], [0], [0, 1, 3]])
def test_what_an_older_featx_wrote_is_read_and_left_alone(tmp_path: Path, rows) -> None:
    one = odd().take(np.array(rows, dtype=np.int64))
    plain_save(tmp_path / "old", one)
    datasets.save(tmp_path / "new", one)
    old, new = (datasets.load(tmp_path / side, "set") for side in ("old", "new"))
    for name in ("path", "digest", "item", "failure"):
        mine, theirs = getattr(new, name), getattr(old, name)
        assert mine.dtype == theirs.dtype == getattr(one, name).dtype
        assert mine.tolist() == theirs.tolist() == getattr(one, name).tolist()
        assert mine.flags.writeable
    assert old.hash == new.hash
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "old").rglob("*")}
    datasets.save(tmp_path / "old", one)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "old").rglob("*")} == before


def test_a_manifest_in_several_row_groups_keeps_its_digests(tmp_path: Path) -> None:
    n = 2**20 + 5  # more than Parquet puts into one group
    digest = np.random.default_rng(0).integers(0, 256, (n, 16), dtype=np.uint8)
    one = Manifest(
        "set", "", np.array(["a"] * n, object), digest, np.zeros(n, np.uint16),
        np.full(n, None, object), pd.DataFrame(index=range(n)),
    )  # fmt: skip
    datasets.save(tmp_path, one)
    back = datasets.load(tmp_path, "set")
    assert np.array_equal(back.digest, digest)
    assert back.failure.tolist() == [None] * n
