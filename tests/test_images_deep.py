"""More than 8 bits, other channels, arrays: refused with what was seen, then read right."""

from __future__ import annotations

import dataclasses
import io
import re

import numpy as np
import pytest
from helpers_images import encode, pixels, png16, tiff
from PIL import Image

from featx.errors import ImageError, UsageError
from featx.images import check_preprocess, digest, load
from featx.recipe import Preprocess

AS_IT_IS = Preprocess(image_size=(20, 30), resize="none")


def having(**fields) -> Preprocess:
    return dataclasses.replace(AS_IT_IS, **fields)


def deep(channels: int | None = None, top: int = 65535, dtype: str = "u2") -> np.ndarray:
    shape = (20, 30, channels) if channels else (20, 30)
    x = np.random.default_rng(3).integers(0, top, shape).astype(dtype)
    x.flat[0], x.flat[1] = 0, top
    return x


def rgb(x: np.ndarray) -> np.ndarray:
    return np.repeat(x[:, :, None], 3, axis=2) if x.ndim == 2 else x


DEEP = {
    "png grey": (png16(deep()), deep()),
    "png rgb": (png16(deep(3)), deep(3)),
    "tiff grey": (tiff(deep()), deep()),
    "tiff rgb": (tiff(deep(3), photometric="rgb"), deep(3)),
    "tiff planar rgb": (
        tiff(np.moveaxis(deep(3), 2, 0), photometric="rgb", planarconfig="separate"),
        deep(3),
    ),
    "tiff big-endian": (tiff(deep(), byteorder=">"), deep()),
    "bigtiff lzw": (tiff(deep(), bigtiff=True, compression="lzw"), deep()),
    "tiff white is zero": (tiff(65535 - deep(), photometric="miniswhite"), deep()),
    "jpeg 2000": (encode(Image.fromarray(deep()), "JPEG2000", irreversible=False), deep()),
    "pgm": (encode(Image.fromarray(deep().astype("i4")), "PPM"), deep()),
    "uint32 tiff": (tiff(deep(dtype="u4", top=2**32 - 1)), deep(dtype="u4", top=2**32 - 1)),
}


@pytest.mark.parametrize("what", DEEP)
def test_more_than_8_bits(what):
    data, values = DEEP[what]
    top = float(values.max())
    with pytest.raises(ImageError) as caught:
        load(data, AS_IT_IS)
    assert re.search(rf"values 0 to {top:.0f} of 0 to {top:.0f}: say how", str(caught.value))
    for option in ("--intensity dtype", f"fixed:0:{top:.0f}", "percentile:1:99"):
        assert option in str(caught.value)
    (got,) = load(data, having(intensity="dtype"))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, rgb(values / top), atol=1e-6)
    (got,) = load(data, having(intensity="fixed:1000:20000"))
    np.testing.assert_allclose(got, rgb(np.clip((values - 1000.0) / 19000, 0, 1)), atol=1e-6)
    (got,) = load(data, having(intensity="percentile:2:90"))
    low, high = np.percentile(values, [2, 90])
    np.testing.assert_allclose(got, rgb(np.clip((values - low) / (high - low), 0, 1)), atol=1e-6)


def test_12_bits_in_a_16_bit_container():
    values = deep(top=4095)
    data = tiff(values)
    with pytest.raises(ImageError, match=r"uint16 values 0 to 4095 of 0 to 65535.*fixed:0:4095"):
        load(data, AS_IT_IS)
    (got,) = load(data, having(intensity="dtype"))
    np.testing.assert_allclose(got, rgb(values / 65535), atol=1e-6)
    (got,) = load(data, having(intensity="fixed:0:4095"))
    np.testing.assert_allclose(got, rgb(values / 4095), atol=1e-6)


