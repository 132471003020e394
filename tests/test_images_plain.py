"""Pictures of 8 bits: every pixel as torchvision's transforms on Pillow images give it."""

from __future__ import annotations

import dataclasses
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers_images import encode, pixels
from PIL import Image, ImageCms

from featx.errors import ImageError
from featx.images import digest, load
from featx.images.resize import centred
from featx.recipe import Preprocess

PRE = Preprocess()
AS_IT_IS = Preprocess(image_size=(20, 30), resize="none")
SIZES = [
    (224, 224), (256, 256), (300, 200), (200, 300), (257, 255), (255, 257), (17, 400), (400, 17),
    (3, 5), (1, 1), (1, 37), (37, 1), (640, 481), (223, 225), (512, 1024), (99, 2000),
]  # fmt: skip


def reference(image: Image.Image, pre: Preprocess) -> np.ndarray:
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

    mode = InterpolationMode(pre.interpolation)
    chain = Compose(
        [
            Resize(pre.resize_size, interpolation=mode, antialias=True),
            CenterCrop(pre.image_size),
            PILToTensor(),
        ]
    )
    return chain(image).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("image_size", "resize_size"),
    [((224, 224), 256), ((224, 224), 224), ((299, 299), 342), ((64, 64), 50), ((61, 80), 70)],
)
def test_equals_torchvision(size, image_size, resize_size, interpolation):
    pre = Preprocess(image_size=image_size, resize_size=resize_size, interpolation=interpolation)
    image = Image.fromarray(pixels(*size))
    (got,) = load(encode(image), pre)
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    assert got.flags.writeable
    np.testing.assert_array_equal(got, reference(image, pre))


@pytest.mark.slow
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_equals_torchvision_at_random_sizes(interpolation):
    rng = np.random.default_rng(5)
    for _ in range(300):
        height, width, crop, resize = (int(v) for v in rng.integers(1, 400, 4))
        pre = Preprocess(
            image_size=(crop, int(rng.integers(1, 400))),
            resize_size=resize,
            interpolation=interpolation,
        )
        if max(height, width) * resize / min(height, width) > 20_000:
            continue
        image = Image.fromarray(pixels(height, width))
        np.testing.assert_array_equal(load(encode(image), pre)[0], reference(image, pre))


@pytest.mark.shared
def test_equals_torchvision_on_photographs(shared: Path):
    files = sorted((shared / "data" / "pacs_cartoon").rglob("*.jpg"))[::200]
    files += sorted((shared / "data" / "utkface_2000" / "images").iterdir())[::200]
    for file in files:
        image = Image.open(file).convert("RGB")
        np.testing.assert_array_equal(load(file.read_bytes(), PRE)[0], reference(image, PRE))


def test_a_large_jpeg_is_decoded_whole():
    """Pillow's draft mode would decode at a fraction, and differ."""
    data = encode(pixels(1600, 1200), "JPEG", quality=95)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_array_equal(load(data, PRE)[0], reference(image, PRE))


def test_centre_crop_offsets_equal_torchvision():
    from torchvision.transforms.functional import center_crop

    for height in (1, 2, 9, 10, 11, 12, 13):
        for width in (5, 10, 11, 15):
            image = pixels(height, width)
            for size in ((10, 10), (9, 12), (3, 20)):
                want = np.asarray(center_crop(Image.fromarray(image), list(size)))
                np.testing.assert_array_equal(centred(image, size, [0, 0, 0]), want)


