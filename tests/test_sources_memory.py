"""Arrays in files, everything a notebook holds, several at once, and parts of them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featx.errors import (
    SourceError,
    SourceNotFoundError,
    SourceReadError,
    UnknownNameError,
    UsageError,
)
from featx.sources import open_source

IMAGES = np.arange(5 * 6 * 7 * 3, dtype=np.uint8).reshape(5, 6, 7, 3)
LABELS = np.array(["a", "b", "a", "c", "b"])


def read(source) -> list:
    return [entry.read() for entry in source.entries]


def columns(source) -> dict[str, list]:
    return {name: source.frame[name].tolist() for name in source.frame}


@pytest.mark.parametrize("key", ["images", "X", "x", "arr_0", "photographs"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, key, save):
    save(
        tmp_path / "set.npz",
        **{key: IMAGES, "y": np.arange(5), "names": LABELS, "mean": np.ones(3)},
    )
    source = open_source(tmp_path / "set.npz")
    np.testing.assert_array_equal(np.stack(read(source)), IMAGES)
    assert columns(source) == {"y": [0, 1, 2, 3, 4], "names": LABELS.tolist()}
    assert source.name == "set"
    entry = source.entries[3]
    assert entry.path == f"set.npz:{key}[3]"
    status = (tmp_path / "set.npz").stat()
    assert entry.token[0] == os.fsencode(tmp_path / "set.npz") + f"#{key}[3]".encode()
    assert entry.token[1:3] == (status.st_size, status.st_mtime_ns)


def test_npz_is_not_read_until_an_image_is(tmp_path, monkeypatch):
    np.savez(tmp_path / "set.npz", images=IMAGES, y=np.arange(5))
    loaded = []
    load = np.lib.npyio.NpzFile.__getitem__

    def spy(self, key):
        loaded.append(key)
        return load(self, key)

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", spy)
    source = open_source(tmp_path / "set.npz")
    assert loaded == ["y"]
    read(source)
    assert loaded == ["y", "images"]


@pytest.mark.parametrize("images", [IMAGES, IMAGES[..., 0], IMAGES[..., :2].astype(float)])
def test_npy(tmp_path, images):
    np.save(tmp_path / "set.npy", images)
    source = open_source(tmp_path / "set.npy")
    np.testing.assert_array_equal(np.stack(read(source)), images)
    assert source.entries[4].path == "set.npy[4]"
    assert len(source.frame) == 5


def test_npz_with_splits_as_medmnist_and_keras_save_them(tmp_path):
    np.savez(
        tmp_path / "med.npz",
        train_images=IMAGES[:2], train_labels=np.array([[1], [0]]),
        val_images=IMAGES[2:3], val_labels=np.array([[1]]),
        test_images=IMAGES[3:], test_labels=np.array([[0], [1]]),
    )  # fmt: skip
    source = open_source(tmp_path / "med.npz")
    np.testing.assert_array_equal(np.stack(read(source)), IMAGES)
    assert columns(source) == {
        "labels": [1, 0, 1, 0, 1],
        "split": ["train", "train", "val", "test", "test"],
    }
    np.savez(
        tmp_path / "keras.npz",
        x_train=IMAGES[:4], y_train=np.arange(4), x_test=IMAGES[4:], y_test=np.arange(1),
    )  # fmt: skip
    source = open_source(tmp_path / "keras.npz")
    assert columns(source) == {"y": [0, 1, 2, 3, 0], "split": ["train"] * 4 + ["test"]}
    assert source.entries[4].path == "keras.npz:x_test[0]"


def test_byte_labels_are_text(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, y=LABELS.astype("S1"))
    assert columns(open_source(tmp_path / "a.npz")) == {"y": LABELS.tolist()}


def objects(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": IMAGES, "b": IMAGES}, r"which array .*'a' \(5, 6, 7, 3\), 'b'"),
        ({"y": np.arange(3)}, "which array"),
        ({"images": np.arange(3)}, r"array 'images' has the shape \(3,\); expected \(N, H, W\)"),
        ({"images": np.zeros((0, 4, 4))}, "none of them 0"),
        ({"images": np.zeros((5, 3, 8, 9))}, r"channels come last, numpy\.moveaxis\(x, 1, -1\)"),
        ({"images": np.zeros((8, 9, 3))}, r"one image alone is x\[None\]"),
        ({"images": np.array([{}, []], dtype=object)}, "Python objects, which featx never loads"),
        ({"images": IMAGES, "y": np.array([{}] * 5)}, "Python objects"),
        ({}, "no array"),
    ],
)
def test_npz_that_cannot_be_understood(tmp_path, arrays, said):
    with pytest.raises(SourceError, match=said):
        open_source(objects(tmp_path / "a.npz", **arrays))


def test_npy_of_objects(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}, 1], dtype=object))
    with pytest.raises(SourceError, match="Python objects"):
        open_source(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("data", [b"", b"nonsense", b"PK\x03\x04nonsense", b"\x93NUMPY\x01\0xx"])
def test_files_that_are_no_arrays(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match="no NumPy file that can be read"):
        open_source(tmp_path / name)


def test_truncated_arrays(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:300])
    with pytest.raises(SourceError, match="no NumPy file"):
        open_source(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("images.npy", (tmp_path / "a.npy").read_bytes())
    source = open_source(tmp_path / "b.npz")
    with pytest.raises(SourceError, match=r"b\.npz is no NumPy file"):
        source.entries[0].read()


def test_an_array_file_on_a_bad_disk(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", images=IMAGES)
    source = open_source(tmp_path / "a.npz")

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(np, "load", fail)
    with pytest.raises(SourceReadError, match="Input/output error"):
        source.entries[0].read()


def test_arrays_in_memory():
    for images in (IMAGES, IMAGES[..., 0], IMAGES.astype(np.float32)):
        source = open_source(images)
        np.testing.assert_array_equal(np.stack(read(source)), images)
        assert [entry.token for entry in source.entries] == [None] * 5
        assert [entry.path for entry in source.entries] == [f"[{i}]" for i in range(5)]
    with pytest.raises(SourceError, match=r"x\[None\]"):
        open_source(np.zeros((20, 30, 3), np.uint8))


def test_arrays_of_several_sizes():
    several = np.empty(2, dtype=object)
    several[0], several[1] = IMAGES[0], IMAGES[1, :3]
    assert [x.shape for x in read(open_source(several))] == [(6, 7, 3), (3, 7, 3)]


def test_things_that_become_arrays():
    class Tensor:
        """As torch's: no ndarray, but made into one by NumPy."""

        def __array__(self, dtype=None, copy=None):
            return IMAGES

    np.testing.assert_array_equal(np.stack(read(open_source(Tensor()))), IMAGES)