def packed_12_bit_tiff(values: np.ndarray) -> bytes:
    """Write the TIFF by hand (TIFF 6.0, section 2): one strip, BitsPerSample 12."""
    import struct

    bits = "".join(f"{v:012b}" for v in values.ravel())
    strip = int(bits, 2).to_bytes(len(bits) // 8, "big")
    tags = [
        (256, 4, values.shape[1]),
        (257, 4, values.shape[0]),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8 + 2 + 12 * 9 + 4),
        (277, 3, 1),
        (278, 4, values.shape[0]),
        (279, 4, len(strip)),
    ]
    directory = struct.pack("<H", len(tags))
    for code, kind, value in tags:
        directory += struct.pack("<HHII", code, kind, 1, value)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + strip


def test_a_tiff_of_12_bits_has_4095_for_white():
    values = deep(top=4095)
    data = packed_12_bit_tiff(values)
    with pytest.raises(ImageError, match="values 0 to 4095 of 0 to 4095"):
        load(data, AS_IT_IS)
    (got,) = load(data, having(intensity="dtype"))
    np.testing.assert_allclose(got, rgb(values / 4095), atol=1e-6)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_float_tiff(dtype):
    values = (np.random.default_rng(0).random((20, 30)) * 0.9 + 0.05).astype(dtype)
    data = tiff(values)
    with pytest.raises(ImageError, match=rf"float{8 * int(dtype[1])} values 0\.05.* of 0 to 1"):
        load(data, AS_IT_IS)
    np.testing.assert_allclose(
        load(data, having(intensity="dtype"))[0], rgb(values.astype("f4")), atol=1e-6
    )
    above = tiff(values * 100)
    with pytest.raises(ImageError, match="outside 0 to 1; say --intensity fixed:LO:HI"):
        load(above, having(intensity="dtype"))
    (got,) = load(above, having(intensity="fixed:0:100"))
    np.testing.assert_allclose(got, rgb(values), atol=1e-3)


def test_values_that_are_not_finite():
    values = np.ones((20, 30), np.float32)
    values[3, 4] = np.nan
    with pytest.raises(ImageError, match="not finite"):
        load(tiff(values), AS_IT_IS)
    for intensity in ("dtype", "fixed:0:1", "percentile:1:99"):
        with pytest.raises(ImageError, match="not finite"):
            load(tiff(values), having(intensity=intensity))


def test_huge_floats():
    values = np.full((20, 30), 1e308)
    values[:10] = -1e308
    (got,) = load(values, having(intensity="fixed:-9e307:1e307"))
    np.testing.assert_array_equal(got, rgb((values > 0).astype(np.float32)))


def test_signed_integers_have_no_full_intensity():
    values = (deep(top=3000).astype(np.int32) - 1024).astype(np.int16)  # a CT slice
    data = tiff(values)
    with pytest.raises(ImageError, match=r"int16 values -1024 to 1976: say .*fixed:-1024:2047"):
        load(data, AS_IT_IS)
    with pytest.raises(ImageError, match="--intensity dtype has no meaning"):
        load(data, having(intensity="dtype"))
    (got,) = load(data, having(intensity="fixed:-160:240"))
    np.testing.assert_allclose(got, rgb(np.clip((values + 160.0) / 400, 0, 1)), atol=1e-6)


def test_transparency_of_16_bits_is_put_on_white():
    values = deep(4)
    data = png16(values)
    with pytest.raises(ImageError, match="uint16"):
        load(data, AS_IT_IS)
    (got,) = load(data, having(intensity="dtype"))
    a = values[:, :, 3:] / 65535
    np.testing.assert_allclose(got, values[:, :, :3] / 65535 * a + 1 - a, atol=1e-6)
    data = png16(deep(2))
    (got,) = load(data, having(intensity="fixed:0:30000"))
    grey, a = deep(2)[:, :, :1], deep(2)[:, :, 1:] / 65535
    np.testing.assert_allclose(
        got, np.repeat(np.clip(grey / 30000, 0, 1) * a + 1 - a, 3, 2), atol=1e-6
    )


