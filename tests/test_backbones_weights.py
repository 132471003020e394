from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from helpers_backbones import literal, noise, photos, seeded_model, small
from safetensors.torch import save_file

from featx import images
from featx.backbones import BackboneRequest, enums, load_backbone
from featx.backbones.torchvision_models import _renamed
from featx.backbones.weights import WeightsFile, read_tensors, weights_digests
from featx.errors import UnknownNameError, WeightsError, WeightsNotFoundError
from featx.forward import TorchEngine

NAME = "squeezenet1_1"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return dict(seeded_model(NAME, seed=3).state_dict())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def saved(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def digest(**fields: object) -> str:
    return load_backbone(small(seed=9, **fields)).outputs[0].weights


def test_a_file_gives_the_tensors_that_are_in_it(state, tmp_path):
    file = saved(tmp_path / "w.pth", state)
    assert digest(weights=file) == load_backbone(small(seed=3)).outputs[0].weights
    assert digest(weights=file) != load_backbone(small(seed=4)).outputs[0].weights


def test_every_way_to_write_the_same_tensors_is_the_same_identity(state, tmp_path):
    nested = {"epoch": 3, "model": {"net": {f"module.{k}": v for k, v in state.items()}}}
    save_file(state, tmp_path / "w.safetensors")
    half = {k: v.half().float() for k, v in state.items()}
    ways = {
        digest(weights=saved(tmp_path / "plain.pt", state)),
        digest(weights=str(tmp_path / "w.safetensors")),
        digest(
            weights=saved(tmp_path / "nested.pth", nested),
            weights_key="model.net",
            strip_prefix="module.",
        ),
    }
    assert len(ways) == 1
    stored_half = saved(tmp_path / "half.pth", {k: v.half() for k, v in state.items()})
    assert digest(weights=stored_half) == digest(weights=saved(tmp_path / "cast.pth", half))


def test_a_headless_file_serves_up_to_the_cut(state, tmp_path):
    headless = {k: v for k, v in state.items() if k.startswith("features")}
    file = saved(tmp_path / "w.pth", headless)
    assert load_backbone(small(weights=file)).outputs[0].layer == "features"
    with pytest.raises(WeightsError, match=r"lacks 2 of the tensors up to the cut: classifier.1.b"):
        load_backbone(small(weights=file, layers=("classifier",)))


def test_a_head_of_another_size_is_no_obstacle_before_the_cut(state, tmp_path):
    other = state | {"classifier.1.weight": torch.zeros(7, 512, 1, 1)}
    file = saved(tmp_path / "w.pth", other)
    load_backbone(small(weights=file))
    with pytest.raises(WeightsError, match=r"classifier.1.weight 7x512x1x1, expected 1000x512x1x1"):
        load_backbone(small(weights=file, layers=("classifier",)))


def test_what_has_no_place_is_named_in_the_notes(state, tmp_path):
    file = saved(tmp_path / "w.pth", state | {"extra.weight": torch.zeros(1)})
    notes = load_backbone(small(weights=file)).notes
    assert any("1 tensors of" in note and "extra.weight" in note for note in notes)


def test_a_prefix_that_would_help_is_proposed(state, tmp_path):
    file = saved(tmp_path / "w.pth", {f"module.{k}": v for k, v in state.items()})
    with pytest.raises(WeightsError, match=r"lacks 50 .* and 46 more; .* --strip-prefix module\.$"):
        load_backbone(small(weights=file))


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        ({"teacher": {"a": torch.zeros(1)}, "epoch": 1}, {}, "--weights-key teacher"),
        ({"m": {"t": {"a": torch.zeros(1)}}}, {"weights_key": "m"}, "--weights-key m.t"),
        ({"epoch": 1}, {}, r"holds no tensors \(got: epoch\)"),
        ({"a": torch.zeros(1)}, {"weights_key": "teacher"}, "has no part 'teacher'; it has no"),
        ({"t": {"a": torch.zeros(1)}, "e": 1}, {"weights_key": "e"}, "'e' in .* is a int"),
        ({"a": torch.zeros(1)}, {"strip_prefix": "b."}, "no tensor in .* starts with 'b.'"),
        ([torch.zeros(1)], {}, "holds a list; expected a state dict"),
    ],
)
def test_a_file_with_something_else_says_what_to_do(tmp_path, content, fields, message):
    with pytest.raises(WeightsError, match=message):
        load_backbone(small(weights=saved(tmp_path / "w.pth", content), **fields))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    file = saved(tmp_path / "w.pth", Path())
    with pytest.raises(WeightsError, match="could run code"):
        load_backbone(small(weights=file))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_of_noise_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x93noise" * 40)
    with pytest.raises(WeightsError, match=name):
        load_backbone(small(weights=str(tmp_path / name)))


