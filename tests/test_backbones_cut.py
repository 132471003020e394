from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from helpers_backbones import Net, noise, small
from torch import nn

from featx.backbones import BackboneRequest, enums, load_backbone
from featx.backbones.base import choose_poolings
from featx.backbones.cut import Cutter, Trace, Whole, map_shapes
from featx.backbones.dims import DEFAULT_DIMS
from featx.backbones.families import FAMILIES, REPORTED, family_of
from featx.backbones.preprocess import prepare
from featx.backbones.torchvision_models import _build, _without_values
from featx.errors import LayerError, UsageError
from featx.pooling import pooled_dim

SMALL = {"alexnet", "convnext_tiny", "densenet121", "resnet18", "mobilenet_v2", "vgg11", "vit_b_32"}


def values(model: nn.Module, layers: list[str], x: torch.Tensor) -> list[torch.Tensor]:
    with torch.inference_mode():
        return list(Cutter(model.eval()).cut(layers)(x))


def test_a_requested_value_is_not_overwritten_by_what_runs_in_place_after_it():
    model = torchvision.models.vgg11(weights=None, init_weights=False).eval()
    x = torch.randn(1, 3, 32, 32)
    conv, relu, pooled = values(model, ["features.0", "features.1", "features.2"], x)
    with torch.inference_mode():
        expected = model.features[0](x)
    assert torch.equal(conv, expected)
    assert conv.min() < 0
    assert torch.equal(relu, expected.clamp(min=0))
    assert torch.equal(pooled, model.features[2](expected.clamp(min=0)))


def test_the_order_is_the_one_asked_for():
    x = torch.randn(1, 3, 32, 32)
    model = Net().eval()
    late, conv = values(model, ["late", "conv"], x)
    assert late.shape[1] == 5
    assert torch.equal(conv, model.conv(x))


def test_the_network_ends_at_the_last_layer_needed():
    trace = Trace(Net().eval())
    assert [n.target for n in trace.cut(["relu"]).graph.nodes][1:-1] == ["conv", "bn", "relu"]


def test_tensors_are_those_a_layer_depends_on():
    trace = Trace(Net().eval())
    assert trace.tensors("conv") == {"conv.weight", "conv.bias"}
    assert "bn.running_mean" in trace.tensors("relu")
    assert not any("num_batches_tracked" in name for name in trace.tensors("late"))


class Effect(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv(x)
        self.act(out)
        return out.sum(dim=3)


def test_a_step_that_counts_by_its_effect_alone_is_kept():
    model, x = Effect().eval(), torch.randn(1, 3, 4, 4)
    conv, summed = values(model, ["conv", "sum"], x)
    assert conv.min() < 0
    assert torch.equal(summed, conv.clamp(min=0).sum(dim=3))


def test_one_value_has_one_name():
    names = {layer: resolved(layer) for layer in ("features.12.cat", "features.12", "features")}
    assert set(names.values()) == {"features"}
    assert resolved("features.3") == "features.3"


def resolved(layer: str) -> str:
    model = torchvision.models.squeezenet1_1(weights=None).eval()
    return Cutter(model, "features").resolve(layer)


def test_the_default_name_comes_before_a_shorter_one():
    with _without_values():
        model = torchvision.models.vit_b_32(weights=None).eval()
    cutter = Cutter(model, "encoder.ln")
    assert cutter.resolve("encoder") == cutter.resolve("encoder.ln") == "encoder.ln"


def test_an_unknown_layer_names_the_nearest():
    with pytest.raises(LayerError, match=r"no layer 'featurs'; did you mean 'features'"):
        load_backbone(small(layers=("featurs",)))


def test_an_unknown_layer_with_nothing_near_lists_the_top():
    with pytest.raises(LayerError, match="top-level layers: features, classifier, flatten"):
        load_backbone(small(layers=("???",)))


class Fickle(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.mean() > 0 else -x


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x, x]


class Mixing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, -1)


def test_a_module_that_cannot_be_traced_says_so_but_gives_its_own_output():
    request = BackboneRequest(Fickle(), image_size=8)
    assert load_backbone(request).outputs[0].map_shape == (3, 8, 8)
    with pytest.raises(LayerError, match=r"Fickle cannot be cut .* leave --layer out"):
        load_backbone(replace(request, layers=("mean",)))


