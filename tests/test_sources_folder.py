"""Folders as people have them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from featx.errors import ImageError, SourceError, SourceNotFoundError, SourceReadError
from featx.sources import open_source
from featx.sources.names import IMAGE_SUFFIXES, data_name, display, has_image_suffix, natural


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content of " + os.fsencode(name))
    return root


def paths(source) -> list[str]:
    return [entry.path for entry in source.entries]


def test_class_folders(tmp_path):
    make(tmp_path / "pets", "dog/2.jpg", "dog/10.jpg", "dog/1.JPG", "cat/a.png", "cat/b.webp")
    source = open_source(tmp_path / "pets")
    assert paths(source) == ["cat/a.png", "cat/b.webp", "dog/1.JPG", "dog/2.jpg", "dog/10.jpg"]
    assert source.frame.columns.tolist() == ["label"]
    assert source.frame["label"].tolist() == ["cat", "cat", "dog", "dog", "dog"]
    assert source.frame["label"].dtype == object
    assert source.name == "pets"
    assert source.ignored == 0
    assert "5 images in 2 class folders" in source.description
    assert str(tmp_path / "pets") in source.description


def test_deeper_folders_keep_the_first_level_as_label(tmp_path):
    make(tmp_path, "dog/small/1.jpg", "dog/large/old/1.jpg", "cat/1.jpg")
    source = open_source(str(tmp_path))
    assert paths(source) == ["cat/1.jpg", "dog/large/old/1.jpg", "dog/small/1.jpg"]
    assert source.frame["label"].tolist() == ["cat", "dog", "dog"]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "val", "test"), ["test", "train", "val"]),
        (("train", "valid"), ["train", "val"]),
        (("Training", "validation", "TESTING"), ["test", "train", "val"]),
        (("train",), ["train"]),
    ],
)
def test_split_folders(tmp_path, folders, splits):
    for folder in folders:
        make(tmp_path, f"{folder}/cat/1.jpg", f"{folder}/dog/deep/1.jpg")
    source = open_source(tmp_path)
    assert source.frame.columns.tolist() == ["label", "split"]
    assert source.frame["label"].tolist() == ["cat", "dog"] * len(folders)
    assert source.frame["split"].tolist() == [s for s in splits for _ in range(2)]


def test_a_split_folder_without_classes(tmp_path):
    make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg", "test/2.jpg")
    source = open_source(tmp_path)
    assert source.frame["label"].tolist() == [None, None, "cat", "dog"]
    assert source.frame["split"].tolist() == ["test", "test", "train", "train"]


def test_flat_split_folders_have_no_label(tmp_path):
    make(tmp_path, "train/1.jpg", "test/1.jpg")
    assert open_source(tmp_path).frame.columns.tolist() == ["split"]


@pytest.mark.parametrize("classes", [("train", "car"), ("train",), ("test", "val")])
def test_classes_named_like_splits(tmp_path, classes):
    """A railway train among vehicles is a class; so is one folder that holds images itself."""
    make(tmp_path, *(f"{name}/1.jpg" for name in classes))
    assert open_source(tmp_path).frame["label"].tolist() == sorted(classes)


def test_flat_folder(tmp_path):
    make(tmp_path, "img10.jpg", "img9.jpg", "Img1.jpg")
    source = open_source(tmp_path)
    assert paths(source) == ["Img1.jpg", "img9.jpg", "img10.jpg"]
    assert list(source.frame.columns) == []
    assert len(source.frame) == 3


def test_images_beside_class_folders_have_no_label(tmp_path):
    make(tmp_path, "cat/1.jpg", "loose.jpg")
    assert open_source(tmp_path).frame["label"].tolist() == ["cat", None]


def test_what_nobody_put_there_is_passed_over(tmp_path):
    make(
        tmp_path, "cat/1.jpg", "cat/.hidden.jpg", "cat/._1.jpg", ".git/x.jpg", "cat/Thumbs.db",
        ".ipynb_checkpoints/1-checkpoint.jpg", "cat/.ipynb_checkpoints/1.jpg", "desktop.ini",
        "__MACOSX/cat/._1.jpg", "__MACOSX/cat/1.jpg", ".DS_Store", "cat/@eaDir/1.jpg",
        "notes.txt", "cat/labels.csv", "cat/README", "cat/archive.zip",
    )  # fmt: skip
    source = open_source(tmp_path)
    assert paths(source) == ["cat/1.jpg"]
    assert source.ignored == 4


def test_every_file_serves_a_reader(tmp_path):
    make(tmp_path, "a/1.raw", "a/2", "b/.hidden", "b/3.jpg")
    source = open_source(tmp_path, every_file=True)
    assert paths(source) == ["a/1.raw", "a/2", "b/3.jpg"]
    assert source.ignored == 0


NAMES = [
    "with space.jpg",
    "émoji 🐈.jpg",
    "quote'\"and,comma.jpg",
    "漢字.jpg",
    "%41 #hash[0].jpg",
    "-rf.jpg",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(tmp_path, name):
    if sys.platform == "win32" and '"' in name:
        pytest.skip("no such name on Windows")
    make(tmp_path, f"a b/{name}")
    (entry,) = open_source(tmp_path).entries
    assert entry.path == f"a b/{name}"
    assert entry.read().startswith(b"content of ")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_names_that_are_no_text(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(folder)).mkdir()
    for name in (b"\xff\xfe.jpg", b"line\nbreak\t.png"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(name)
    source = open_source(tmp_path)
    assert paths(source) == ["caf\\xe9/line\nbreak\t.png", "caf\\xe9/\\xff\\xfe.jpg"]
    assert [entry.read() for entry in source.entries] == [b"line\nbreak\t.png", b"\xff\xfe.jpg"]
    assert source.entries[1].token[0] == folder + b"/\xff\xfe.jpg"
    assert source.frame["label"].tolist() == ["caf\\xe9"] * 2
    "".join(paths(source)).encode()  # can be written as UTF-8
    again = open_source(os.fsdecode(folder))
    assert again.name == "caf-xe9"
    assert len(open_source(Path(os.fsdecode(folder + b"/\xff\xfe.jpg"))).entries) == 1


def test_order_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    make(tmp_path, *(f"c{k % 3}/img{k}.jpg" for k in range(40)))
    want = paths(open_source(tmp_path))
    scandir = os.scandir

    class Reversed:
        def __init__(self, folder):
            self.items = list(scandir(folder))[::-1]

        def __enter__(self):
            return iter(self.items)

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(os, "scandir", Reversed)
    assert paths(open_source(tmp_path)) == want
    assert want[:4] == ["c0/img0.jpg", "c0/img3.jpg", "c0/img6.jpg", "c0/img9.jpg"]


def test_tokens_are_the_file_status(tmp_path):
    make(tmp_path, "a.jpg")
    (entry,) = open_source(tmp_path).entries
    status = (tmp_path / "a.jpg").stat()
    path, size, mtime, inode = entry.token
    assert path == os.fsencode(tmp_path / "a.jpg")
    assert (size, mtime) == (status.st_size, status.st_mtime_ns)
    assert inode == (0 if os.name == "nt" else status.st_ino)


def test_a_folder_and_a_table_give_one_token(tmp_path):
    make(tmp_path, "cat/a.jpg")
    (tmp_path / "t.csv").write_text("path\ncat/a.jpg\n")
    from_folder = open_source(tmp_path).entries[0].token
    assert open_source(tmp_path / "t.csv").entries[0].token == from_folder


def test_a_relative_folder_has_absolute_tokens(tmp_path, monkeypatch):
    make(tmp_path / "data", "a.jpg")
    monkeypatch.chdir(tmp_path)
    source = open_source("data")
    assert source.entries[0].token[0] == os.fsencode(tmp_path / "data" / "a.jpg")
    assert open_source(".").name == tmp_path.name


needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


@needs_links
def test_links_that_lead_in_circles(tmp_path):
    make(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "cat" / "self").symlink_to(tmp_path / "cat", target_is_directory=True)
    assert paths(open_source(tmp_path)) == ["cat/1.jpg"]


@needs_links
def test_links_to_files_and_folders_are_followed(tmp_path):
    make(tmp_path, "store/1.jpg", "set/dog/2.jpg")
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "set" / "dog" / "1.jpg").symlink_to(tmp_path / "store" / "1.jpg")
    source = open_source(tmp_path / "set")
    assert paths(source) == ["cat/1.jpg", "dog/1.jpg", "dog/2.jpg"]
    assert source.entries[1].read() == b"content of store/1.jpg"


@needs_links
def test_a_link_to_nothing_is_a_failure(tmp_path):
    make(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "2.jpg").symlink_to(tmp_path / "gone.jpg")
    _, broken = open_source(tmp_path).entries
    assert broken.failure == "a link to a file that is not there"
    assert broken.token is None
    with pytest.raises(ImageError, match="a link to a file that is not there"):
        broken.read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_is_not_opened(tmp_path):
    make(tmp_path, "1.jpg")
    os.mkfifo(tmp_path / "2.jpg")
    source = open_source(tmp_path)
    assert paths(source) == ["1.jpg"]
    assert source.ignored == 1
    with pytest.raises(SourceNotFoundError, match="not a file"):
        open_source([tmp_path / "2.jpg"])


def test_no_images(tmp_path):
    with pytest.raises(SourceError, match=r"no image in .*expected images"):
        open_source(tmp_path)
    make(tmp_path, "a.txt", "b/c.txt")
    with pytest.raises(SourceError, match="2 files without an image extension"):
        open_source(tmp_path)


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    make(tmp_path, "cat/1.jpg", "dog/1.jpg")
    scandir = os.scandir

    def refuse(folder):
        if folder.endswith("dog"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceReadError, match=r"cannot read .*dog.*Permission denied"):
        open_source(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything is permitted to root")
def test_permissions_in_earnest(tmp_path):
    make(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "1.jpg").chmod(0)
    with pytest.raises(SourceReadError, match="Permission denied"):
        open_source(tmp_path).entries[0].read()
    (tmp_path / "cat").chmod(0)
    try:
        with pytest.raises(SourceReadError, match="Permission denied"):
            open_source(tmp_path)
    finally:
        (tmp_path / "cat").chmod(0o755)


def test_a_file_that_went_away_is_no_disk_error(tmp_path):
    make(tmp_path, "1.jpg")
    (entry,) = open_source(tmp_path).entries
    (tmp_path / "1.jpg").unlink()
    with pytest.raises(ImageError, match="no such file"):
        entry.read()


@pytest.mark.parametrize("number", [5, 13, 116])
def test_a_disk_error_is_no_bad_image(tmp_path, monkeypatch, number):
    make(tmp_path, "1.jpg")
    (entry,) = open_source(tmp_path).entries

    def fail(*_):
        raise OSError(number, "the disk is on fire")

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(SourceReadError, match=r"1\.jpg.*the disk is on fire"):
        entry.read()


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(SourceNotFoundError, match=str(tmp_path / "nothing").replace("\\", ".")):
        open_source(tmp_path / "nothing")
    with pytest.raises(SourceNotFoundError, match="--root"):
        open_source(tmp_path, root=tmp_path / "nothing")


def test_a_single_image(tmp_path):
    make(tmp_path, "a.jpg")
    source = open_source(tmp_path / "a.jpg")
    assert paths(source) == [str(tmp_path / "a.jpg")]
    assert source.entries[0].read() == b"content of a.jpg"
    assert len(source.frame) == 1


@pytest.mark.parametrize("name", ["a.zip", "a.mp4", "noextension"])
def test_other_files_say_what_is_accepted(tmp_path, name):
    make(tmp_path, name)
    with pytest.raises(SourceError, match=r"nothing featx reads; expected a folder of images"):
        open_source(tmp_path / name)
    assert len(open_source(tmp_path / name, every_file=True).entries) == 1


def test_names():
    assert has_image_suffix("a.b.JPeG")
    assert not has_image_suffix("jpg")
    assert not has_image_suffix("a.jpg.txt")
    assert {"jpg", "png", "heic", "tif"} <= IMAGE_SUFFIXES
    names = ["b2", "a10", "B1", "a9", "a010", "a", "1", "٣", "a" + "9" * 250]
    ordered = ["1", "a", "a9", "a010", "a10", "a" + "9" * 250, "B1", "b2", "٣"]
    assert sorted(names, key=natural) == ordered
    assert display("a\udcffé") == "a\\xffé"
    assert data_name("my photos (2024)!") == "my-photos-2024"
    assert data_name("...") == "images"


def test_listing_is_fast(tmp_path):
    for k in range(10):
        folder = tmp_path / f"class{k}"
        folder.mkdir()
        for i in range(200):
            (folder / f"img{i}.jpg").touch()
    start = time.perf_counter()
    assert len(open_source(tmp_path).entries) == 2000
    assert time.perf_counter() - start < 0.5  # 0.03 s on a quiet machine


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_to_itself_is_left_out(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "loop").symlink_to("loop")
    source = open_source(tmp_path)
    assert [entry.path for entry in source.entries] == ["a.png"]
    assert source.ignored == 1
