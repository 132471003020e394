"""Damaged bytes: a reason in words, never another exception, never a word from Pillow."""

from __future__ import annotations

import dataclasses
import errno
import io
import logging
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from helpers_images import encode, pixels, png16, tiff
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from featx._quiet import quiet
from featx.errors import ImageError
from featx.images import digest, load
from featx.recipe import Preprocess

PRE = Preprocess(image_size=(16, 16), resize_size=18)
EVERYTHING = dataclasses.replace(PRE, page="all", channels="each", intensity="percentile:1:99")


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """Give a PNG that claims a size, with no pixels to speak of."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def heic() -> bytes:
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 200


BAD = {
    "zero bytes": (b"", "zero bytes"),
    "text": (b"path,label\nimg.png,cat\n", "not an image that Pillow reads.*--reader"),
    "one byte": (b"\xff", "not an image that Pillow reads"),
    "html": (b"<!DOCTYPE html><HTML><body>404</body></html>", "a web page, not an image"),
    "svg": (b'<?xml version="1.0"?><svg xmlns="x"></svg>', "an SVG drawing"),
    "pdf": (b"%PDF-1.7 ...", "a PDF"),
    "zip": (b"PK\x03\x04" + b"\0" * 99, "a zip archive"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
    "heic": (heic(), "HEIC, which Pillow does not read; convert it to JPEG, or use --reader"),
    "video": (b"\0\0\0\x18ftypisom\0\0\0\0" + b"\0" * 99, "a video or isom file"),
    "dicom": (b"\0" * 128 + b"DICM" + b"\0" * 99, "DICOM; read it with --reader module:function"),
    "npy": (b"\x93NUMPY\x01\0", "a NumPy array"),
    "jpeg header": (encode(pixels(20, 30), "JPEG")[:20], "a JPEG with a damaged header"),
    "jpeg half": (encode(pixels(99, 99), "JPEG")[:2000], "truncated"),
    "png half": (encode(pixels(99, 99))[:2000], "truncated"),
    "gif half": (encode(pixels(99, 99), "GIF")[:4000], "truncated"),
    "webp half": (encode(pixels(99, 99), "WEBP")[:1000], "a WebP .* damaged header|cannot be"),
    "bmp half": (encode(pixels(99, 99), "BMP")[:1000], "truncated"),
    "tiff half": (encode(pixels(99, 99), "TIFF")[:1000], "."),
    "tiff header": (b"II*\0\x08\0\0\0", "."),
    "16-bit png half": (png16(pixels(99, 99).astype("u2") * 257)[:2000], "."),
    "bomb": (png_header(60_000, 60_000), "perhaps a decompression bomb"),
    "16-bit bomb": (png_header(60_000, 60_000, bits=16), "perhaps a decompression bomb"),
    "large lie": (png_header(12_000, 9_000), "truncated"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_fail_with_a_reason(what):
    data, reason = BAD[what]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pre in (PRE, EVERYTHING):
            with pytest.raises(ImageError, match=reason):
                load(data, pre)
    assert len(digest(data)) == 16


@pytest.mark.parametrize("deep", [False, True])
def test_no_flipped_bit_of_a_png_becomes_a_pixel(deep):
    image = pixels(12, 14)
    data = png16(image.astype("u2") * 257) if deep else encode(image)
    pre = Preprocess(image_size=(12, 14), resize="none", intensity="dtype")
    (right,) = load(data, pre)
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << (at % 8)
        try:
            (got,) = load(bytes(flipped), pre)
        except ImageError:
            continue
        np.testing.assert_array_equal(got, right)


def bomb_tiff(width: int, height: int) -> bytes:
    data = bytearray(tiff(pixels(4, 4, None).astype("u2"), photometric="minisblack"))
    at = data.index(struct.pack("<HHI", 256, 4, 1) if b"II" in data[:2] else b"")
    for code, value in ((256, width), (257, height)):
        at = data.index(struct.pack("<H", code), 8)
        kind = struct.unpack_from("<H", data, at + 2)[0]
        struct.pack_into("<I" if kind == 4 else "<H", data, at + 8, value)
    return bytes(data)


def test_a_deep_tiff_bomb():
    with pytest.raises(ImageError, match=r"60000 x 60000 pixels: .* decompression bomb"):
        load(bomb_tiff(60_000, 60_000), dataclasses.replace(PRE, intensity="dtype"))


def test_a_large_image_below_the_limit_is_read_without_a_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(encode(pixels(60, 80)), PRE)[0].shape == (16, 16, 3)
        with pytest.raises(ImageError, match="bomb"):
            load(encode(pixels(80, 80)), PRE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load(encode(pixels(80, 80)), PRE)[0].shape == (16, 16, 3)


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOSPC, "full")])
def test_what_is_not_the_fault_of_the_image_passes_through(monkeypatch, error):
    def fail(self, *_):
        raise error

    monkeypatch.setattr(Image.Image, "resize", fail)
    with pytest.raises(type(error)):
        load(encode(pixels(20, 30)), PRE)


@pytest.mark.parametrize("error", [MemoryError(), SyntaxError("bad EXIF")])
def test_orientation_that_cannot_be_read(monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(Image.Image, "getexif", fail)
    data = encode(pixels(16, 16), "BMP")
    if isinstance(error, MemoryError):
        with pytest.raises(MemoryError):
            load(data, PRE)
    else:
        assert load(data, PRE)[0].shape == (16, 16, 3)


def test_an_error_without_words_is_named():
    def fail(data: bytes) -> np.ndarray:
        raise ZeroDivisionError

    from featx.images.decode import image_errors

    with pytest.raises(ImageError, match="cannot be decoded: ZeroDivisionError"), image_errors():
        fail(b"")


def test_nothing_is_printed(capfd, caplog):
    """tifffile logs, Pillow warns, C libraries print: none of it reaches the terminal."""
    logging.getLogger("tifffile").handlers.clear()
    for data, _ in BAD.values():
        with pytest.raises(ImageError):
            load(data, PRE)
    assert capfd.readouterr() == ("", "")


def test_the_filter_is_taken_back():
    before = list(warnings.filters)
    with quiet(r"PIL\."), quiet(r"PIL\."):
        assert len(warnings.filters) == len(before) + 1
    assert list(warnings.filters) == before


def test_the_filter_is_counted_over_threads():
    """One thread leaves while another decodes: the other is still quiet, and all is undone."""
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with quiet(r"PIL\."):
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=stay)
    with quiet(r"PIL\."):
        thread.start()
        inside.wait(5)
    assert len(warnings.filters) == len(before) + 1
    leave.set()
    thread.join()
    assert list(warnings.filters) == before


def test_many_threads_decode_alike():
    from concurrent.futures import ThreadPoolExecutor

    files = [encode(pixels(60, 80, seed=k), "JPEG") for k in range(8)] + [b"no image"]
    want = [load(data, PRE)[0] for data in files[:-1]]

    def act(k: int) -> bool:
        if k % 9 == 8:
            with pytest.raises(ImageError):
                load(files[8], PRE)
            return True
        return bool((load(files[k % 9], PRE)[0] == want[k % 9]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(act, range(180)))


def frames(kind: str) -> bytes:
    images = [Image.fromarray(pixels(12, 14, seed=k)) for k in range(3)]
    return encode(images[0], kind, save_all=True, append_images=images[1:])


def seeds() -> list[bytes]:
    """Give one small real file of each kind that has a path of its own."""
    rgb, deep = pixels(12, 14), pixels(12, 14).astype("u2") * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        encode(rgb),
        encode(rgb, "JPEG", exif=exif),
        encode(rgb, "JPEG", progressive=True),
        encode(Image.fromarray(rgb).convert("CMYK"), "JPEG"),
        encode(Image.fromarray(rgb).quantize(16), transparency=3),
        frames("GIF"),
        frames("PNG"),
        frames("WEBP"),
        frames("MPO"),
        encode(rgb, "BMP"),
        encode(rgb, "TGA"),
        encode(rgb, "PPM"),
        encode(rgb, "JPEG2000"),
        encode(rgb, "ICO"),
        encode(rgb, "PCX"),
        encode(rgb, "SGI"),
        encode(Image.fromarray(deep[:, :, 0]), "JPEG2000"),
        png16(deep),
        frames("TIFF"),
        encode(rgb, "TIFF", compression="tiff_lzw"),
        encode(rgb, "TIFF", compression="jpeg"),
        tiff(deep, photometric="rgb"),
        tiff(deep[:, :, 0], compression="lzw"),
        tiff(np.stack([deep[:, :, 0]] * 2), imagej=True, photometric="minisblack"),
        tiff(pixels(12, 14, 5), photometric="minisblack", planarconfig="contig"),
        tiff((rgb / 255).astype("f4"), photometric="rgb", tile=(16, 16)),
    ]


SEEDS = seeds()


def mangle(data: bytes, cut: float, flips: list[tuple[float, int]]) -> bytes:
    out = bytearray(data[: max(1, round(len(data) * cut))])
    for where, value in flips:
        out[int(where * (len(out) - 1))] ^= value
    return bytes(out)


def either_right_or_refused(data: bytes) -> None:
    for pre in (PRE, EVERYTHING):
        try:
            items = load(data, pre)
        except ImageError:
            continue
        assert items
        for item in items:
            assert item.shape == (16, 16, 3)
            assert item.dtype in (np.uint8, np.float32)
            assert np.isfinite(item).all()


@pytest.fixture
def small_limit(monkeypatch):
    """Refuse what claims to be large: allowed by default, but slow to decode by the thousand."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)