@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
def test_transparency_in_a_16_bit_tiff(kind):
    colour, a = deep(3), deep(1, top=60000).astype(np.uint16) + 5000
    stored = colour if kind == "unassalpha" else (colour * (a / 65535)).astype(np.uint16)
    data = tiff(np.dstack([stored, a]), photometric="rgb", extrasamples=[kind])
    (got,) = load(data, having(intensity="dtype"))
    part = a / 65535
    np.testing.assert_allclose(got, colour / 65535 * part + 1 - part, atol=1e-4)


def test_a_transparent_colour_of_a_16_bit_png():
    values = deep(3)
    data = bytearray(png16(values))
    import struct
    import zlib

    body = b"tRNS" + struct.pack(">3H", *values[4, 5].tolist())
    chunk = struct.pack(">I", 6) + body + struct.pack(">I", zlib.crc32(body))
    data[33:33] = chunk
    (got,) = load(bytes(data), having(intensity="dtype"))
    want = values / 65535
    want[4, 5] = 1
    np.testing.assert_allclose(got, want, atol=1e-6)


FIVE = pixels(20, 30, 5)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_five_channels(planar):
    array = FIVE if planar == "contig" else np.moveaxis(FIVE, 2, 0)
    data = tiff(np.ascontiguousarray(array), photometric="minisblack", planarconfig=planar)
    with pytest.raises(ImageError, match=r"5 channels: .*--channels 0,1,2 .*--channels each"):
        load(data, AS_IT_IS)
    (got,) = load(data, having(channels="4,0,2"))
    np.testing.assert_array_equal(got, FIVE[:, :, [4, 0, 2]])
    each = load(data, having(channels="each"))
    assert len(each) == 5
    np.testing.assert_array_equal(each[3], rgb(FIVE[:, :, 3]))


def test_two_questions_are_asked_at_once():
    data = tiff(deep(5), photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match=r"5 channels: .*--channels each.*; uint16 values"):
        load(data, AS_IT_IS)
    each = load(data, having(channels="each", intensity="percentile:0:100"))
    x = deep(5)[:, :, 2].astype(float)
    np.testing.assert_allclose(each[2], rgb((x - x.min()) / (x.max() - x.min())), atol=1e-6)


def test_two_channels():
    two = np.ascontiguousarray(FIVE[:, :, :2])
    data = tiff(two, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match="2 channels"):
        load(data, AS_IT_IS)
    np.testing.assert_array_equal(load(data, having(channels="1"))[0], rgb(two[:, :, 1]))


def test_a_fourth_channel_that_is_not_alpha():
    """Red, green, blue and near infrared: taking it for alpha would spoil the picture."""
    four = np.ascontiguousarray(FIVE[:, :, :4])
    data = tiff(four, photometric="rgb", extrasamples=["unspecified"])
    with pytest.raises(ImageError, match="4 channels"):
        load(data, AS_IT_IS)
    np.testing.assert_array_equal(load(data, having(channels="3,0,1"))[0], four[:, :, [3, 0, 1]])


def test_a_stack_of_deep_pages():
    stack = np.stack([deep(), deep()[::-1], deep()[:, ::-1]])
    data = tiff(stack, photometric="minisblack")
    with pytest.raises(ImageError, match="3 pages: --page 0"):
        load(data, having(intensity="dtype"))
    pages = load(data, having(intensity="dtype", page="all"))
    for got, want in zip(pages, stack, strict=True):
        np.testing.assert_allclose(got, rgb(want / 65535), atol=1e-6)
    (one,) = load(data, having(intensity="dtype", page="1"))
    np.testing.assert_array_equal(one, pages[1])


def test_items_run_page_by_page_and_channel_by_channel():
    stack = np.stack([FIVE, FIVE[::-1]])
    data = tiff(stack, photometric="minisblack", planarconfig="contig")
    pre = having(page="all", channels="each")
    items = load(data, pre)
    assert len(items) == 10
    np.testing.assert_array_equal(items[7], rgb(stack[1, :, :, 2]))