def test_payloads_in_memory():
    image = Image.fromarray(IMAGES[0])
    items = [image, b"bytes", IMAGES[1]]
    source = open_source(items)
    assert [got is want for got, want in zip(read(source), items, strict=True)] == [True] * 3
    assert source.name == "memory"
    for one in (image, b"bytes"):
        assert read(open_source(one)) == [one]
    assert len(open_source(iter(items)).entries) == 3


@pytest.fixture
def files(tmp_path) -> list[Path]:
    paths = [tmp_path / "set" / name for name in ("cat/1.jpg", "dog/2.jpg", "dog/3.jpg")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return paths


@pytest.mark.parametrize(
    "make", [list, tuple, pd.Series, iter, lambda x: np.array(x, dtype=object)]
)
def test_paths(files, make):
    source = open_source(make([str(path) for path in files]))
    assert [entry.path for entry in source.entries] == [str(path) for path in files]
    assert read(source) == [b"1.jpg", b"2.jpg", b"3.jpg"]


def test_a_missing_path_among_others(files):
    source = open_source([*files, files[0].with_name("gone.jpg")])
    assert source.entries[3].failure.startswith("no such file")
    with pytest.raises(SourceNotFoundError, match=r"gone\.jpg"):
        open_source([files[0].with_name("gone.jpg")])
    with pytest.raises(SourceNotFoundError, match=r"there is no .*nowhere"):
        open_source([*files, files[0].with_name("nowhere")])


def test_several_are_put_together(files, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("path,age\nset/cat/1.jpg,3\nset/dog/2.jpg,\n")
    np.savez(tmp_path / "a.npz", images=IMAGES, y=np.arange(5))
    other = tmp_path / "other.jpg"
    other.write_bytes(files[2].read_bytes())
    source = open_source([tmp_path / "set", str(table), other, tmp_path / "a.npz", IMAGES[0]])
    assert len(source.entries) == 3 + 2 + 1 + 5 + 1
    assert len(source.frame) == 12
    assert columns(source) == {
        "label": ["cat", "dog", "dog"] + [None] * 9,
        "path": [None] * 3 + ["set/cat/1.jpg", "set/dog/2.jpg"] + [None] * 7,
        "age": [None] * 3 + ["3"] + [None] * 8,
        "y": [None] * 6 + [0, 1, 2, 3, 4] + [None],
    }
    assert source.name == "set-t-images-a-memory"
    assert str(tmp_path / "set") in source.description


def test_what_would_count_twice_is_refused(files, tmp_path):
    root, cats = tmp_path / "set", tmp_path / "set" / "cat"
    for data in ([root, root], [str(root), tmp_path / "t.csv", f"{root}/cat/.."]):
        with pytest.raises(UsageError, match=r"set.* is given twice"):
            open_source(data)
    for data in ([root, cats], [str(cats), root], [cats / "1.jpg", cats]):
        with pytest.raises(
            UsageError, match=r"(cat|1\.jpg) lies in .*(set|cat), which is given too"
        ):
            open_source(data)
    assert len(open_source([cats, root / "dog"]).entries) == 3
    assert len(open_source([files[0], files[0]]).entries) == 2  # as a bootstrap sample would be


@pytest.mark.parametrize("data", [{}, {"a": IMAGES}, 7, None, [1, 2], [{"path": "a.jpg"}], [None]])
def test_what_is_no_data(data):
    with pytest.raises(UsageError, match=r"expected a folder of images"):
        open_source(data)


def test_nothing_at_all():
    with pytest.raises(SourceError, match="nothing was given"):
        open_source([])


def labelled(tmp_path, counts: dict[str, int]) -> Path:
    lines = ["path,label,site"]
    (tmp_path / "a.jpg").touch()
    for label, n in counts.items():
        lines += [f"a.jpg,{label},s{i}" for i in range(n)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    return tmp_path / "t.csv"


def test_limit(tmp_path):
    path = labelled(tmp_path, {"x": 3, "y": 4})
    source = open_source(path, limit=4)
    assert source.frame["label"].tolist() == ["x", "x", "x", "y"]
    assert len(source.entries) == 4
    assert source.description.endswith(", the first 4")
    assert len(open_source(path, limit=99).entries) == 7


def test_limit_per_class(tmp_path):
    path = labelled(tmp_path, {"x": 30, "": 9, "y": 40, "z": 2})
    source = open_source(path, limit_per_class=5, seed=1)
    assert source.frame["label"].tolist() == ["x"] * 5 + ["y"] * 5 + ["z"] * 2
    sites = source.frame["site"].tolist()
    assert sites[:5] == sorted(sites[:5], key=lambda s: int(s[1:]))  # in the table's order
    assert sites == open_source(path, limit_per_class=5, seed=1).frame["site"].tolist()
    assert sites != open_source(path, limit_per_class=5, seed=2).frame["site"].tolist()
    larger = open_source(path, limit_per_class=9, seed=1)
    pairs = set(map(tuple, larger.frame[["label", "site"]].to_numpy().tolist()))
    assert set(map(tuple, source.frame[["label", "site"]].to_numpy().tolist())) <= pairs
    other = labelled(tmp_path, {"w": 20, "x": 30})
    again = open_source(other, limit_per_class=5, seed=1)
    assert again.frame["site"].tolist()[5:] == sites[:5]  # other classes change nothing
    assert len(open_source(path, limit_per_class=5, limit=7).entries) == 7


def test_limit_per_class_of_another_column(tmp_path):
    path = labelled(tmp_path, {"x": 3, "y": 3})
    source = open_source(path, limit_per_class=1, label_column="site")
    assert sorted(source.frame["site"]) == ["s0", "s1", "s2"]
    with pytest.raises(UnknownNameError, match=r"label column 'sight'.*did you mean 'site'"):
        open_source(path, limit_per_class=1, label_column="sight")
    with pytest.raises(UnknownNameError, match="has no columns"):
        open_source(IMAGES, limit_per_class=1)


@pytest.mark.parametrize("dtype", [object, "string", "category", "Int64"])
def test_limit_per_class_of_any_type(dtype):
    values = pd.Series([1, 2, None, 1, 2, 2], dtype="Int64")
    labels = values if dtype == "Int64" else values.astype("string").astype(dtype)
    frame = pd.DataFrame({"path": [__file__] * 6, "label": labels})
    source = open_source(frame, limit_per_class=1)
    assert sorted(source.frame["label"].astype(str)) == ["1", "2"]


@pytest.mark.parametrize("limits", [{"limit": 0}, {"limit_per_class": -1}])
def test_limits_below_one(tmp_path, limits):
    with pytest.raises(UsageError, match="expected 1 or more"):
        open_source(labelled(tmp_path, {"x": 3}), **limits)


def test_name(tmp_path):
    assert open_source(labelled(tmp_path, {"x": 1}), name="mine").name == "mine"