def test_squash():
    image = Image.fromarray(pixels(50, 90))
    pre = Preprocess(image_size=(30, 20), resize="squash", interpolation="bicubic")
    want = np.asarray(image.resize((20, 30), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(load(encode(image), pre)[0], want)


@pytest.mark.parametrize(("size", "inside"), [((50, 100), (20, 40)), ((100, 25), (40, 10))])
def test_pad(size, inside):
    image = Image.fromarray(pixels(*size))
    pre = Preprocess(image_size=(40, 40), resize="pad")
    (got,) = load(encode(image), pre)
    resized = np.asarray(image.resize(inside[::-1], Image.Resampling.BILINEAR))
    top, left = (40 - inside[0]) // 2, (40 - inside[1]) // 2
    np.testing.assert_array_equal(got[top : top + inside[0], left : left + inside[1]], resized)
    outside = np.ones((40, 40), bool)
    outside[top : top + inside[0], left : left + inside[1]] = False
    assert (got[outside] == [124, 116, 104]).all()  # the ImageNet mean times 255, rounded


def test_pad_of_an_extreme_image_keeps_a_pixel():
    (got,) = load(encode(pixels(2, 900)), Preprocess(image_size=(30, 30), resize="pad"))
    assert got.shape == (30, 30, 3)


def test_none_takes_the_size_as_it_is_or_refuses():
    image = pixels(20, 30)
    np.testing.assert_array_equal(load(encode(image), AS_IT_IS)[0], image)
    with pytest.raises(ImageError, match=r"20 x 30 pixels; --resize none needs 30 x 20"):
        load(encode(pixels(30, 20)), AS_IT_IS)


def test_an_aspect_ratio_that_would_fill_the_memory():
    data = encode(pixels(1, 6000, None))
    with pytest.raises(ImageError, match="1536000 x 256 before the crop; use --resize squash"):
        load(data, PRE)
    assert load(data, dataclasses.replace(PRE, resize="squash"))[0].shape == (224, 224, 3)


def modes() -> dict[str, tuple[bytes, np.ndarray]]:
    """Give {what: (file, the RGB pixels that a person sees)}."""
    rgb, grey = pixels(20, 30), pixels(20, 30, None)
    three = np.repeat(grey[:, :, None], 3, axis=2)
    bits = grey > 128
    black_and_white = np.repeat(bits[:, :, None], 3, axis=2).astype(np.uint8) * np.uint8(255)
    palette = Image.fromarray(rgb).quantize(64)
    cmyk = encode(Image.fromarray(rgb).convert("CMYK"), "JPEG", quality=100)
    cmyk_seen = np.asarray(Image.open(io.BytesIO(cmyk)).convert("RGB"))
    return {
        "png": (encode(rgb), rgb),
        "bmp": (encode(rgb, "BMP"), rgb),
        "webp": (encode(rgb, "WEBP", lossless=True), rgb),
        "ppm": (encode(rgb, "PPM"), rgb),
        "tga": (encode(rgb, "TGA"), rgb),
        "jpeg 2000": (encode(rgb, "JPEG2000"), rgb),
        "tiff": (encode(rgb, "TIFF"), rgb),
        "tiff lzw": (encode(rgb, "TIFF", compression="tiff_lzw"), rgb),
        "tiff grey": (encode(grey, "TIFF"), three),
        "tiff palette": (encode(palette, "TIFF"), np.asarray(palette.convert("RGB"))),
        "tiff 1 bit": (encode(bits, "TIFF"), black_and_white),
        "grey": (encode(grey), three),
        "grey jpeg": (
            encode(grey, "JPEG"),
            np.asarray(Image.open(io.BytesIO(encode(grey, "JPEG"))).convert("RGB")),
        ),
        "palette": (encode(palette), np.asarray(palette.convert("RGB"))),
        "gif": (encode(palette, "GIF"), np.asarray(palette.convert("RGB"))),
        "1 bit": (encode(bits), black_and_white),
        "cmyk jpeg": (cmyk, cmyk_seen),
        "cmyk tiff": (
            encode(Image.fromarray(rgb).convert("CMYK"), "TIFF"),
            np.asarray(Image.fromarray(rgb).convert("CMYK").convert("RGB")),
        ),
    }


MODES = modes()


@pytest.mark.parametrize("what", MODES)
def test_modes(what):
    data, seen = MODES[what]
    np.testing.assert_array_equal(load(data, AS_IT_IS)[0], seen)


def test_cmyk_looks_like_the_picture():
    data, _ = MODES["cmyk jpeg"]
    got = load(data, AS_IT_IS)[0].astype(int)
    assert np.abs(got - pixels(20, 30)).mean() < 25


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    a = alpha[:, :, None] / 255
    return rgb * a + 255 * (1 - a)


def transparent() -> dict[str, tuple[bytes, np.ndarray]]:
    rgb, grey, alpha = pixels(20, 30), pixels(20, 30, None), pixels(20, 30, None, seed=9)
    three = np.repeat(grey[:, :, None], 3, axis=2)
    holes = grey == grey[3, 3]
    palette = Image.fromarray(grey // 64, "L").convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    colours = np.asarray(palette.convert("RGB"))
    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    la = Image.fromarray(np.dstack([grey, alpha]))
    return {
        "rgba png": (encode(rgba), on_white(rgb, alpha)),
        "rgba webp": (
            encode(rgba, "WEBP", lossless=True, exact=True),
            on_white(rgb, alpha),
        ),
        "rgba tiff": (encode(rgba, "TIFF"), on_white(rgb, alpha)),
        "la png": (encode(la), on_white(three, alpha)),
        "palette index": (
            encode(palette, transparency=1),
            np.where((grey // 64 == 1)[:, :, None], 255, colours),
        ),
        "palette alphas": (
            encode(palette, transparency=bytes([0, 128, 255, 255])),
            on_white(colours, np.array([0, 128, 255, 255])[grey // 64]),
        ),
        "gif index": (
            encode(palette, "GIF", transparency=2),
            np.where((grey // 64 == 2)[:, :, None], 255, colours),
        ),
        "grey key": (
            encode(Image.fromarray(grey), transparency=int(grey[3, 3])),
            np.where(holes[:, :, None], 255, three),
        ),
        "rgb key": (
            encode(Image.fromarray(rgb), transparency=tuple(int(v) for v in rgb[2, 2])),
            np.where((rgb == rgb[2, 2]).all(axis=2)[:, :, None], 255, rgb),
        ),
    }


TRANSPARENT = transparent()


@pytest.mark.parametrize("what", TRANSPARENT)
def test_transparency_is_put_on_white(what):
    data, seen = TRANSPARENT[what]
    np.testing.assert_allclose(load(data, AS_IT_IS)[0], seen, atol=1.01)


def test_opaque_alpha_changes_nothing():
    rgb = pixels(20, 30)
    opaque = np.dstack([rgb, np.full((20, 30), 255, np.uint8)])
    np.testing.assert_array_equal(load(encode(opaque), AS_IT_IS)[0], rgb)


@pytest.mark.parametrize("turn", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(turn, kind):
    from PIL import ImageOps

    stored = Image.fromarray(pixels(20, 30) if turn < 5 or turn > 8 else pixels(30, 20))
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(stored, kind, exif=exif, **options)
    with Image.open(io.BytesIO(data)) as image:
        seen = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(load(data, AS_IT_IS)[0], seen)


def test_orientation_is_that_of_the_standard():
    """Orientation 6: row 0 is the right side, column 0 is the top, so turn it clockwise."""
    stored = pixels(30, 20)
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(
        load(encode(stored, exif=exif), AS_IT_IS)[0], np.rot90(stored, -1)
    )


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # of the test's own reading
def test_damaged_exif_does_not_matter():
    rgb = pixels(20, 30)
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x01" * 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (got,) = load(encode(rgb, "JPEG", exif=exif, quality=100), AS_IT_IS)
    seen = np.asarray(Image.open(io.BytesIO(encode(rgb, "JPEG", quality=100))).convert("RGB"))
    np.testing.assert_array_equal(got, seen)


def test_a_colour_profile_is_passed_over_as_torchvision_does():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgb = pixels(20, 30)
    np.testing.assert_array_equal(load(encode(rgb, icc_profile=profile), AS_IT_IS)[0], rgb)


FRAMES = [Image.fromarray(pixels(20, 30, seed=k)) for k in range(3)]


def several(kind: str, **options) -> bytes:
    return encode(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:], **options)


SEVERAL = {
    "gif": (several("GIF"), "3 frames"),
    "webp": (several("WEBP", lossless=True), "3 frames"),
    "apng": (several("PNG"), "3 frames"),
    "tiff": (several("TIFF"), "3 pages"),
}


@pytest.mark.parametrize("what", SEVERAL)
def test_several_pages_are_refused_until_told_which(what):
    data, said = SEVERAL[what]
    with pytest.raises(ImageError, match=f"{said}: --page 0 for the first, --page all for every"):
        load(data, AS_IT_IS)
    every = load(data, dataclasses.replace(AS_IT_IS, page="all"))
    assert len(every) == 3
    for k in range(3):
        (one,) = load(data, dataclasses.replace(AS_IT_IS, page=str(k)))
        np.testing.assert_array_equal(one, every[k])
        near = np.asarray(FRAMES[k].convert("RGB")).astype(int)
        assert np.abs(one - near).mean() < (25 if what == "gif" else 1e-9)
    with pytest.raises(ImageError, match=f"no page 3 in it: it has {said}"):
        load(data, dataclasses.replace(AS_IT_IS, page="3"))


def test_one_page_serves_every_page_option():
    data = encode(pixels(20, 30))
    for page in ("", "0", "all"):
        assert len(load(data, dataclasses.replace(AS_IT_IS, page=page))) == 1
    with pytest.raises(ImageError, match="no page 1 in it: it has 1 frame"):
        load(data, dataclasses.replace(AS_IT_IS, page="1"))


def test_a_phone_photo_with_two_pictures_is_one_photo():
    data = several("MPO", quality=100)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.n_frames) == ("MPO", 3)
    seen = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(load(data, AS_IT_IS)[0], seen)
    assert len(load(data, dataclasses.replace(AS_IT_IS, page="all"))) == 1


def test_a_thumbnail_in_a_tiff_is_no_page():
    import tifffile

    rgb, out = pixels(20, 30), io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(pixels(4, 6), photometric="rgb", subfiletype=1)
        writer.write(rgb, photometric="rgb")
    np.testing.assert_array_equal(load(out.getvalue(), AS_IT_IS)[0], rgb)


def test_channels_of_a_picture():
    rgb = pixels(20, 30)
    data = encode(rgb)
    (swapped,) = load(data, dataclasses.replace(AS_IT_IS, channels="2,0,1"))
    np.testing.assert_array_equal(swapped, rgb[:, :, [2, 0, 1]])
    (green,) = load(data, dataclasses.replace(AS_IT_IS, channels="1"))
    np.testing.assert_array_equal(green, np.repeat(rgb[:, :, 1:2], 3, axis=2))
    each = dataclasses.replace(AS_IT_IS, channels="each")
    items = load(data, each)
    assert len(items) == 3
    for k, one in enumerate(items):
        np.testing.assert_array_equal(one, np.repeat(rgb[:, :, k : k + 1], 3, axis=2))
    with pytest.raises(ImageError, match="no channel 4 in it: it has 3"):
        load(data, dataclasses.replace(AS_IT_IS, channels="4"))


def test_transparency_is_no_channel():
    grey = pixels(20, 30, None)
    data = encode(np.dstack([grey, grey]))
    each = dataclasses.replace(AS_IT_IS, channels="each")
    (one,) = load(data, each)
    np.testing.assert_array_equal(one, np.repeat(grey[:, :, None], 3, axis=2))


def test_intensity_of_a_picture():
    rgb = pixels(20, 30)
    data = encode(rgb)
    (same,) = load(data, dataclasses.replace(AS_IT_IS, intensity="dtype"))
    np.testing.assert_array_equal(same, rgb)
    (stretched,) = load(data, dataclasses.replace(AS_IT_IS, intensity="fixed:50:100"))
    assert stretched.dtype == np.float32
    np.testing.assert_allclose(stretched, np.clip((rgb - 50.0) / 50, 0, 1), atol=1e-6)


def test_digest_of_bytes_is_plain_blake2b():
    from hashlib import blake2b

    data = encode(pixels(20, 30))
    assert digest(data) == blake2b(data, digest_size=16).digest()
    assert digest(bytearray(data)) == digest(memoryview(data)) == digest(data)


def test_pillow_images_in_memory():
    rgb = pixels(20, 30)
    image = Image.fromarray(rgb)
    np.testing.assert_array_equal(load(image, AS_IT_IS)[0], rgb)
    assert digest(image) == digest(image.copy())
    others = [
        Image.fromarray(pixels(20, 30, seed=1)),
        Image.fromarray(rgb.reshape(30, 20, 3)),
        image.convert("L"),
        image.convert("P"),
    ]
    assert len({digest(other) for other in [image, *others]}) == 5


def test_a_turned_pillow_image_is_another_image():
    exif = Image.Exif()
    exif[0x0112] = 3
    rgb = pixels(20, 30)
    turned = Image.open(io.BytesIO(encode(rgb, exif=exif)))
    np.testing.assert_array_equal(load(turned, AS_IT_IS)[0], rgb[::-1, ::-1])
    assert digest(turned) != digest(Image.fromarray(rgb))


def test_an_open_file_of_several_frames():
    image = Image.open(io.BytesIO(SEVERAL["gif"][0]))
    with pytest.raises(ImageError, match=r"3 frames: give the frame's \.copy\(\)"):
        load(image, AS_IT_IS)
    assert load(image.copy(), AS_IT_IS)[0].shape == (20, 30, 3)


def test_a_truncated_file_open_in_pillow():
    data = encode(pixels(200, 300))
    for act in (digest, lambda image: load(image, PRE)):
        with pytest.raises(ImageError, match="truncated"):
            act(Image.open(io.BytesIO(data[: len(data) // 2])))