def test_an_imagej_stack_behind_one_page():
    """ImageJ writes large stacks with one directory; the rest would be lost in silence."""
    stack = np.stack([deep(), deep()[::-1], deep()[:, ::-1]])
    data = tiff(stack, imagej=True, photometric="minisblack")
    single = io.BytesIO(data)
    import struct

    import tifffile

    with tifffile.TiffFile(single) as file:
        page = file.pages[0]
        end = page.offset + 2 + 12 * len(page.tags)
    cut = data[:end] + struct.pack(f"{file.byteorder}I", 0) + data[end + 4 :]
    with pytest.raises(ImageError, match="3 pages"):
        load(cut, AS_IT_IS)
    pages = load(cut, having(page="all", intensity="dtype"))
    for got, want in zip(pages, stack, strict=True):
        np.testing.assert_allclose(got, rgb(want / 65535), atol=1e-6)


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_of_deep_images(turn):
    from PIL import ImageOps

    shape = (20, 30) if turn < 5 else (30, 20)
    values = deep().reshape(shape)
    exif = Image.Exif()
    exif[0x0112] = turn
    seen8 = Image.fromarray((values >> 8).astype(np.uint8))
    seen8.getexif()[0x0112] = turn
    seen = np.asarray(ImageOps.exif_transpose(seen8))
    data = tiff(values, extratags=[(274, 3, 1, turn, True)])
    (got,) = load(data, having(intensity="dtype"))
    np.testing.assert_array_equal((got[:, :, 0] * 65535).round().astype(int) >> 8, seen)
    data = encode(Image.fromarray(values), "PNG", exif=exif)
    (again,) = load(data, having(intensity="dtype"))
    np.testing.assert_array_equal(got, again)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_floats_are_resized_as_pillow_resizes_floats(interpolation):
    values = deep(3)
    pre = Preprocess(
        image_size=(16, 16), resize_size=18, interpolation=interpolation, intensity="dtype"
    )
    (got,) = load(png16(values), pre)
    planes = [
        np.asarray(
            Image.fromarray((values[:, :, k] / 65535).astype("f4")).resize(
                (27, 18), Image.Resampling[interpolation.upper()]
            )
        )
        for k in range(3)
    ]
    want = np.clip(np.stack(planes, axis=2), 0, 1)[1:17, 6:22]  # round(5.5) is 6
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert got.min() >= 0
    assert got.max() <= 1


def test_floats_agree_with_bytes_of_the_same_picture():
    image = pixels(50, 70)
    pre = Preprocess(image_size=(32, 32), resize_size=40)
    (eight,) = load(encode(image), pre)
    wide = png16(image.astype(np.uint16) * 257)
    (sixteen,) = load(wide, dataclasses.replace(pre, intensity="dtype"))
    assert np.abs(sixteen * 255 - eight).max() <= 1.01
    for resize in ("pad", "squash"):
        pre = dataclasses.replace(pre, resize=resize)
        (eight,) = load(encode(image), pre)
        (sixteen,) = load(wide, dataclasses.replace(pre, intensity="dtype"))
        assert np.abs(sixteen * 255 - eight).max() <= 1.01


def test_percentiles_that_coincide():
    values = np.zeros((20, 30), np.uint16)
    values[5, 5] = 700
    (got,) = load(values, having(intensity="percentile:1:99"))
    np.testing.assert_array_equal(got, rgb((values > 0).astype(np.float32)))


def test_files_that_pillow_would_cut_to_8_bits():
    ppm = b"P6\n30 20\n65535\n" + deep(3).astype(">u2").tobytes()
    sgi = encode(pixels(20, 30, None), "SGI", bpc=2)
    for data in (ppm, sgi):
        for pre in (AS_IT_IS, having(intensity="dtype")):
            with pytest.raises(ImageError, match="16 bits a channel, of which Pillow keeps 8"):
                load(data, pre)