damage = st.tuples(
    st.integers(0, len(SEEDS) - 1),
    st.one_of(st.just(1.0), st.floats(0, 1)),
    st.lists(
        st.tuples(st.one_of(st.floats(0, 1), st.floats(0, 0.1)), st.integers(1, 255)), max_size=6
    ),
)
RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=200, derandomize=True, **RELAXED)
@given(damage)
def test_damage_is_refused_or_harmless(small_limit, case):
    seed, cut, flips = case
    either_right_or_refused(mangle(SEEDS[seed], cut, flips))


@pytest.mark.slow
@settings(max_examples=4000, **RELAXED)
@given(damage)
def test_much_damage_is_refused_or_harmless(small_limit, case):
    seed, cut, flips = case
    either_right_or_refused(mangle(SEEDS[seed], cut, flips))


@pytest.mark.slow
@settings(max_examples=500, **RELAXED)
@given(st.binary(max_size=300), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"\xff\xd8\xff"]))
def test_noise_is_refused_or_harmless(small_limit, noise, mark):
    either_right_or_refused(mark + noise)


def test_every_seed_can_be_read():
    for data in SEEDS:
        assert load(data, EVERYTHING)


def test_digest_of_a_file_closed_in_pillow():
    image = Image.open(io.BytesIO(encode(pixels(20, 30))))
    image.close()
    with pytest.raises(ImageError):
        digest(image)
