from __future__ import annotations

from dataclasses import replace

import pytest
from helpers_backbones import Net, small

from featx.backbones import BackboneRequest, enums
from featx.backbones.preprocess import PRESETS, Preset, prepare
from featx.errors import UnknownNameError, UsageError

INCEPTION = Preset("test", size=(299, 299), resize_size=342)
REQUEST = BackboneRequest("vgg16")


def test_the_resize_scales_with_the_size_over_the_crop():
    pre, notes = prepare(REQUEST, INCEPTION, 224)
    assert (pre.image_size, pre.resize_size) == ((224, 224), 256)
    assert "from test" in notes[0]
    assert "the weights expect 299" in notes[1]


@pytest.mark.parametrize(("size", "expected"), [("weights", (299, 342)), (448, (448, 512))])
def test_the_size_that_is_named_comes_first(size, expected):
    pre, _ = prepare(replace(REQUEST, image_size=size), INCEPTION, 224)
    assert (pre.image_size[0], pre.resize_size) == expected


def test_at_the_weights_own_size_there_is_nothing_to_remark():
    assert len(prepare(REQUEST, INCEPTION, "weights")[1]) == 1


def test_single_fields_come_before_the_preset():
    request = replace(
        REQUEST, mean=(0, 0, 0), std=(1, 1, 1), interpolation="lanczos", resize="pad", page="2"
    )
    pre, _ = prepare(request, INCEPTION, 224)
    assert (pre.mean, pre.std, pre.interpolation) == ((0.0,) * 3, (1.0,) * 3, "lanczos")
    assert (pre.resize, pre.resize_size, pre.page) == ("pad", 256, "2")


def test_images_as_they_are_need_their_size():
    with pytest.raises(UsageError, match="--image-size N"):
        prepare(replace(REQUEST, resize="none"), INCEPTION, 224)
    pre, _ = prepare(replace(REQUEST, resize="none", image_size=100), INCEPTION, 224)
    assert (pre.resize, pre.image_size) == ("none", (100, 100))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": 0}, "image size 0; give a number of pixels above 0"),
        ({"image_size": "big"}, "image size 'big'"),
        ({"mean": (1.0,)}, "mean .* three numbers"),
        ({"mean": (1.0, 2.0, float("nan"))}, "mean .* three numbers"),
        ({"std": (1.0, 1.0, 0.0)}, "std .* above 0"),
        ({"interpolation": "bilinera"}, "did you mean 'bilinear'"),
    ],
)
def test_values_out_of_range_are_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        prepare(replace(REQUEST, **fields), INCEPTION, 224)


def test_a_preset_of_the_table_or_of_an_enum():
    assert enums.choose_preset(None) is None
    assert enums.choose_preset("clip") is PRESETS["clip"]
    swag = enums.choose_preset("regnet_y_128gf/IMAGENET1K_SWAG_E2E_V1", "vgg16")
    assert swag is not None
    assert (swag.size, swag.resize_size, swag.interpolation) == ((384, 384), 384, "bicubic")
    assert enums.choose_preset("IMAGENET1K_V2", "resnet50") == replace(
        PRESETS["imagenet"], origin="ResNet50_Weights.IMAGENET1K_V2", resize_size=232
    )


@pytest.mark.parametrize(
    ("preprocess", "name", "message"),
    [
        ("clpi", "", "did you mean 'clip'.*BACKBONE/MEMBER"),
        ("vgg61/IMAGENET1K_V1", "", "did you mean"),
        ("IMAGENET1K_V9", "vgg16", "IMAGENET1K_FEATURES; presets: imagenet, clip, half"),
    ],
)
def test_an_unknown_preset_names_what_there_is(preprocess, name, message):
    with pytest.raises(UnknownNameError, match=message):
        enums.choose_preset(preprocess, name)


def test_a_request_goes_through_json():
    request = small(layers=("features.3",), mean=(0.1, 0.2, 0.3), weights="w.pth", seed=3)
    there = BackboneRequest.from_json(request.to_json())
    assert there == replace(request, weights=str(request.weights_file))
    assert BackboneRequest.from_json(small().to_json()) == small()


def test_a_module_object_must_be_given_again():
    value = BackboneRequest(Net(), image_size=32).to_json()
    assert value == {"name": None, "image_size": 32}
    with pytest.raises(UsageError, match="give it again with backbone=MODULE"):
        BackboneRequest.from_json(value)
    net = Net()
    assert BackboneRequest.from_json(value, net).name is net


@pytest.mark.parametrize(
    ("name", "kind"),
    [("vgg16", "torchvision"), ("timm/x", "timm"), ("a.b:c", "custom"), (Net, "custom")],
)
def test_the_kind_follows_from_the_name(name, kind):
    assert BackboneRequest(name).kind == kind