def test_deep_files_open_in_pillow():
    for data in (png16(deep(3)), tiff(deep(3), photometric="rgb")):
        for act in (digest, lambda image: load(image, AS_IT_IS)):
            with pytest.raises(ImageError, match="of which Pillow keeps 8"):
                act(Image.open(io.BytesIO(data)))
    with pytest.raises(ImageError, match="uint16 values"):
        load(Image.open(io.BytesIO(png16(deep()))), AS_IT_IS)


def test_deep_jpeg_2000_in_colour():
    import imagecodecs

    values = deep(3, top=4095)
    data = imagecodecs.jpeg2k_encode(values, bitspersample=12, level=0, reversible=True)
    with pytest.raises(ImageError, match="of 0 to 4095"):
        load(data, AS_IT_IS)
    (got,) = load(data, having(intensity="dtype"))
    np.testing.assert_allclose(got, values / 4095, atol=1e-6)


def test_deep_colour_spaces_that_need_a_reader():
    data = tiff(deep(4), photometric="separated")
    with pytest.raises(ImageError, match="16 bits in the colour space SEPARATED"):
        load(data, having(intensity="dtype"))


def test_transparency_without_a_full_intensity():
    data = tiff(deep(4).astype("i2"), photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(ImageError, match="transparency in signed int16"):
        load(data, having(intensity="fixed:0:1"))


def test_a_later_frame_of_a_deep_animation():
    frames = [Image.fromarray(deep()), Image.fromarray(deep()[::-1])]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    (first,) = load(data, having(intensity="dtype", page="0"))
    np.testing.assert_allclose(first, rgb(deep() / 65535), atol=1e-6)
    with pytest.raises(ImageError, match="a later frame of a 16-bit PNG"):
        load(data, having(intensity="dtype", page="all"))


def test_a_volume_in_one_page():
    data = tiff(np.stack([deep()] * 4), volumetric=True, photometric="minisblack")
    with pytest.raises(ImageError, match=r"axes ZYX"):
        load(data, having(intensity="dtype"))


ARRAYS = {
    "grey": (pixels(20, 30, None), rgb(pixels(20, 30, None))),
    "grey with axis": (pixels(20, 30, 1), rgb(pixels(20, 30, 1)[:, :, 0])),
    "rgb": (pixels(20, 30), pixels(20, 30)),
    "rgb strided": (pixels(40, 60)[::2, ::-2], pixels(40, 60)[::2, ::-2]),
    "bool": (pixels(20, 30, None) > 99, rgb((pixels(20, 30, None) > 99) * 255)),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_arrays(what):
    array, seen = ARRAYS[what]
    np.testing.assert_array_equal(load(array, AS_IT_IS)[0], seen)


def test_an_rgba_array_is_put_on_white():
    four = pixels(20, 30, 4)
    np.testing.assert_array_equal(load(four, AS_IT_IS)[0], load(encode(four), AS_IT_IS)[0])


def test_float_arrays_ask_for_an_intensity():
    values = np.random.default_rng(0).random((20, 30, 3))
    with pytest.raises(ImageError, match="float64 values"):
        load(values, AS_IT_IS)
    np.testing.assert_allclose(load(values, having(intensity="dtype"))[0], values, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 20, 30), np.uint8), r"expected \(H, W, C\).*moveaxis\(x, 0, -1\)"),
        (np.zeros((2, 3, 20, 30), np.uint8), r"expected \(H, W, C\).*moveaxis\(x, 1, -1\)"),
        (np.zeros(30, np.uint8), "shape"),
        (np.zeros((0, 30), np.uint8), "shape"),
        (np.zeros((2, 2), "U3"), "expected numbers"),
        (np.zeros((2, 2), complex), "expected numbers"),
        (np.zeros((2, 2), object), "expected numbers"),
        (np.zeros((20, 30, 6), np.uint8), "6 channels"),
        (np.zeros((20, 30, 4), np.uint16), "4 channels"),
        (np.zeros((5, 20, 30, 3), np.uint8), "5 pages"),
        ("a text", "str is no image"),
    ],
)
def test_arrays_that_are_no_image_beyond_doubt(array, said):
    with pytest.raises(ImageError, match=said):
        load(array, AS_IT_IS)


