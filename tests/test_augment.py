"""Random variations of images: values, draws, and pixels that are torchvision's."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode, functional

from featx.augment import augmented, drawn, generator
from featx.augmentation import (
    PRESETS,
    Affine,
    Augmentation,
    Jitter,
    Sharpness,
    read_augmentation,
)
from featx.errors import UnknownNameError, UsageError

DIGEST = bytes(range(16))
STRONG = Augmentation(
    hflip=0.5,
    jitter=Jitter(0.4, 0.4, 0.4, 0.2),
    rotation=30,
    affine=Affine(20, (0.1, 0.2), (0.8, 1.2), 10),
    crop=40,
    sharpness=Sharpness(2, 0.5),
    grayscale=0.3,
)


def photo(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """Give smooth colours with a little noise: (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x / (5 + c) + y / (9 - c)) for c in range(3)]
    noise = rng.normal(0, 8, (height, width, 3))
    return (np.stack(waves, axis=2) + noise).clip(0, 255).astype(np.uint8)


def all_draws(how: Augmentation, n: int = 400, size: tuple[int, int] = (48, 64)) -> list:
    return [drawn(how, size, generator(0, DIGEST, i)) for i in range(n)]


# Values.


def test_an_augmentation_survives_json_and_leaves_defaults_out() -> None:
    for how in (*PRESETS.values(), STRONG, Augmentation()):
        assert Augmentation.from_json(json.loads(json.dumps(how.to_json()))) == how
    assert Augmentation().to_json() == {}
    assert PRESETS["cartoons"].to_json()["affine"] == {"degrees": 10.0}


def test_whole_numbers_and_floats_are_one_identity() -> None:
    ways = [Augmentation(rotation=30, hflip=1), Augmentation(rotation=30.0, hflip=1.0)]
    assert len({json.dumps(way.to_json()) for way in ways}) == 1
    assert json.dumps(Augmentation(affine=Affine(scale=(1, 2))).to_json()) == (
        '{"affine": {"scale": [1.0, 2.0]}}'
    )


def test_words() -> None:
    assert Augmentation().describe() == "nothing"
    assert PRESETS["light"].describe() == "hflip 0.5"
    assert "affine (degrees 10), crop 200" in PRESETS["cartoons"].describe()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"hflip": 1.5}, "hflip is 1.5; expected a number from 0 to 1"),
        ({"hflip": True}, "hflip is True"),
        ({"rotation": -1}, "rotation is -1; expected a number from 0 to 180"),
        ({"rotation": float("nan")}, "rotation is nan"),
        ({"jitter": {"hue": 0.6}}, "jitter.hue is 0.6; expected a number from 0 to 0.5"),
        ({"jitter": 0.1}, "jitter is 0.1; expected a table of brightness"),
        ({"affine": {"translate": 0.1}}, "affine.translate is 0.1; expected 2 numbers"),
        ({"affine": {"scale": [2, 1]}}, "the smaller factor first"),
        ({"crop": 10.5}, "crop is 10.5; expected a whole number"),
        ({"sharpness": {"factor": 2}}, "factor 2 and probability 0, which changes nothing"),
        ({"flip": 0.5}, "unknown augmentation field 'flip'; did you mean 'hflip'"),
        ({"jitter": {"brightnes": 0.5}}, "'jitter.brightnes'; did you mean 'jitter.brightness'"),
    ],
)
def test_a_wrong_value_is_named_with_its_range(value: dict, words: str) -> None:
    with pytest.raises(UsageError) as error:
        Augmentation.from_json(value)
    assert words in str(error.value)


def test_presets_and_files(tmp_path: Path) -> None:
    assert read_augmentation("faces") is PRESETS["faces"]
    assert read_augmentation(STRONG) is STRONG
    file = tmp_path / "mine.toml"
    file.write_text("hflip = 0.5\ncrop = 40\n[jitter]\nhue = 0.1\n")
    assert read_augmentation(file) == Augmentation(hflip=0.5, crop=40, jitter=Jitter(hue=0.1))
    file.write_text("hflip = 5")
    with pytest.raises(UsageError, match=r"mine\.toml: hflip is 5"):
        read_augmentation(str(file))
    file.write_text("hflip = ")
    with pytest.raises(UsageError, match="no TOML"):
        read_augmentation(file)
    with pytest.raises(UsageError, match="No such file"):
        read_augmentation("missing.toml")
    with pytest.raises(UnknownNameError, match="did you mean 'faces'"):
        read_augmentation("face")


