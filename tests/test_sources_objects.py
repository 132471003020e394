"""Images in a bucket: a folder's rules, few requests, and whose fault it is when one fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from helpers_photos import folder
from helpers_remote import Bucket, s3

from featx import _buckets, extraction, tokens
from featx.errors import (
    ImageError,
    SourceError,
    SourceNotFoundError,
    SourceReadError,
    UsageError,
)
from featx.extraction import extract
from featx.sources import Source, open_source

OPTIONS = {"backbone": "helpers_photos:tiny", "image_size": 32, "precision": "fp32"}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr(_buckets, "RETRIES", 1)
    monkeypatch.setattr(tokens, "RACY_NS", -(10**12))  # what was just written counts as old
    with s3(monkeypatch) as found:
        yield found


def run(data: object, cache: Path, **more: object) -> extraction.Extraction:
    return extract(data, cache=cache, **(OPTIONS | more))[0]  # type: ignore[arg-type]


def shown(source: Source) -> list[str]:
    return [entry.path for entry in source.entries]


NAMES = [
    *("dog/2.jpg", "dog/10.jpg", "dog/1.JPG", "cat/b.webp", "cat/a b.png", "cat/deep/ü.png"),
    *("cat/notes.txt", "cat/.hidden.jpg", ".cache/x.jpg", "__MACOSX/y.jpg", "loose.jpg"),
]


def test_a_prefix_is_listed_as_a_folder_is(bucket: Bucket, tmp_path: Path) -> None:
    for name in NAMES:
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        bucket.put(f"data/pets/{name}", name.encode())
    bucket.put("data/pets/dog/", b"")  # as consoles make folders
    bucket.put("data/pets-of-others/x.jpg", b"x")
    here, there = open_source(tmp_path / "pets"), open_source(f"{bucket.url}/data/pets")
    assert shown(there) == shown(here)
    pd.testing.assert_frame_equal(there.frame, here.frame)
    assert (there.name, there.ignored) == ("pets", here.ignored)
    assert there.description == here.description.replace(str(tmp_path), "s3://photos-of-tests/data")
    assert bucket.asked.counts() == {"LIST": 1}
    assert [e.read() for e in there.entries] == [e.read() for e in here.entries]
    split = open_source(f"{bucket.url}/data/")
    assert split.frame["label"].unique().tolist() == ["pets", "pets-of-others"]


def test_a_second_run_lists_and_reads_no_image(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put_folder(folder(tmp_path / "photos"), "photos")
    data, cache = f"{bucket.url}/photos", tmp_path / "cache"
    first = run(data, cache)
    assert (first.rows, first.computed, first.failed) == (18, 18, ())
    asked = bucket.asked.counts()
    assert asked["LIST"] == 1
    assert 18 <= asked["GET"] <= 2 * 18  # those that make the network ready are read twice
    second = run(data, cache)
    assert (second.computed, second.reused) == (0, 18)
    assert bucket.asked.counts() == {"LIST": 1}
    here = run(tmp_path / "photos", cache)
    assert (here.computed, here.reused) == (0, 18)  # the same bytes, wherever they lie


def test_an_object_that_is_replaced_is_read_again(bucket: Bucket, tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos")
    bucket.put_folder(photos, "photos")
    run(f"{bucket.url}/photos", tmp_path / "cache")
    bucket.put("photos/cat/0.jpg", (photos / "dog" / "0.jpg").read_bytes())
    done = run(f"{bucket.url}/photos", tmp_path / "cache")
    assert (done.computed, done.reused) == (0, 18)  # the bytes of another
    assert bucket.asked.counts() == {"LIST": 1, "GET": 1}


def test_one_image(bucket: Bucket) -> None:
    bucket.put("a/b c.jpg", b"x")
    source = open_source(f"{bucket.url}/a/b c.jpg")
    assert (shown(source), source.entries[0].read()) == ([f"{bucket.url}/a/b c.jpg"], b"x")
    assert bucket.asked.counts() == {"HEAD": 1, "GET": 1}
    assert len(open_source([f"{bucket.url}/a/b c.jpg", f"{bucket.url}/a/gone.jpg"]).entries) == 2
    with pytest.raises(SourceNotFoundError, match="no such object"):
        open_source(f"{bucket.url}/a/gone.jpg")


def test_what_is_not_there_or_not_read(bucket: Bucket) -> None:
    bucket.put("tables/t.csv", b"path\na.jpg\n")
    with pytest.raises(SourceNotFoundError, match=r"nothing lies below s3://.*/nowhere/"):
        open_source(f"{bucket.url}/nowhere")
    with pytest.raises(SourceReadError, match="no such bucket"):
        open_source("s3://another-bucket/photos")
    with pytest.raises(SourceError, match="download it first"):
        open_source(f"{bucket.url}/tables/t.csv")
    with pytest.raises(SourceError, match=r"no image in s3://.*/tables \(1 file"):
        open_source(f"{bucket.url}/tables")
    with pytest.raises(UsageError, match=r"begin with ftp:// are not read.*s3://"):
        open_source("ftp://x.org/photos")
    with pytest.raises(UsageError, match=r"lies in s3://"):
        open_source([f"{bucket.url}/tables", f"{bucket.url}/tables/deep"])


def test_a_refusal_is_one_error_that_says_what_to_do(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put_folder(folder(tmp_path / "photos"), "photos")
    bucket.refuse = {"LIST": 403}
    with pytest.raises(SourceReadError, match=r"cannot list s3://.*access denied.*AWS_ACCESS_KEY"):
        open_source(f"{bucket.url}/photos")
    bucket.refuse = {"GET": 403}
    with pytest.raises(SourceReadError, match=r"cannot read s3://.*\.jpg: access denied"):
        run(f"{bucket.url}/photos", tmp_path / "cache")
    bucket.refuse = {}
    assert run(f"{bucket.url}/photos", tmp_path / "cache").failed == ()


def test_an_object_that_went_away_is_a_bad_image(bucket: Bucket) -> None:
    bucket.put("photos/a.jpg", b"a")
    bucket.put("photos/b.jpg", b"b")
    source = open_source(f"{bucket.url}/photos")
    bucket.delete("photos/b.jpg")
    assert source.entries[0].read() == b"a"
    with pytest.raises(ImageError, match="no such object any more"):
        source.entries[1].read()


def test_a_table_names_objects(bucket: Bucket, tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos")
    bucket.put_folder(photos, "photos")
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    urls = [f"{bucket.url}/photos/{name}" for name in names]
    table = pd.DataFrame({"path": [*urls, f"{bucket.url}/photos/gone.jpg", str(photos / names[0])]})
    table.to_csv(tmp_path / "t.csv", index=False)
    done = run(tmp_path / "t.csv", tmp_path / "cache")
    assert (done.rows, done.computed) == (19, 18)
    assert done.failed == ((f"{bucket.url}/photos/gone.jpg", "no such object"),)
    assert bucket.asked.counts()["HEAD"] == 19
    run(tmp_path / "t.csv", tmp_path / "cache")
    assert bucket.asked.counts() == {"HEAD": 19}


def test_objects_of_one_folder_are_listed(bucket: Bucket) -> None:
    for i in range(30):
        bucket.put(f"many/{i}.jpg", b"x")
    frame = pd.DataFrame({"path": [f"{bucket.url}/many/{i}.jpg" for i in range(31)]})
    source = open_source(frame)
    assert bucket.asked.counts() == {"LIST": 1}
    assert [e.failure for e in source.entries] == [None] * 30 + ["no such object"]
    assert "31 addresses, 1 of them without an image" in source.description
    bucket.refuse = {"LIST": 403}
    again = open_source(frame)
    assert bucket.asked.counts() == {"LIST": 1, "HEAD": 31}
    assert [e.token for e in again.entries] == [e.token for e in source.entries]


def test_only_what_is_taken_is_asked_for(bucket: Bucket) -> None:
    for i in range(5):
        bucket.put(f"few/{i}.jpg", b"x")
    frame = pd.DataFrame({"path": [f"{i}.jpg" for i in range(5)]})
    source = open_source(frame, root=f"{bucket.url}/few", limit=2)
    assert bucket.asked.counts() == {"HEAD": 2}
    assert shown(source) == ["0.jpg", "1.jpg"]
    assert source.entries[1].read() == b"x"