def test_a_truncated_file_is_refused(state, tmp_path):
    file = Path(saved(tmp_path / "w.pth", state))
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="cannot be read as a weights file"):
        load_backbone(small(weights=str(file)))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"no weights file .*gone\.pth"):
        load_backbone(small(weights=str(tmp_path / "gone.pth")))


def test_values_that_are_not_finite_are_refused(state, tmp_path):
    bad = state | {"classifier.1.bias": torch.full((1000,), torch.nan)}
    file = saved(tmp_path / "w.pth", bad)
    load_backbone(small(weights=file))
    with pytest.raises(WeightsError, match=r"not finite in classifier.1.bias; cut at an earlier"):
        load_backbone(small(weights=file, layers=("classifier",)))


def test_an_unknown_member_names_those_there_are():
    with pytest.raises(UnknownNameError, match=r"squeezenet1_1 has IMAGENET1K_V1; or random"):
        load_backbone(small(weights="IMAGENET1K_V7"))


def test_an_unknown_backbone_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean 'resnet50'"):
        load_backbone(small(name="resnet_50"))


def test_pretrained_weights_are_taken_from_the_hub_folder(state, hub, monkeypatch):
    from hashlib import sha256

    plain = hub / "plain.pth"
    torch.save(state, plain)
    name = f"{NAME}-{sha256(plain.read_bytes()).hexdigest()[:8]}.pth"
    file = plain.rename(hub / name)
    monkeypatch.setattr(enums, "file_name", lambda _member: name)
    backbone = load_backbone(small(weights=None))
    assert backbone.provenance["weights"] == "SqueezeNet1_1_Weights.IMAGENET1K_V1"
    assert backbone.provenance["weights_file"] == str(file)
    assert backbone.random_seed is None
    named = load_backbone(small(weights="SqueezeNet1_1_Weights.IMAGENET1K_V1"))
    assert named.outputs == backbone.outputs