@pytest.mark.parametrize("module", [Pair(), Mixing()])
def test_an_output_that_is_no_map_of_one_image_is_refused(module):
    with pytest.raises(LayerError, match="choose another --layer"):
        load_backbone(BackboneRequest(module, image_size=8))


def test_a_size_that_does_not_go_through_is_refused():
    with pytest.raises(LayerError, match="does not run on an image of 2x2 pixels"):
        load_backbone(small(image_size=2))


def test_parts_may_change_their_input():
    class Greedy(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.mul_(2))

    model = Greedy().eval()
    whole = Whole("output", model, frozenset(model.state_dict()))
    x = torch.randn(1, 3, 16, 16)
    module = Cutter(model, whole=whole).cut(["output", "late"])
    with torch.inference_mode():
        output, late = module(x.clone())
    assert torch.equal(output, late * 2)


def test_maps_with_channels_last_come_with_channels_first():
    request = BackboneRequest(
        "swin_t", layers=("features.0.0", "features.1", "permute"), weights="random", image_size=64
    )
    shapes = [output.map_shape for output in load_backbone(request).outputs]
    assert shapes == [(96, 16, 16), (96, 16, 16), (768, 2, 2)]


def test_shapes_are_those_of_one_image():
    module = Cutter(Net().eval()).cut(["conv"])
    assert map_shapes(module, ["conv"], (12, 20)) == [(4, 3, 5)]


def test_families_are_sorted_and_have_no_duplicate():
    prefixes = [family.prefix for family in FAMILIES]
    assert prefixes == sorted(set(prefixes))
    assert set(enums.names()) >= REPORTED


def test_a_model_without_a_family_asks_for_a_layer():
    with pytest.raises(UsageError, match=r"'novelnet' has no default layer here; .*--layer NODE"):
        family_of("novelnet")
    assert family_of("novelnet", layer_given=True).layer == ""


def default_output(name: str) -> torch.Tensor:
    """Run the default cut on the meta device: shapes alone, no values."""
    family = family_of(name)
    preset = enums.preset_of(torchvision.models.get_model_weights(name).DEFAULT)
    pre, _ = prepare(BackboneRequest(name), preset, family.size)
    model = _build(name, family, pre.image_size, None).to("meta")
    cutter = Cutter(model, family.layer, channels_last=family.channels_last)
    assert cutter.resolve(family.layer) == family.layer
    return cutter.cut([family.layer]).eval()(torch.zeros(1, 3, *pre.image_size, device="meta"))[0]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in SMALL else pytest.mark.slow) for name in enums.names()],
)
def test_every_torchvision_model_has_its_default_layer_and_length(name):
    shape = tuple(default_output(name).shape[1:])
    pooling = family_of(name).pooling
    chosen = choose_poolings((), shape, pooling, class_token=name.startswith("vit"))
    assert pooled_dim(chosen[0], shape) == DEFAULT_DIMS[name]


def test_the_lengths_that_the_reports_used():
    wanted = {"vgg16": 25088, "resnet50": 100352, "resnet152": 100352, "inception_v3": 51200}
    assert {name: DEFAULT_DIMS[name] for name in wanted} == wanted
    assert DEFAULT_DIMS["resnet18"] == 25088
    assert DEFAULT_DIMS.keys() >= set(enums.names())


def test_digests_do_not_depend_on_what_else_is_asked_for():
    alone = load_backbone(small(layers=("features.3",)))
    both = load_backbone(small(layers=("features.5", "features.3")))
    by_layer = {output.layer: output.weights for output in both.outputs}
    assert alone.outputs[0].weights == by_layer["features.3"] != by_layer["features.5"]


def test_the_same_layer_twice_is_one():
    assert len(load_backbone(small(layers=("features", "features"))).outputs) == 1


def test_values_do_not_depend_on_what_else_is_asked_for():
    from featx.forward import TorchEngine

    x = noise(3)
    alone = TorchEngine(load_backbone(small(layers=("features.3",))), "cpu")(x)[0]
    both = TorchEngine(load_backbone(small(layers=("features", "features.3"))), "cpu")(x)[1]
    assert np.array_equal(alone, both)
