"""Tar shards as WebDataset lays them out: each image at its offset, and nothing dropped."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers_photos import CLASSES, folder
from helpers_remote import Bucket, s3

from featx import _buckets, extraction, tokens
from featx.errors import SourceError, SourceNotFoundError, SourceReadError, UsageError
from featx.extraction import extract
from featx.features import load
from featx.sources import Source, indexes, open_source, tars

OPTIONS = {"backbone": "helpers_photos:tiny", "image_size": 32, "precision": "fp32"}
OLD = 1_600_000_000
Members = Sequence[tuple[str, bytes]]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr(_buckets, "RETRIES", 1)
    monkeypatch.setattr(tokens, "RACY_NS", -(10**12))  # what was just written counts as old
    monkeypatch.setattr(indexes, "RACY_NS", -(10**12))
    with s3(monkeypatch) as found:
        yield found


def packed(members: Members, **how: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **how) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def write(path: Path, data: bytes | Members) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else packed(data))
    os.utime(path, (OLD, OLD))
    return path


def shards(photos: Path, into: Path, n: int = 3) -> Path:
    """Pack a folder of classes, so that shards hold its images in its order."""
    images = sorted(photos.rglob("*.jpg"))
    labels = list(CLASSES)
    for k in range(n):
        members: list[tuple[str, bytes]] = []
        for path in images[k * len(images) // n : (k + 1) * len(images) // n]:
            key = f"{images.index(path):06d}"
            members += [
                (f"{key}.jpg", path.read_bytes()),
                (f"{key}.cls", str(labels.index(path.parent.name)).encode()),
                (f"{key}.txt", f"a {path.parent.name}\n".encode()),
                (f"{key}.json", json.dumps({"width": 48, "box": [1, 2]}).encode()),
            ]
        write(into / f"shard-{k:06d}.tar", members)
    return into


def run(data: object, cache: Path, **more: object) -> extraction.Extraction:
    return extract(data, cache=cache, **(OPTIONS | more))[0]  # type: ignore[arg-type]


def shown(source: Source) -> list[str]:
    return [entry.path for entry in source.entries]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos")


def test_shards_hold_the_images_of_a_folder(photos: Path, tmp_path: Path) -> None:
    here = open_source(photos)
    packed_ones = open_source(shards(photos, tmp_path / "shards"))
    assert [e.read() for e in packed_ones.entries] == [e.read() for e in here.entries]
    frame = packed_ones.frame
    assert frame.columns.tolist() == ["label", "caption", "shard", "key", "width"]
    assert frame["label"].tolist() == [str(list(CLASSES).index(x)) for x in here.frame["label"]]
    assert frame["caption"].tolist() == [f"a {label}" for label in here.frame["label"]]
    assert frame["shard"].tolist()[::6] == [f"shard-{k:06d}.tar" for k in range(3)]
    assert frame["key"].tolist() == [f"{i:06d}" for i in range(18)]
    assert frame["width"].dtype == np.int64
    assert packed_ones.ignored == 0
    assert packed_ones.name == "shards"
    assert "18 images in 3 tar shards, without the nested JSON fields box" in (
        packed_ones.description
    )


def test_vectors_and_digests_are_those_of_the_folder(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    run(photos, cache)
    done = run(shards(photos, tmp_path / "shards"), cache)
    assert (done.rows, done.computed, done.reused) == (18, 0, 18)
    here, there = load("photos", cache=cache), load("shards", cache=cache)
    assert np.array_equal(here.manifest.digest, there.manifest.digest)
    assert np.array_equal(here.X, there.X)


def test_a_second_run_reads_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, cache = shards(photos, tmp_path / "shards"), tmp_path / "cache"
    first = run(data, cache)
    assert (first.computed, len(list((cache / "shards").iterdir()))) == (18, 3)
    before = {p: p.stat().st_mtime_ns for p in cache.rglob("*") if p.is_file()}

    def refuse(*args: object) -> None:
        raise AssertionError("a shard was read")

    with monkeypatch.context() as patch:
        patch.setattr("featx.sources.shards.LocalShard.open", refuse)
        patch.setattr("featx.sources.shards.LocalShard.read", refuse)
        assert run(data, cache).reused == 18
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*") if p.is_file()} == before
    write(data / "shard-000001.tar", [("new.jpg", next(photos.rglob("0.jpg")).read_bytes())])
    assert run(data, cache).rows == 13


@pytest.mark.parametrize(
    ("data", "n"),
    [
        ("shards/shard-000001.tar", 6),
        ("shards/shard-{000000..000002}.tar", 18),
        ("shards/shard-00000{0,2}.tar", 12),
        (["shards/shard-000002.tar", "shards/shard-000000.tar"], 12),
        (["photos", "shards/shard-000000.tar"], 24),
    ],
)
def test_how_shards_are_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: object, n: int
) -> None:
    shards(photos, tmp_path / "shards")
    monkeypatch.chdir(tmp_path)
    source = open_source(data)
    assert len(source.entries) == n
    if isinstance(data, str):
        assert source.name == ("shard-000001" if ".." not in data and "{" not in data else "shard")
        first = "shards/shard-000001.tar" if n == 6 else "shards/shard-000000.tar"
        assert shown(source)[0].startswith(f"{first}!")


def test_a_pattern_of_which_one_is_missing(photos: Path, tmp_path: Path) -> None:
    data = shards(photos, tmp_path / "shards")
    with pytest.raises(SourceNotFoundError, match=r"tar shard .*shard-000003\.tar: no such file"):
        open_source(f"{data}/shard-{{000000..000003}}.tar")
    with pytest.raises(UsageError, match="given twice"):
        open_source([data / "shard-000000.tar", data / "shard-000000.tar"])
    with pytest.raises(UsageError, match="lies in"):
        open_source([data, data / "shard-000000.tar"])


def test_folders_of_shards_may_be_splits(photos: Path, tmp_path: Path) -> None:
    image = next(photos.rglob("0.jpg")).read_bytes()
    for name in ("train/0.tar", "train/1.tar", "test/0.tar"):
        write(tmp_path / "shards" / name, [("a.jpg", image)])
    source = open_source(tmp_path / "shards")
    assert source.frame["split"].tolist() == ["test", "train", "train"]
    assert source.frame["shard"].tolist() == ["test/0.tar", "train/0.tar", "train/1.tar"]


def test_images_beside_shards_are_taken_and_the_shards_counted(tmp_path: Path) -> None:
    write(tmp_path / "d" / "a.tar", [("a.jpg", b"a")])
    (tmp_path / "d" / "b.jpg").write_bytes(b"b")
    source = open_source(tmp_path / "d")
    assert (shown(source), source.ignored) == (["b.jpg"], 1)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_as_archives_have_them(tmp_path: Path, form: int) -> None:
    long = "./deep/" + "x" * 60 + "/" + "y" * 60 + "/ü ö.jpg"
    members = [
        (long, b"one"),
        ("b/._c.jpg", b"apple"),
        ("b/c.seg.png", b"two"),
        ("b/c.cls", b" 7\n"),
    ]
    members += [("b/c.jpg", b"three"), ("readme", b""), ("b/c.npy", b"x"), ("d.cls", b"alone")]
    source = open_source(write(tmp_path / "s.tar", packed(members, format=form)))
    assert [e.read() for e in source.entries] == [b"one", b"two", b"three"]
    assert source.frame["key"].tolist() == [long.removesuffix(".jpg"), "b/c", "b/c"]
    assert source.frame["label"].tolist() == [None, "7", "7"]
    assert source.ignored == 3
    assert "; 1 keys have several images, each of which is a row" in source.description


def test_fields_that_are_called_as_columns(tmp_path: Path) -> None:
    fields = [{"caption": "x", "n": 1, "y": 1.5, "ok": True, "m": 1}, {"n": None, "m": "a"}]
    members = [(f"{i}.json", json.dumps(one).encode()) for i, one in enumerate(fields)]
    members += [("0.jpg", b"0"), ("1.jpg", b"1"), ("0.txt", b"words")]
    frame = open_source(write(tmp_path / "s.tar", members)).frame
    assert frame["caption"].tolist() == ["words", None]
    assert frame["json.caption"].tolist() == ["x", None]
    assert [str(frame[name].dtype) for name in ("n", "y", "ok", "m")] == [
        *("Int64", "float64", "boolean", "object"),
    ]
    assert frame["m"].tolist() == ["1", "a"]


def cut(data: bytes) -> dict[str, bytes]:
    middle = data.index(b"1.jpg")
    return {
        "no archive": b"nothing of the kind" * 100,
        "empty": b"",
        "in a member": data[: middle + 512 + 3],
        "in a header": data[: middle + 100],
        "between members": data[:middle],
        "a broken header": data[:middle] + b"?" + data[middle + 1 :],
        "two archives": data + data,
    }


@pytest.mark.parametrize("what", sorted(cut(packed([("0.jpg", b"0"), ("1.jpg", b"1" * 600)]))))
def test_a_damaged_shard_is_an_error(tmp_path: Path, what: str) -> None:
    whole = packed([("0.jpg", b"0"), ("1.jpg", b"1" * 600)])
    write(tmp_path / "d" / "good.tar", whole)
    write(tmp_path / "d" / "s.tar", cut(whole)[what])
    with pytest.raises(SourceError, match=r"s\.tar.* at byte [\d,]+"):
        open_source(tmp_path / "d")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("a.jpg", b"1"), ("a.jpg", b"2")], "two members called 'a.jpg'"),
        ([("a.jpg", b"1"), ("a.json", b"{")], r"\.json beside 'a\.jpg' is no JSON object"),
        ([("a.jpg", b"1"), ("a.json", b"[]")], "it holds list"),
        ([("a.npy", b"1")], "no image in 1 tar shard"),
    ],
)
def test_shards_that_cannot_be_understood(tmp_path: Path, members: Members, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        open_source(write(tmp_path / "s.tar", members))


def test_compressed_shards_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "s.tar.gz", b"x")
    with pytest.raises(SourceError, match=r"compressed.*unpack it"):
        open_source(tmp_path / "s.tar.gz")


def test_a_shard_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tar", [("a.jpg", b"1"), ("b.jpg", b"2")])
    source = open_source(path)
    write(path, [("c.jpg", b"1" * 9), ("b.jpg", b"2")])
    os.utime(path, (OLD + 1, OLD + 1))
    with pytest.raises(SourceReadError, match="has changed since it was listed"):
        source.entries[1].read()
    path.unlink()
    with pytest.raises(SourceReadError, match=r"cannot read .*s\.tar"):
        source.entries[1].read()


def test_a_damaged_index_is_made_anew(photos: Path, tmp_path: Path) -> None:
    data, cache = shards(photos, tmp_path / "shards"), tmp_path / "cache"
    run(data, cache)
    for path in (cache / "shards").iterdir():
        path.write_bytes(path.read_bytes()[:-20])
    assert run(data, cache).reused == 18


def test_a_limit_looks_into_few_shards(photos: Path, tmp_path: Path) -> None:
    source = open_source(shards(photos, tmp_path / "shards"), limit=3)
    assert len(source.entries) == 3
    assert "in 1 of 3 tar shards" in source.description


def test_every_member_is_an_image_for_a_reader(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tar", [("a.scan", b"1"), ("a.cls", b"x")])
    source = open_source(path, every_file=True)
    assert (len(source.entries), source.frame["label"].tolist()) == (1, ["x"])


def test_shards_in_a_bucket(
    bucket: Bucket, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tars, "RANGE", 4096)  # several for each shard
    here = shards(photos, tmp_path / "shards")
    bucket.put_folder(here, "data/shards")
    cache, data = tmp_path / "cache", f"{bucket.url}/data/shards"
    first = run(data, cache)
    assert (first.rows, first.computed) == (18, 18)
    sizes = [path.stat().st_size for path in here.iterdir()]
    asked = bucket.asked.counts()
    assert asked["LIST"] == 1
    assert asked["GET"] <= sum(-(-size // (4096 - 512)) for size in sizes) + 2 * 18
    assert run(data, cache).reused == 18
    assert bucket.asked.counts() == {"LIST": 1}
    pattern = f"{bucket.url}/data/shards/shard-{{000000..000002}}.tar"
    assert run(pattern, cache).reused == 18
    assert bucket.asked.counts() == {"HEAD": 3}
    assert [e.read() for e in open_source(data).entries] == [
        e.read() for e in open_source(here).entries
    ]
    source = open_source(data)
    bucket.put("data/shards/shard-000000.tar", packed([("a.jpg", b"another")] * 1))
    with pytest.raises(SourceReadError, match="has changed since it was listed"):
        source.entries[0].read()
    with pytest.raises(SourceNotFoundError, match="there is no tar shard"):
        open_source(f"{data}/shard-000009.tar")