# Draws.


def test_a_generator_depends_on_seed_image_and_view_alone() -> None:
    first = generator(0, DIGEST, 1).random(3)
    np.testing.assert_array_equal(generator(0, DIGEST, 1).random(3), first)
    for other in (
        generator(1, DIGEST, 1),
        generator(0, DIGEST[::-1], 1),
        generator(0, DIGEST, 2),
        generator(-1, DIGEST, 1),
    ):
        assert not np.array_equal(other.random(3), first)
    assert first.round(6).tolist() == [
        0.137497,
        0.436491,
        0.455382,
    ]  # it decides what stored vectors are


def test_draws_lie_in_their_ranges_and_fill_them() -> None:
    draws = [dict(steps) for steps in all_draws(STRONG)]
    shares = {name: np.mean([name in d for d in draws]) for name in draws[0] | draws[1]}
    assert shares["horizontal_flip"] == pytest.approx(0.5, abs=0.1)
    assert np.mean(["rgb_to_grayscale" in d for d in draws]) == pytest.approx(0.3, abs=0.1)
    assert np.mean(["adjust_sharpness" in d for d in draws]) == pytest.approx(0.5, abs=0.1)
    ranges = {
        ("adjust_brightness", "brightness_factor"): (0.6, 1.4),
        ("adjust_contrast", "contrast_factor"): (0.6, 1.4),
        ("adjust_saturation", "saturation_factor"): (0.6, 1.4),
        ("adjust_hue", "hue_factor"): (-0.2, 0.2),
        ("rotate", "angle"): (-30, 30),
        ("affine", "angle"): (-20, 20),
        ("affine", "scale"): (0.8, 1.2),
        ("resized_crop", "top"): (0, 8),
        ("resized_crop", "left"): (0, 11),
    }
    for (step, name), (low, high) in ranges.items():
        values = np.array([d[step][name] for d in draws])
        assert low <= values.min() < low + 0.05 * (high - low) + 1e-9, name
        assert high - 0.05 * (high - low) - 1e-9 < values.max() <= high, name
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.08 * (high - low)), name
    shifts = np.array([d["affine"]["translate"] for d in draws])
    assert np.abs(shifts).max(axis=0).tolist() == [6, 10]
    assert np.abs([d["affine"]["shear"] for d in draws]).max(axis=0).round().tolist() == [10, 0]


def test_places_of_a_crop_are_as_likely_as_torchvisions() -> None:
    tops = [dict(s)["resized_crop"]["top"] for s in all_draws(Augmentation(crop=45), 2000)]
    counts = np.bincount(tops)
    assert len(counts) == 4  # torch.randint(0, 48 - 45 + 1)
    assert counts.min() > 400


def test_a_strong_jitter_never_draws_a_factor_below_zero() -> None:
    draws = all_draws(Augmentation(jitter=Jitter(brightness=3)))
    factors = [steps[0][1]["brightness_factor"] for steps in draws]
    assert min(factors) >= 0
    assert max(factors) == pytest.approx(4, abs=0.1)


def test_colours_change_in_every_order() -> None:
    orders = {tuple(n for n, _ in s) for s in all_draws(Augmentation(jitter=Jitter(1, 1, 1, 0.1)))}
    assert len(orders) == 24


def test_an_operation_leaves_the_draws_of_others_alone() -> None:
    alone = dict(drawn(Augmentation(rotation=30), (48, 64), generator(3, DIGEST, 1)))
    among = dict(drawn(STRONG, (48, 64), generator(3, DIGEST, 1)))
    assert alone["rotate"] == among["rotate"]


# Pixels.


def chw(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)


