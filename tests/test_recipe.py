"""Recipes: what is part of the identity, and what is not."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from featx.augmentation import PRESETS
from featx.errors import RecipeMismatchError
from featx.recipe import Preprocess, Recipe

RECIPE = Recipe("vgg16", "ab" * 16, "features", "flatten")
CHANGES = {
    "backbone": "vgg19",
    "weights": "cd" * 16,
    "layer": "features.10",
    "pooling": "avg",
    "dtype": "float32",
    "numerics": "reference",
    "random_seed": 0,
    "options": (("transform_input", True),),
}
PRE_CHANGES = {
    "image_size": (299, 299),
    "resize": "squash",
    "resize_size": 232,
    "interpolation": "bicubic",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "intensity": "dtype",
    "channels": "0,2,1",
    "page": "0",
    "reader": "my:reader",
    "augment": PRESETS["cartoons"],
    "augment_seed": 1,
}


def test_every_field_is_tried() -> None:
    assert set(CHANGES) == {f.name for f in fields(Recipe)} - {"preprocess"}
    assert set(PRE_CHANGES) == {f.name for f in fields(Preprocess)}


@pytest.mark.parametrize(("name", "value"), CHANGES.items())
def test_a_changed_field_is_another_recipe(name: str, value: object) -> None:
    other = replace(RECIPE, **{name: value})
    assert other.hash != RECIPE.hash
    assert [d.split()[0] for d in RECIPE.differences(other)] == [name]


@pytest.mark.parametrize(("name", "value"), PRE_CHANGES.items())
def test_a_changed_preprocessing_field_is_another_recipe(name: str, value: object) -> None:
    other = replace(RECIPE, preprocess=replace(RECIPE.preprocess, **{name: value}))
    assert other.hash != RECIPE.hash
    assert [d.split()[0] for d in RECIPE.differences(other)] == [name]


def test_json_round_trip() -> None:
    everything = replace(RECIPE, **CHANGES, preprocess=Preprocess(**PRE_CHANGES))
    for recipe in (RECIPE, everything):
        assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_defaults_are_left_out_so_that_new_fields_keep_old_caches() -> None:
    assert RECIPE.canonical() == (
        '{"backbone":"vgg16","layer":"features","pooling":"flatten","weights":"' + "ab" * 16 + '"}'
    )


def test_the_identity_is_fixed_for_all_time() -> None:
    """A cache made by any version must be found by every later one."""
    assert RECIPE.hash == "043148f7eb29da394457f34ae84d551b"


def test_a_newer_recipe_is_refused() -> None:
    for value in ({"tint": 1}, {"preprocess": {"tint": 1}}):
        with pytest.raises(RecipeMismatchError, match="tint"):
            Recipe.from_json(RECIPE.to_json() | value)


def test_labels() -> None:
    assert RECIPE.label == "vgg16:features:flatten@224"
    wide = replace(RECIPE, preprocess=Preprocess(image_size=(120, 200)), random_seed=3)
    assert wide.label == "vgg16(random seed 3):features:flatten@120x200"
    assert RECIPE.store_name == f"vgg16-features-flatten-{RECIPE.hash[:16]}.zarr"
    odd = replace(RECIPE, backbone="timm/a b:c*?")
    assert not set(odd.store_name) & set('/\\:*?"<>| ')


@pytest.mark.parametrize("resize", ["crop", "squash", "pad", "none"])
def test_describe_says_the_values(resize: str) -> None:
    text = Preprocess(resize=resize, intensity="dtype").describe()  # type: ignore[arg-type]
    for part in ("224", "bilinear", "0.485", "0.229", "intensity dtype"):
        assert part in text