def test_a_damaged_file_in_the_hub_folder_is_refused(state, hub):
    torch.save(state, hub / "squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(WeightsError, match="SHA-256 does not start with b8a52dc0; delete it"):
        load_backbone(small(weights=None))


def test_a_download_is_announced_and_checked(state, hub, monkeypatch):
    said = []

    class Listening:
        def say(self, message: str) -> None:
            said.append(message)

    def download(url, path, prefix, progress):
        assert (prefix, progress) == ("b8a52dc0", True)
        torch.save(state, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    load_backbone(small(weights=None), Listening())
    assert said[0].startswith("downloading https://download.pytorch.org/models/squeezenet1_1-")


def test_without_network_and_file_both_ways_out_are_named(hub, monkeypatch):
    def unreachable(*_args, **_fields):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(WeightsNotFoundError) as caught:
        load_backbone(small(weights=None))
    text = str(caught.value)
    assert all(t in text for t in ("squeezenet1_1-b8a52dc0.pth", str(hub), "--weights FILE"))
    assert "--weights random" in text


def test_a_damaged_download_is_an_error(hub, monkeypatch):
    def damaged(*_args, **_fields):
        raise RuntimeError("invalid hash value")

    monkeypatch.setattr(torch.hub, "download_url_to_file", damaged)
    with pytest.raises(WeightsError, match="arrived damaged"):
        load_backbone(small(weights=None))


def test_a_file_takes_the_transforms_of_the_member_with_its_bytes(tmp_path, monkeypatch):
    file = tmp_path / "renamed.pth"
    file.write_bytes(b"weights")
    request = BackboneRequest("vgg16", weights=str(file))
    assumed = enums.choose_weights("vgg16", request)
    assert assumed.member.name == "IMAGENET1K_V1"
    assert "IMAGENET1K_V1 is assumed; --preprocess says otherwise" in assumed.note
    monkeypatch.setattr(enums, "sha256", lambda _: "88682ab5" + 56 * "0")
    found = enums.choose_weights("vgg16", request)
    assert (found.member.name, found.note) == ("IMAGENET1K_FEATURES", None)


@pytest.mark.shared
def test_real_weights_are_known_under_any_name(shared, tmp_path):
    renamed = tmp_path / "mine.pth"
    renamed.write_bytes((shared / "weights" / "mobilenet_v2-b0353104.pth").read_bytes())
    request = BackboneRequest("mobilenet_v2", weights=str(renamed))
    assert enums.choose_weights("mobilenet_v2", request).member.name == "IMAGENET1K_V1"


def test_random_weights_are_torchvisions_own_under_the_seed():
    backbone = load_backbone(small(seed=5))
    names = [n for n in seeded_model(NAME).state_dict() if n.startswith("features")]
    expected = weights_digests(seeded_model(NAME, seed=5), [names])
    assert [output.weights for output in backbone.outputs] == expected
    assert backbone.recipes()[0][0].random_seed == 5
    assert any("random weights (seed 5), untrained" in note for note in backbone.notes)
    before = torch.random.get_rng_state()
    load_backbone(small(seed=6))
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_identity_sees_name_dtype_shape_and_bytes():
    class Holder:
        def __init__(self, **tensors: torch.Tensor) -> None:
            self.tensors = tensors

        def state_dict(self) -> dict[str, torch.Tensor]:
            return self.tensors

    base = torch.zeros(2, 3)
    tensors = [base, base.reshape(3, 2), base.double(), base + 1, torch.zeros(0)]
    digests = [weights_digests(Holder(a=t), [["a"]])[0] for t in tensors]
    digests.append(weights_digests(Holder(b=base), [["b"]])[0])
    assert len(set(digests)) == len(digests)
    assert weights_digests(Holder(a=base.t().contiguous().t()), [["a"]])[0] == digests[0]


def test_old_densenet_names_are_renamed():
    tensors = {"features.denseblock1.denselayer2.norm.1.weight": torch.zeros(1)}
    file = WeightsFile(Path("w"), tensors)
    assert list(_renamed("densenet121", file).tensors) == [
        "features.denseblock1.denselayer2.norm1.weight"
    ]
    assert _renamed("resnet18", file) is file


@pytest.mark.slow
def test_old_vit_names_are_renamed_by_torchvisions_own_hook(tmp_path):
    state = seeded_model("vit_b_32", seed=1).state_dict()
    old = {
        k.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): v
        for k, v in state.items()
    }
    file = saved(tmp_path / "vit.pth", old)
    backbone = load_backbone(BackboneRequest("vit_b_32", weights=file))
    same = load_backbone(BackboneRequest("vit_b_32", weights="random", seed=1))
    assert backbone.outputs == same.outputs


@pytest.mark.slow
def test_a_version_kept_beside_the_tensors_is_heeded(tmp_path):
    model = seeded_model("mnasnet0_5", seed=1)
    file = saved(tmp_path / "m.pth", model.state_dict())
    bare = saved(tmp_path / "bare.pth", dict(model.state_dict()))
    request = BackboneRequest("mnasnet0_5", weights=file, image_size=64)
    assert load_backbone(request).outputs == load_backbone(replace(request, weights=bare)).outputs
    assert read_tensors(Path(file)).versions is not None


@pytest.mark.slow
def test_transform_input_follows_the_weights(tmp_path):
    request = BackboneRequest("googlenet", weights="random", image_size=64)
    untrained = load_backbone(request)
    assert untrained.options == (("transform_input", False),)
    file = saved(tmp_path / "g.pth", seeded_model("googlenet").state_dict())
    trained = load_backbone(replace(request, weights=file))
    assert trained.options == (("transform_input", True),)
    assert trained.outputs == untrained.outputs
    x = noise(1)
    assert not np.array_equal(
        TorchEngine(trained, "cpu")(x)[0], TorchEngine(untrained, "cpu")(x)[0]
    )


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "file", "dim"),
    [
        ("vgg16", "vgg16_features.pth", 25088),
        ("mobilenet_v2", "mobilenet_v2-b0353104.pth", 62720),
        ("squeezenet1_1", "squeezenet1_1.pth", 86528),
    ],
)
def test_real_weights_give_what_torchvision_gives(shared, name, file, dim):
    path = shared / "weights" / file
    backbone = load_backbone(BackboneRequest(name, weights=str(path)))
    assert backbone.recipes()[0][2] == dim
    model = torchvision.models.get_model(name, weights=None)
    model.load_state_dict(torch.load(path, weights_only=True), strict=False)
    pictures = photos(3)
    member = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    expected = literal(model, "features", member, pictures)
    prepared = np.stack([images.load(p, backbone.preprocess)[0] for p in pictures])
    got = TorchEngine(backbone, "cpu", "fp32")(prepared)[0].reshape(3, -1)
    error = np.linalg.norm(got - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-4
    stored = got.astype(np.float16).astype(np.float32)
    lost = np.linalg.norm(stored - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert lost.max() < 5e-4
