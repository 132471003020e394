"""Images that are read again by the place that was noted: for pictures, for drift."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers_photos import folder
from helpers_remote import Bucket, s3, site
from test_sources_shards import run, shards

from featx import _buckets, manage, tokens
from featx.features import load
from featx.reporting.pictures import Pictures
from featx.sources import Places, indexes, open_source


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setattr(_buckets, "RETRIES", 1)
    monkeypatch.setattr(tokens, "RACY_NS", -(10**12))
    monkeypatch.setattr(indexes, "RACY_NS", -(10**12))
    with s3(monkeypatch) as found:
        yield found


def places_of(source: object) -> list[bytes]:
    return [entry.token[0] for entry in source.entries]  # type: ignore[attr-defined]


def pictures(cache: Path) -> Pictures:
    view = load(cache=cache)
    digests = {
        (str(path), "0"): digest.tobytes()
        for path, digest in zip(view.manifest.path, view.manifest.digest, strict=True)
    }
    about = {"preprocess": view.recipe.preprocess, "digests": digests, "features": view}
    return Pictures(SimpleNamespace(**about, cache=cache))  # type: ignore[arg-type]


def test_every_place_gives_the_bytes_again(bucket: Bucket, tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 2)
    here = shards(photos, tmp_path / "shards")
    bucket.put_folder(here, "shards")
    bucket.put_folder(photos, "photos")
    with site() as server:
        url = server.put("/a.jpg", b"web")
        table = (tmp_path / "t.csv").resolve()
        table.write_text(f"url\n{url}\n")
        for data in (photos, here, f"{bucket.url}/shards", f"{bucket.url}/photos", table):
            source = open_source(data, shards=tmp_path / "index")
            places = Places(tmp_path / "index")
            again = [places.entry(place).read() for place in places_of(source)]
            assert again == [entry.read() for entry in source.entries]
            sent = pickle.loads(pickle.dumps(source.entries))  # noqa: S301  (to another process)
            assert [entry.read() for entry in sent] == again
    gone = [*(b"/nowhere/s.tar!a.jpg", b"/nowhere/a.jpg"), bucket.url.encode() + b"/gone.jpg"]
    gone += [places_of(open_source(here))[0] + b"x", bucket.url.encode() + b"/gone.tar!a.jpg"]
    assert all(Places().entry(place).failure for place in gone)


def test_pictures_of_shards_are_shown_and_remote_ones_are_not(
    bucket: Bucket, tmp_path: Path
) -> None:
    photos = folder(tmp_path / "photos", 2)
    here = shards(photos, tmp_path / "shards")
    bucket.put_folder(photos, "photos")
    cache = tmp_path / "cache"
    run(f"{bucket.url}/photos", cache)
    bucket.asked.log.clear()
    shown = pictures(cache)
    assert not shown.of("cat/0.jpg").src
    [said] = shown.unseen()
    assert said.endswith("it lies in a bucket or on the web, and reports fetch nothing")
    assert bucket.asked.counts() == {}
    run(here, cache)
    assert pictures(cache).of("shard-000000.tar!000000.jpg").src
    assert bucket.asked.counts() == {}


def test_files_too_new_to_be_noted_are_shown(tmp_path: Path) -> None:
    photos, cache = folder(tmp_path / "photos", 2), tmp_path / "cache"
    for file in photos.rglob("*.jpg"):
        os.utime(file, (2**31, 2**31))  # not before the future is it sure that nothing follows
    run(photos, cache)
    with tokens.TokenIndex(cache) as index:
        assert index.paths() == {}
    assert pictures(cache).of("cat/0.jpg").src
    (photos / "cat" / "0.jpg").write_bytes((photos / "dog" / "0.jpg").read_bytes())
    assert pictures(cache).of("cat/0.jpg").missing == "its file has changed since"
    (photos / "cat" / "0.jpg").unlink()
    assert "run the same `featx extract` again" in pictures(cache).of("cat/0.jpg").missing


@pytest.mark.parametrize("where", ["shards", "bucket"])
def test_vectors_of_such_images_are_computed_again(
    bucket: Bucket, tmp_path: Path, where: str
) -> None:
    photos = folder(tmp_path / "photos", 2)
    bucket.put_folder(photos, "photos")
    data = shards(photos, tmp_path / "shards") if where == "shards" else f"{bucket.url}/photos"
    run(data, tmp_path / "cache")
    (drift,) = manage.verify(None, tmp_path / "cache", sample=5)["drift"]
    assert (drift["rows"], drift["passed"]) == (5, True)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["shards", "bucket", "shards in a bucket"])
def test_every_command_takes_such_data(bucket: Bucket, tmp_path: Path, where: str) -> None:
    import featx

    photos = folder(tmp_path / "photos")
    here = shards(photos, tmp_path / "shards")
    bucket.put_folder(photos, "photos")
    bucket.put_folder(here, "shards")
    places = {"shards": str(here), "bucket": f"{bucket.url}/photos"}
    data = places.get(where, f"{bucket.url}/shards")
    cache, out = tmp_path / "cache", tmp_path / "runs"
    network = {"backbone": "helpers_photos:tiny", "image_size": 32}
    assert featx.stats(data).images == 18
    assert featx.plan(data, cache=cache, **network).images == 18
    assert not cache.exists(), "a plan keeps nothing"
    [done] = featx.extract(data, cache=cache, **network)
    view = featx.load(done.data, done.label, target="label", cache=cache)
    run = featx.fit(view, "logreg", cv=3, search=False, out=out)
    bucket.asked.log.clear()
    said = featx.predict(run.path, data, cache=cache)
    assert said.frame["status"].tolist() == ["ok"] * 18
    assert "GET" not in bucket.asked.counts()
    assert featx.report([run.path], cache=cache).path.is_file()
    tuned = featx.finetune(
        data, **network, freeze="all", epochs=1, cache=cache, out=out, device="cpu"
    )
    assert tuned.path is not None