BILINEAR = {"interpolation": InterpolationMode.BILINEAR}
EXTRA = {"rotate": BILINEAR, "affine": BILINEAR, "resized_crop": BILINEAR}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    "how",
    [
        Augmentation(hflip=1),
        Augmentation(jitter=Jitter(brightness=0.5)),
        Augmentation(jitter=Jitter(contrast=0.5)),
        Augmentation(jitter=Jitter(saturation=0.5)),
        Augmentation(jitter=Jitter(hue=0.5)),
        Augmentation(rotation=45),
        Augmentation(affine=Affine(20, (0.1, 0.2), (0.8, 1.2), 10)),
        Augmentation(crop=30),
        Augmentation(sharpness=Sharpness(3, 1)),
        Augmentation(grayscale=1),
        STRONG,
    ],
    ids=lambda how: how.describe()[:20],
)
def test_pixels_are_those_of_torchvisions_functions(how: Augmentation, dtype: type) -> None:
    image = photo() if dtype is np.uint8 else (photo() / 255).astype(np.float32)
    steps = drawn(how, (48, 64), generator(0, DIGEST, 7))
    x = chw(image)
    for name, arguments in steps:
        x = getattr(functional, name)(x, **arguments, **EXTRA.get(name, {}))
    out = augmented(image, how, generator(0, DIGEST, 7))
    assert steps
    assert out.shape == image.shape
    assert out.dtype == image.dtype
    np.testing.assert_array_equal(out, x.permute(1, 2, 0).numpy())
    assert not np.array_equal(out, image)


def test_torchvisions_transform_with_the_same_numbers_gives_the_same_pixels() -> None:
    """The class itself, told what was drawn in place of drawing."""
    image, how = photo(), Augmentation(jitter=Jitter(0.3, 0.3, 0.3, 0.1))
    steps = drawn(how, (48, 64), generator(0, DIGEST, 2))
    names = ["adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue"]
    params = {key: value for _, one in steps for key, value in one.items()}
    params["fn_idx"] = torch.tensor([names.index(name) for name, _ in steps])
    theirs = v2.ColorJitter(0.3, 0.3, 0.3, 0.1).transform(chw(image), params)
    ours = augmented(image, how, generator(0, DIGEST, 2))
    np.testing.assert_array_equal(ours, theirs.permute(1, 2, 0).numpy())


def test_threads_and_order_do_not_matter() -> None:
    images = [photo(seed=i) for i in range(40)]

    def one(i: int) -> np.ndarray:
        return augmented(images[i], STRONG, generator(5, i.to_bytes(16, "big"), 1))

    alone = [one(i) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(one, reversed(range(40))))
    for mine, theirs in zip(alone, reversed(together), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_no_global_generator_is_touched_and_no_argument_changed() -> None:
    torch.manual_seed(1)
    image = photo()
    image.flags.writeable = False
    state = np.random.get_state  # the global one is what must not move
    before = (torch.get_rng_state(), state()[1].copy(), random.getstate())
    augmented(image, STRONG, generator(0, DIGEST, 1))
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(state()[1], before[1])
    assert random.getstate() == before[2]


def test_the_default_does_nothing_and_a_generator_moves_on_all_the_same() -> None:
    image, rng = photo(), generator(0, DIGEST, 1)
    assert augmented(image, Augmentation(), rng) is image
    assert rng.random() == generator(0, DIGEST, 1).random(20)[-1]
    whole = Augmentation(crop=48)
    assert augmented(image, whole, generator(0, DIGEST, 1)) is image


def test_a_grey_image_stays_grey_and_floats_stay_in_their_range() -> None:
    grey = np.repeat(photo()[:, :, :1], 3, axis=2)
    out = augmented(grey, STRONG, generator(0, DIGEST, 1)).astype(int)
    assert np.ptp(out, axis=2).max() <= 1
    floats = augmented((photo() / 255).astype(np.float32), STRONG, generator(0, DIGEST, 1))
    assert floats.min() >= 0
    assert floats.max() <= 1


def test_what_is_no_image_is_refused() -> None:
    for bad in (photo()[:, :, :1], photo().astype(np.float64), photo()[0]):
        with pytest.raises(UsageError, match="expected an image"):
            augmented(bad, STRONG, generator(0, DIGEST, 1))
    with pytest.raises(UsageError, match=r"crop is 200 pixels, and the network sees .* 48 x 64"):
        augmented(photo(), PRESETS["cartoons"], generator(0, DIGEST, 1))
