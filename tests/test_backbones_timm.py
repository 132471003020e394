from __future__ import annotations

import builtins
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from featx.backbones import BackboneRequest, list_backbones, load_backbone
from featx.backbones.timm_models import Features
from featx.errors import (
    LayerError,
    MissingDependencyError,
    UnknownNameError,
    UsageError,
    WeightsNotFoundError,
)

timm = pytest.importorskip("timm")


def request(name: str = "test_vit", **fields: object) -> BackboneRequest:
    return BackboneRequest(**({"name": f"timm/{name}", "weights": "random"} | fields))


@pytest.mark.parametrize(
    ("name", "label", "dim"),
    [
        ("test_vit", "timm/test_vit(random seed 0):forward_features:cls@160", 64),
        ("test_vit2", "timm/test_vit2(random seed 0):forward_features:avg@160", 64),
        ("test_resnet", "timm/test_resnet(random seed 0):forward_features:flatten@224", 4704),
        ("test_mambaout", "timm/test_mambaout(random seed 0):forward_features:flatten@224", 3136),
    ],
)
def test_defaults_follow_the_kind_of_network(name, label, dim):
    ((recipe, _shape, length),) = load_backbone(request(name)).recipes()
    assert (recipe.label, length) == (label, dim)


def test_what_has_no_class_token_cannot_be_pooled_by_it():
    with pytest.raises(UsageError, match="use avg"):
        load_backbone(request("test_vit2", poolings=("cls",)))


def test_values_are_timms_own():
    backbone = load_backbone(request(layers=("forward_features", "blocks.0", "head")))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("test_vit").eval()
    x = torch.randn(1, 3, 160, 160)
    with torch.inference_mode():
        features, block, logits = backbone.module(x)
        assert torch.equal(features, model.forward_features(x))
        assert torch.allclose(logits, model(x), atol=1e-6)
    assert block.shape == features.shape
    assert [o.poolings for o in backbone.outputs] == [("cls",), ("cls",), ("flatten",)]


def test_channels_come_first():
    backbone = load_backbone(request("test_mambaout", image_size=64))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("test_mambaout").eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = model.forward_features(x).permute(0, 3, 1, 2)
        assert torch.allclose(backbone.module(x)[0], expected, atol=1e-5)


def test_tokens_that_stand_for_no_part_of_the_image_are_left_out():
    class Registers(torch.nn.Module):
        num_prefix_tokens, num_reg_tokens = 3, 2

        def forward_features(self, _x: torch.Tensor) -> torch.Tensor:
            return torch.arange(6.0).view(1, 6, 1)

    assert Features(Registers())(torch.zeros(1)).flatten().tolist() == [0, 3, 4, 5]


def test_the_preprocessing_is_timms():
    pre = load_backbone(request()).preprocess
    assert (pre.image_size, pre.resize_size, pre.interpolation) == ((160, 160), 168, "bicubic")
    transform = timm.data.create_transform(
        **timm.data.resolve_model_data_config(timm.create_model("test_vit"))
    )
    assert transform.transforms[0].size == pre.resize_size
    assert tuple(transform.transforms[-1].mean.tolist()) == pre.mean


def test_another_size_resamples_the_positions():
    assert load_backbone(request(image_size=224)).outputs[0].map_shape == (197, 64)


def test_a_network_of_one_size_says_so(monkeypatch):
    def one_size(*_args, **fields):
        raise TypeError("unexpected keyword argument 'img_size'")

    monkeypatch.setattr(timm, "create_model", one_size)
    with pytest.raises(LayerError, match="takes images of 160 pixels alone"):
        load_backbone(request(image_size=224))


def test_the_classifier_is_not_part_of_the_identity(tmp_path):
    model = timm.create_model("test_vit", num_classes=7).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    del model.head
    torch.save(model.state_dict(), tmp_path / "headless.pth")
    files = [tmp_path / "w.pth", tmp_path / "headless.pth"]
    one, two = (load_backbone(request(weights=str(file))) for file in files)
    assert one.outputs == two.outputs
    assert one.provenance["weights_file"] == str(files[0])


def test_tensors_of_an_original_release_are_renamed_as_timm_does(tmp_path):
    model = timm.create_model("test_vit").eval()
    state = {f"visual.trunk.{k}": v for k, v in model.state_dict().items()}
    torch.save(state, tmp_path / "clip.pth")
    backbone = load_backbone(request(weights=str(tmp_path / "clip.pth")))
    torch.save(model.state_dict(), tmp_path / "plain.pth")
    assert backbone.outputs == load_backbone(request(weights=str(tmp_path / "plain.pth"))).outputs
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "e.pth")
    assert load_backbone(request("test_efficientnet", weights=str(tmp_path / "e.pth"))).outputs


