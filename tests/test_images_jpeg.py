"""Which JPEGs any decoder takes for the same picture."""

from __future__ import annotations

import io

import pytest
from helpers_images import encode, pixels
from PIL import Image

from featx.errors import ImageError
from featx.images import plain_jpeg_size

SIZE = (30, 44)


def jpeg(**options) -> bytes:
    return encode(pixels(*SIZE), "JPEG", **options)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(exif=exif)


def segment(marker: int, payload: bytes) -> bytes:
    """A JPEG with one more segment, before all others."""
    data = jpeg()
    length = (len(payload) + 2).to_bytes(2, "big")
    return data[:2] + bytes([0xFF, marker]) + length + payload + data[2:]


@pytest.mark.parametrize(
    "data",
    [
        jpeg(),
        jpeg(progressive=True),
        jpeg(quality=95, subsampling="4:4:4", optimize=True, comment=b"RGB"),
        jpeg(icc_profile=b"x" * 70_000),
        encode(pixels(*SIZE, None), "JPEG"),
        turned(1),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01"),
    ],
)
def test_what_every_decoder_takes_for_the_same(data):
    assert plain_jpeg_size(data) == SIZE
    assert Image.open(io.BytesIO(data)).size == SIZE[::-1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        encode(pixels(*SIZE)),
        jpeg()[:-2],
        jpeg() + b"\0",
        jpeg()[:20] + b"\xff\xd9",
        encode(Image.new("CMYK", SIZE), "JPEG"),
        jpeg(keep_rgb=True),
        *(turned(i) for i in range(2, 9)),
        segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<tiff:Orientation>6</tiff:Orientation>"),
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"),
        segment(0xC3, b"\x08\0\x10\0\x10\x01\x01\x11\0"),
        segment(0xC9, b"\x08\0\x10\0\x10\x01\x01\x11\0"),
        *(
            jpeg().replace(b"\xff\xda", between + turned(6)[20:200] + b"\xff\xda", 1)
            for between in (b"\xff", b"\0", b"\xff\0", b"\xff\xd0", b"\xff\x01")
        ),
        jpeg().replace(b"\xff\xda", b"\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0\xff\xda", 1),
        segment(0xFE, b"")[:4] + b"\0\1" + jpeg()[2:],
        jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    ],
)
def test_what_is_left_to_the_decoder_that_knows_more(data):
    assert plain_jpeg_size(data) is None


def test_every_cut_of_the_header_is_left_to_it_too():
    data = jpeg()
    scan = data.index(b"\xff\xda")
    for stop in range(2, scan):
        assert plain_jpeg_size(data[:stop] + b"\xff\xd9") in (None, SIZE)


def test_too_many_pixels_are_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    with pytest.raises(ImageError, match="44 x 30 pixels"):
        plain_jpeg_size(jpeg())
