"""JPEGs decoded at a fraction of their size: which, and how near they come to whole ones."""

from __future__ import annotations

import io

import numpy as np
import pytest
from helpers_images import encode, pixels
from PIL import Image

from featx.images import load
from featx.images.resize import MARGIN, least_size
from featx.recipe import Preprocess

PRE = Preprocess(image_size=(28, 28), resize_size=32)


def smooth(height: int, width: int) -> Image.Image:
    """A photograph's kind of picture: what is seen does not hang on single pixels."""
    small = Image.fromarray(pixels(height // 16, width // 16))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def decoded_size(data: bytes, pre: Preprocess, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Give the size that reaches the resize."""
    seen: list[tuple[int, int]] = []
    real = Image.Image.resize

    def resize(self, *args, **options):
        seen.append(self.size)
        return real(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "resize", resize)
        load(data, pre, scaled=True)
    return seen[0]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((800, 1600), (200, 100)),  # 1/8 leaves 100, and 96 are needed
        ((768, 1600), (200, 96)),
        ((760, 1600), (400, 190)),
        ((400, 400), (100, 100)),
        ((200, 200), (100, 100)),
        ((184, 200), (200, 184)),  # half of it is less than 96
        ((801, 1600), (1600, 801)),  # no fraction divides both sides
        ((802, 1604), (802, 401)),
    ],
)
def test_the_smallest_fraction_that_leaves_enough(size, expected, monkeypatch):
    assert MARGIN * PRE.resize_size == 96
    assert decoded_size(encode(smooth(*size), "JPEG"), PRE, monkeypatch) == expected


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_it_is_nearly_the_whole_image_whichever_way_up(turn, resize):
    exif = Image.Exif()
    exif[0x0112] = turn
    pre = Preprocess(image_size=(24, 36), resize=resize, resize_size=32)
    data = encode(smooth(640, 960), "JPEG", quality=92, exif=exif)
    (whole,), (scaled,) = load(data, pre), load(data, pre, scaled=True)
    assert scaled.shape == whole.shape
    assert not np.array_equal(scaled, whole)
    assert np.abs(scaled.astype(int) - whole).mean() < 1.5


def test_grey_and_cmyk_stay_what_they_are():
    for mode in ("L", "CMYK"):
        data = encode(smooth(640, 640).convert(mode), "JPEG", quality=92)
        (whole,), (scaled,) = load(data, PRE), load(data, PRE, scaled=True)
        assert np.abs(scaled.astype(int) - whole).mean() < 1.5


@pytest.mark.parametrize(
    "pre",
    [
        Preprocess(image_size=(28, 28), resize_size=32, intensity="fixed:0:255"),
        Preprocess(image_size=(28, 28), resize_size=32, channels="2,1,0"),
        Preprocess(image_size=(640, 640), resize="none"),
    ],
)
def test_what_asks_for_numbers_or_every_pixel_is_decoded_whole(pre):
    data = encode(smooth(640, 640), "JPEG")
    np.testing.assert_array_equal(load(data, pre)[0], load(data, pre, scaled=True)[0])


def test_other_formats_and_small_jpegs_are_the_same():
    for data in (encode(smooth(640, 640)), encode(smooth(160, 160), "JPEG")):
        np.testing.assert_array_equal(load(data, PRE)[0], load(data, PRE, scaled=True)[0])


def test_a_cut_jpeg_is_bad_either_way():
    from featx.errors import ImageError

    data = encode(smooth(640, 640), "JPEG")
    for scaled in (False, True):
        with pytest.raises(ImageError, match="truncated"):
            load(data[: len(data) // 2], PRE, scaled=scaled)


def test_least_size_is_safe_for_turned_images():
    assert least_size((1000, 2000), PRE) == (96, 192)
    squash = Preprocess(image_size=(20, 40), resize="squash")
    assert least_size((1000, 2000), squash) == (120, 120)


def test_a_picture_held_in_pillow_is_taken_as_it_is():
    image = Image.open(io.BytesIO(encode(smooth(640, 640), "JPEG")))
    np.testing.assert_array_equal(load(image, PRE)[0], load(image, PRE, scaled=True)[0])
