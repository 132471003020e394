from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers_backbones import Net, make_net, small
from torch import fx, nn

from featx.backbones import BackboneRequest, load_backbone
from featx.backbones.custom import structure
from featx.errors import UnknownNameError, UsageError, WeightsError


def request(name: object = "helpers_backbones:make_net", **fields: object) -> BackboneRequest:
    return BackboneRequest(**({"name": name, "image_size": 32} | fields))


def test_a_callable_by_name_is_built_under_the_seed():
    one, two = load_backbone(request()), load_backbone(request())
    assert one.recipes() == two.recipes()
    assert one.name == "helpers_backbones:make_net"
    assert one.outputs[0].layer == "output"
    assert one.outputs[0].map_shape == (5, 8, 8)
    assert "for want of --preprocess" in one.notes[0]
    assert load_backbone(request(seed=1)).recipes() != one.recipes()


def test_random_marks_a_callable():
    recipe = load_backbone(request(weights="random", seed=4)).recipes()[0][0]
    assert recipe.random_seed == 4


def test_a_module_object_is_copied():
    net = Net().train()
    backbone = load_backbone(request(net, layers=("relu", "output")))
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    assert backbone.name == "Net"
    assert [o.layer for o in backbone.outputs] == ["relu", "output"]
    with torch.inference_mode():
        relu, output = backbone.module(torch.zeros(1, 3, 32, 32))
        assert torch.equal(output, net.eval()(torch.zeros(1, 3, 32, 32)))
    assert relu.min() >= 0


def test_a_callable_object_is_named_by_where_it_is():
    assert load_backbone(request(make_net)).name == "helpers_backbones:make_net"


def test_a_module_of_the_current_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "mynet_here.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Conv2d(3, 2, 3)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    assert load_backbone(request("mynet_here:build")).outputs[0].map_shape == (2, 30, 30)
    assert str(tmp_path) not in sys.path
    monkeypatch.syspath_prepend(tmp_path)
    assert load_backbone(request("mynet_here:build")).outputs[0].map_shape == (2, 30, 30)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("no_such_module:x", UnknownNameError, "cannot be imported"),
        ("helpers_backbones:gone", UnknownNameError, "cannot be imported"),
        ("helpers_backbones:NOT_CALLABLE", UsageError, "is a int; expected a callable"),
        ("helpers_backbones:make_nothing", UsageError, "gives a NoneType"),
    ],
)
def test_what_gives_no_module_is_refused(name, error, message):
    with pytest.raises(error, match=message):
        load_backbone(request(name))


def test_weights_of_ones_own(tmp_path):
    torch.manual_seed(0)
    net = Net()
    torch.save(net.state_dict(), tmp_path / "w.pth")
    file = load_backbone(request(weights=str(tmp_path / "w.pth")))
    assert file.outputs == load_backbone(request(net)).outputs
    assert file.provenance["weights_file"] == str(tmp_path / "w.pth")
    torch.save({"conv.weight": net.conv.weight, "conv.bias": net.conv.bias}, tmp_path / "c.pth")
    assert load_backbone(request(weights=str(tmp_path / "c.pth"), layers=("conv",))).outputs
    with pytest.raises(WeightsError, match="lacks"):
        load_backbone(request(weights=str(tmp_path / "c.pth")))


@pytest.mark.parametrize(
    ("name", "weights"), [(make_net, "IMAGENET1K_V1"), (Net(), "random")], ids=["member", "random"]
)
def test_weights_that_make_no_sense_for_a_module_are_refused(name, weights):
    with pytest.raises(UsageError, match="weights"):
        load_backbone(request(name, weights=weights))


def test_preprocessing_may_be_named():
    backbone = load_backbone(request(preprocess="vgg16/IMAGENET1K_V1"))
    assert "VGG16_Weights.IMAGENET1K_V1" in backbone.notes[0]


class Later(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1


def typed_at_a_prompt(body: str) -> type[nn.Module]:
    scope: dict[str, object] = {"nn": nn, "__name__": "prompt"}
    exec(f"class P(nn.Module):\n    def forward(self, x): return {body}", scope)  # noqa: S102
    return scope["P"]


def test_the_structure_is_part_of_the_identity():
    made = [Net(), Net(scale=3.0), Later(), nn.ReLU(), nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)]
    made += [typed_at_a_prompt("x")(), typed_at_a_prompt("x + 1")()]
    made += [typed_at_a_prompt("[y for y in x]")(), typed_at_a_prompt("[y + 1 for y in x]")()]
    made += [fx.symbolic_trace(Net()), fx.symbolic_trace(Later())]
    digests = [structure(module) for module in made]
    assert len(set(digests)) == len(made)
    assert structure(Net()) == digests[0]
    assert structure(Net().eval()) == digests[0]
    assert structure(typed_at_a_prompt("x")()) == digests[6]


def test_values_outside_the_state_dict_are_part_of_the_identity():
    def made(name: str, value: object) -> nn.Module:
        net = Net()
        setattr(net, name, value)
        return net

    def buffered(value: float) -> nn.Module:
        net = Net()
        net.register_buffer("shift", torch.tensor(value), persistent=False)
        return net

    nets = [
        Net(),
        made("gain", torch.tensor(1.0)),
        made("gain", torch.tensor(2.0)),
        made("gain", np.ones(2)),
        made("gain", np.zeros(2)),
        made("gain", [1, 2]),
        made("gain", [1, 3]),
        made("gain", {"a": 1}),
        made("_gain", 1.0),
        made("_gain", 2.0),
        buffered(1.0),
        buffered(2.0),
    ]
    assert len({structure(net) for net in nets}) == len(nets)
    assert structure(made("gain", [object()])) == structure(made("gain", [object()]))
    assert structure(made("gain", torch.tensor(1.0))) == structure(nets[1])


def test_poolings_must_suit_the_map():
    with pytest.raises(UsageError, match="pooling 'cls' needs a layer that gives tokens"):
        load_backbone(replace(small(), poolings=("avg", "cls")))
    backbone = load_backbone(replace(small(), poolings=("avg", "flatten", "avg")))
    assert [recipe.pooling for recipe, *_ in backbone.recipes()] == ["avg", "flatten"]