def test_digest_of_arrays():
    x = pixels(20, 30)
    assert digest(x) == digest(np.asfortranarray(x)) == digest(pixels(40, 60)[::2, ::2] * 0 + x)
    others = [x.astype("u2"), x.reshape(30, 20, 3), x + 1, x.astype(">u2"), x[:, :, 0]]
    assert len({digest(y) for y in [x, *others]}) == 6
    with pytest.raises(ImageError, match="object"):
        digest(np.array([None]))


def reads_raw(data: bytes) -> np.ndarray:
    """Stand for the person's own reader of another format."""
    return np.frombuffer(data, np.uint16).reshape(20, 30)


def reads_two(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8).reshape(2, 20, 30, 3)


def reads_nothing(data: bytes) -> object:
    return None


def fails(data: bytes) -> np.ndarray:
    raise KeyError("no such frame")


not_a_function = 3


def test_reader():
    pre = having(reader=f"{__name__}:reads_raw", intensity="dtype")
    (got,) = load(deep().tobytes(), pre)
    np.testing.assert_allclose(got, rgb(deep() / 65535), atol=1e-6)
    with pytest.raises(ImageError, match="uint16 values"):
        load(deep().tobytes(), having(reader=f"{__name__}:reads_raw"))


def test_reader_of_several_pages():
    data = pixels(40, 30).tobytes()
    pre = having(reader=f"{__name__}:reads_two")
    with pytest.raises(ImageError, match="2 pages"):
        load(data, pre)
    assert len(load(data, dataclasses.replace(pre, page="all"))) == 2


def test_a_reader_that_fails_fails_the_image():
    with pytest.raises(ImageError, match="no such frame"):
        load(b"x", having(reader=f"{__name__}:fails"))
    with pytest.raises(UsageError, match="reads_nothing returned NoneType; expected an array"):
        load(b"x", having(reader=f"{__name__}:reads_nothing"))


@pytest.mark.parametrize(
    "fields",
    [
        {"intensity": "max"},
        {"intensity": "fixed"},
        {"intensity": "fixed:1"},
        {"intensity": "fixed:5:1"},
        {"intensity": "fixed:0:inf"},
        {"intensity": "fixed:a:b"},
        {"intensity": "fixed:0:nan"},
        {"intensity": "percentile:1:101"},
        {"intensity": "percentile:-1:99"},
        {"intensity": "dtype:0:1"},
        {"channels": "0,1"},
        {"channels": "0,1,2,3"},
        {"channels": "-1"},
        {"channels": "red"},
        {"channels": "0,,1"},
        {"page": "-1"},
        {"page": "first"},
        {"page": "1,2"},
        {"reader": "module"},
        {"reader": "no_such_module_at_all:read"},
        {"reader": f"{__name__}:no_such_function"},
        {"reader": f"{__name__}:not_a_function"},
        {"resize": "stretch"},
        {"interpolation": "bilinaer"},
        {"image_size": (0, 224)},
        {"resize_size": 0},
        {"mean": (0.5,)},
        {"std": (0.2, 0.0, 0.2)},
    ],
)
def test_options_without_meaning(fields):
    (value,) = fields.values()
    with pytest.raises(UsageError) as caught:
        check_preprocess(dataclasses.replace(Preprocess(), **fields))
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"intensity": "fixed:-1e3:4095"},
        {"intensity": "percentile:0.5:99.5", "channels": "0, 2, 1", "page": "all"},
        {"resize": "pad", "interpolation": "lanczos", "reader": f"{__name__}:reads_raw"},
    ],
)
def test_options_with_meaning(fields):
    check_preprocess(dataclasses.replace(Preprocess(), **fields))
