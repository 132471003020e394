"""Places: what holds of a path holds of an object's url."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers_bucket import SECRET, Faults, Proxy

from featx import _buckets
from featx._files import (
    json_text,
    remove_tree,
    side_dir,
    write_bytes,
    write_json,
    write_new,
    write_parts,
    write_text,
    writing,
)
from featx._objects import ObjectPath, Place, place
from featx.errors import CacheWriteError, MissingDependencyError, SourceReadError, UsageError


@pytest.fixture(params=["disk", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "disk":
        return tmp_path
    found: ObjectPath = request.getfixturevalue("bucket")
    return found


def names(places: object) -> list[str]:
    return sorted(str(one).rpartition("/")[2] for one in places)  # type: ignore[attr-defined]


def test_what_is_written_is_read(root: Place) -> None:
    file = root / "a folder" / "ä#?%.json"
    assert not file.exists()
    assert not file.parent.is_dir()
    write_bytes(file, b"one")
    assert file.read_bytes() == b"one"
    write_text(file, "zwö")
    assert file.read_text(encoding="utf-8") == "zwö"
    write_json(file, {"a": [1]})
    assert file.read_text(encoding="utf-8") == json_text({"a": [1]})
    write_parts(file, iter([b"one", memoryview(b"two"), b""]))
    assert file.read_bytes() == b"onetwo"
    assert file.exists()
    assert file.is_file()
    assert not file.is_dir()
    assert file.parent.is_dir()
    assert not file.parent.is_file()
    assert file.parent.exists()


def test_folders_list_what_lies_in_them(root: Place) -> None:
    for name in ("a.zarr/zarr.json", "a.zarr/x/c/1", "b.zarr/zarr.json", "b.zarrs/n", "top"):
        write_bytes(root.joinpath(*name.split("/")), name.encode())
    assert names(root.iterdir()) == ["a.zarr", "b.zarr", "b.zarrs", "top"]
    assert names(root.glob("*.zarr")) == ["a.zarr", "b.zarr"]
    assert sorted(path.parent.name for path in root.glob("*/zarr.json")) == ["a.zarr", "b.zarr"]
    assert names((root / "b.zarr").iterdir()) == ["zarr.json"]
    remove_tree(root / "a.zarr")
    assert names(root.glob("*.zarr")) == ["b.zarr"]
    assert (root / "top").read_bytes() == b"top"


def test_a_missing_file_is_a_missing_file(root: Place) -> None:
    missing = root / "missing"
    for read in (missing.read_bytes, missing.read_text, missing.unlink):
        with pytest.raises(FileNotFoundError):
            read()
    missing.unlink(missing_ok=True)
    write_bytes(missing, b"")
    missing.unlink()
    assert not missing.exists()


def test_of_several_writers_one_wins(root: Place) -> None:
    file = root / "deep" / "file"
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: write_new(file, bytes([i]) * 100), range(8)))
    assert sum(won) == 1
    assert file.read_bytes() == bytes([won.index(True)]) * 100


def test_an_empty_file_is_made_once(root: Place) -> None:
    file = root / "mark"
    file.touch()
    assert file.read_bytes() == b""
    write_bytes(file, b"more")
    file.touch()
    assert file.read_bytes() == b"more"


def test_parts_of_a_place_are_those_of_a_path() -> None:
    path, url = Path("/bucket/a/b.tar.json"), ObjectPath.of("s3://bucket//a/b.tar.json/")
    assert str(url) == "s3://bucket/a/b.tar.json"
    for name in ("name", "stem", "suffix"):
        assert getattr(url, name) == getattr(path, name)
    assert [p.key for p in url.parents] == ["a", ""]
    assert str(url.with_suffix(".npy")) == "s3://bucket/a/b.tar.npy"
    assert str(url.with_name("c") / "d") == "s3://bucket/a/c/d"
    assert url.parent.parent.parent == ObjectPath("s3://bucket")
    assert url.absolute() is url
    assert len({url, pickle.loads(pickle.dumps(url))}) == 1  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cache", Path("cache")),
        ("file:///tmp/a%20b", Path("/tmp/a b")),  # noqa: S108 - not opened
        ("S3://bucket/x/", ObjectPath("s3://bucket", "x")),
        ("gs://bucket", ObjectPath("gs://bucket")),
        ("az://box/x/y", ObjectPath("az://box", "x/y")),
    ],
)
def test_a_place_is_what_its_text_says(text: str, expected: Place) -> None:
    assert place(text) == expected
    assert place(expected) == expected


@pytest.mark.parametrize("text", ["s3://", "s3:///x", "s3://b/../c", "s3://b/x?versionId=1"])
def test_a_url_names_a_bucket(text: str) -> None:
    with pytest.raises(UsageError, match="s3://BUCKET/PREFIX"):
        place(text)


def test_an_unknown_scheme_is_said() -> None:
    with pytest.raises(UsageError, match=r"known: s3://, gs://, az://, file://"):
        place("ftp://host/x")


def test_a_version_is_replaced_once(bucket: ObjectPath) -> None:
    file = bucket / "a"
    first = file.create(b"one", "me")
    assert first is not None
    assert file.create(b"one", "me") == first  # an answer that got lost
    assert file.create(b"one", "you") is None
    assert file.swap(b"two", first, "you") is not None
    assert file.swap(b"three", first, "me") is None
    assert (bucket / "none").swap(b"x", first) is None
    assert file.read_tagged()[::2] == (b"two", "you")


@pytest.mark.parametrize("kind", ["error", "drop", "lose"])
def test_requests_are_made_again(bucket: ObjectPath, proxy: Proxy, kind: str) -> None:
    proxy.faults = Faults(**{kind: 0.4})
    for i in range(12):
        file = bucket / str(i)
        tag = file.create(b"one")
        assert tag is not None
        assert file.create(b"two") is None
        assert file.swap(b"three", tag) is not None
        assert file.read_bytes() == b"three"
    assert len(bucket.sizes()) == 12
    remove_tree(bucket)
    assert not bucket.exists()


def test_retries_come_to_an_end(
    bucket: ObjectPath, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_buckets, "RETRY_S", 0.3)
    _buckets.forget()
    for faults, says in ((Faults(error=1), "status code: 50"), (Faults(drop=1), "HTTP error")):
        proxy.faults = faults
        with pytest.raises(SourceReadError, match=says):
            (bucket / "a").read_bytes()
        for write in (lambda: write_bytes(bucket / "a", b""), lambda: write_new(bucket / "a", b"")):
            with pytest.raises(CacheWriteError, match=says) as caught:
                write()
            assert "\n" not in str(caught.value)


def test_denied_access_says_what_to_do(bucket: ObjectPath, proxy: Proxy) -> None:
    proxy.faults = Faults(deny=1)
    with pytest.raises(SourceReadError, match=r"cannot read s3://.*: access denied; set AWS_ACC"):
        (bucket / "a").read_bytes()
    with pytest.raises(CacheWriteError, match=r"access denied.*get-caller-identity") as caught:
        write_bytes(bucket / "a", b"")
    assert SECRET not in str(caught.value)
    with pytest.raises(CacheWriteError, match=r"access denied"):
        remove_tree(bucket)


def test_a_missing_bucket_is_no_missing_object(bucket: ObjectPath) -> None:
    other = ObjectPath("s3://nobody-made-this", "x")
    with pytest.raises(SourceReadError, match="no such bucket"):
        other.read_bytes()
    with pytest.raises(CacheWriteError, match="no such bucket"):
        write_new(other, b"")
    with pytest.raises(SourceReadError, match="no such bucket"):
        list(other.iterdir())


def test_no_credentials_are_said(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    _buckets.forget()
    with pytest.raises(SourceReadError, match="no credentials in the environment; set AWS_"):
        bucket.exists()


def test_the_package_is_named(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    for use in (bucket.exists, bucket.read_bytes, lambda: write_new(bucket, b""), bucket.unlink):
        with pytest.raises(MissingDependencyError, match=r"pip install 'featx\[cloud\]'"):
            use()


def test_an_error_of_another_kind_passes_through_unchanged(tmp_path: Path) -> None:
    with pytest.raises(CacheWriteError, match="as it is"), writing(tmp_path):
        raise CacheWriteError("as it is")


def test_what_only_saves_time_stays_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert side_dir(Path("cache")) == Path("cache")
    one, two = (side_dir(place(f"s3://bucket/{name}")) for name in "ab")
    assert one != two
    assert one.parent == tmp_path / "featx"