@pytest.mark.parametrize(
    ("name", "message"),
    [("tset_vit", "did you mean 'test_vit'"), ("test_vit.in21k", r"test_vit\.r160_in1k")],
)
def test_an_unknown_name_names_the_nearest(name, message):
    with pytest.raises(UnknownNameError, match=message):
        load_backbone(request(name))


def test_weights_are_part_of_the_name():
    with pytest.raises(UsageError, match=r"timm/NAME\.TAG"):
        load_backbone(request(weights="r160_in1k"))


def test_an_error_of_timms_own_is_not_hidden(monkeypatch):
    def broken(*_args, **_fields):
        raise KeyError("broken")

    monkeypatch.setattr(timm, "create_model", broken)
    with pytest.raises(KeyError, match="broken"):
        load_backbone(request())


def test_without_timm_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "timm":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "timm")
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install 'featx\[timm\]'"):
        load_backbone(request())


REVISION = "0123456789abcdef0123456789abcdef01234567"
CHILD = """
import json, sys
if sys.argv[1:]:  # no network, without a word of it in advance
    import socket
    def nowhere(*_, **__):
        raise OSError("no network in this test")
    socket.getaddrinfo = socket.create_connection = nowhere
from featx.backbones import BackboneRequest, load_backbone
backbone = load_backbone(BackboneRequest("timm/test_vit"))
print(json.dumps([backbone.name, backbone.outputs[0].weights, backbone.provenance]))
"""


@pytest.mark.parametrize("offline", [True, False])
def test_the_hubs_cache_serves_offline_and_the_revision_is_recorded(tmp_path, offline):
    torch.manual_seed(1)
    model = timm.create_model("test_vit")
    repo = tmp_path / "hub" / "models--timm--test_vit.r160_in1k"
    snapshot = repo / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(REVISION)
    from safetensors.torch import save_file

    save_file(model.state_dict(), snapshot / "model.safetensors")
    out = child(tmp_path, offline=offline)
    assert out.returncode == 0, out.stderr
    assert out.stderr == ""
    name, digest, provenance = json.loads(out.stdout)
    assert name == "timm/test_vit.r160_in1k"
    torch.save(model.state_dict(), tmp_path / "w.pth")
    assert digest == load_backbone(request(weights=str(tmp_path / "w.pth"))).outputs[0].weights
    assert provenance["revision"] == REVISION
    assert provenance["weights"] == "timm/test_vit.r160_in1k"


def child(home: Path, *, offline: bool) -> subprocess.CompletedProcess[str]:
    """Run it where the hub is out of reach; ``offline``: and where its library knows that."""
    import os

    env = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": str(int(offline))}
    words = [sys.executable, "-c", CHILD, *([] if offline else ["no network"])]
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("offline", [True, False])
def test_offline_without_the_weights_both_ways_out_are_named(tmp_path, offline):
    out = child(tmp_path, offline=offline)
    assert "Retry" not in out.stderr
    last = out.stderr.strip().splitlines()[-1]
    assert "WeightsUnreachableError" in last
    assert ("HF_HUB_OFFLINE is set" if offline else "does not answer: ") in last
    assert all(text in last for text in (str(tmp_path), "--weights FILE", "--weights random"))


def test_weights_that_do_not_fit_are_an_error(monkeypatch):
    def create(*_args, **_fields):
        raise RuntimeError("Error: size mismatch for pos_embed")

    monkeypatch.setattr(timm, "create_model", create)
    monkeypatch.setattr("featx.backbones.hugging_face.why_out_of_reach", lambda: None)
    from featx.errors import WeightsError

    with pytest.raises(WeightsError, match="size mismatch for pos_embed"):
        load_backbone(request(weights=None))


def test_no_pretrained_weights_at_all(monkeypatch):
    def create(*_args, **_fields):
        raise RuntimeError("No pretrained weights exist for this model.")

    monkeypatch.setattr(timm, "create_model", create)
    monkeypatch.setattr("featx.backbones.hugging_face.why_out_of_reach", lambda: None)
    with pytest.raises(WeightsNotFoundError, match="No pretrained weights exist"):
        load_backbone(request(weights=None))


def test_listing():
    rows = list_backbones("timm/*clip_224.openai")
    assert "timm/vit_base_patch16_clip_224.openai" in [row.name for row in rows]
    rows = list_backbones()
    vgg16 = next(row for row in rows if row.name == "vgg16")
    assert (vgg16.layer, vgg16.dim, vgg16.reported) == ("features", 25088, True)
    assert vgg16.weights == ("IMAGENET1K_V1", "IMAGENET1K_FEATURES")
    assert sum(row.reported for row in rows) == 12


def test_a_listed_model_without_a_family_shows_no_layer(monkeypatch):
    from featx.backbones import families, listing

    monkeypatch.setattr(families, "FAMILIES", ())
    row = listing.list_torchvision()[0]
    assert row.layer == ""
