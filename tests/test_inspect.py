"""What is seen inside a network is what torchvision's own model says and holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
import torchvision
from helpers_backbones import seeded_model
from helpers_photos import photo
from PIL import Image
from torch import nn
from torchvision.models import MobileNet_V2_Weights, SqueezeNet1_1_Weights

import featx
from featx.errors import (
    ImageError,
    LayerError,
    NumericsError,
    SourceNotFoundError,
    UsageError,
    WeightsError,
)

SAMPLES = Path(sklearn.__file__).parent / "datasets" / "images"


@pytest.fixture(scope="session")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-image's photograph of the cat Chelsea."""
    data = pytest.importorskip("skimage.data")
    path = tmp_path_factory.mktemp("skimage") / "cat.png"
    Image.fromarray(data.cat()).save(path)
    return path


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    return photo(tmp_path / "noise.jpg", (120, 90, 60), 0, size=240)


@pytest.fixture(scope="session")
def squeezenet(shared: Path) -> Path:
    return shared / "weights" / "squeezenet1_1.pth"


def random(image: Any, backbone: Any = "squeezenet1_1", **options: Any) -> featx.Inspection:
    return featx.inspect(image, backbone, weights="random", image_size=64, **options)


def names(found: featx.Inspection, image: int = 0) -> list[str]:
    return [guess.category for guess in found.images[image].top]


def model_of(file: Path, name: str) -> nn.Module:
    model = torchvision.models.get_model(name, weights=None)
    model.load_state_dict(torch.load(file, weights_only=True))
    return model.eval()


@torch.inference_mode()
def hooked(model: nn.Module, batch: torch.Tensor, *layers: str) -> list[np.ndarray]:
    """What modules give, copied before a later one overwrites it in place; then the output."""
    values: list[torch.Tensor] = []
    for layer in layers:
        model.get_submodule(layer).register_forward_hook(lambda _m, _x, y: values.append(y.clone()))
    output = model(batch)
    return [value[0].numpy() for value in (*values, output)]


@pytest.mark.shared
def test_photographs_are_recognised(squeezenet: Path, cat: Path) -> None:
    """A dahlia is no class of ImageNet: what looks like one is named."""
    images = [cat, SAMPLES / "china.jpg", SAMPLES / "flower.jpg"]
    found = featx.inspect(images, "squeezenet1_1", weights=squeezenet)
    assert set(names(found)[:3]) == {"tabby", "tiger cat", "Egyptian cat"}
    assert {"stupa", "palace"} <= set(names(found, 1))
    assert {"brain coral", "coral fungus"} <= set(names(found, 2))
    assert [image.path for image in found.images] == [str(path) for path in images]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "file", "weights", "layers"),
    [
        (
            "squeezenet1_1",
            "squeezenet1_1.pth",
            SqueezeNet1_1_Weights.IMAGENET1K_V1,
            ("features.0", "features.1"),
        ),
        (
            "mobilenet_v2",
            "mobilenet_v2-b0353104.pth",
            MobileNet_V2_Weights.IMAGENET1K_V1,
            ("features.0.0", "features.0.2"),
        ),
    ],
)
@pytest.mark.parametrize("picture", ["china.jpg", "flower.jpg"])
def test_equals_torchvision(
    shared: Path, name: str, file: str, weights: Any, layers: tuple[str, str], picture: str
) -> None:
    path = shared / "weights" / file
    model = model_of(path, name)
    batch = weights.transforms()(Image.open(SAMPLES / picture)).unsqueeze(0)
    before, after, scores = hooked(model, batch, *layers)
    p = torch.softmax(torch.from_numpy(scores), 0)
    best = torch.topk(p, 5)
    found = featx.inspect(SAMPLES / picture, name, weights=path, top=5)
    (one,) = found.images
    assert [guess.index for guess in one.top] == best.indices.tolist()
    assert names(found) == [weights.meta["categories"][i] for i in best.indices]
    assert [g.probability for g in one.top] == pytest.approx(best.values.tolist(), rel=1e-4)
    assert (found.layer, found.nonlinearity) == layers
    np.testing.assert_allclose(one.before, before[:16], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(one.after, after[:16], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found.filters, model.get_submodule(layers[0]).weight.detach())


@pytest.mark.parametrize(
    ("name", "layer", "after", "through"),
    [
        ("resnet18", "conv1", "relu", ["bn1 (BatchNorm2d)"]),
        ("resnet18", "layer2.0.conv1", "layer2.0.relu", ["layer2.0.bn1 (BatchNorm2d)"]),
        ("mobilenet_v3_small", "features.0.0", "features.0.2", ["features.0.1 (BatchNorm2d)"]),
        ("densenet121", "features.conv0", "features.relu0", ["features.norm0 (BatchNorm2d)"]),
        ("vgg11", "features.3", "features.4", []),
    ],
)
def test_maps_are_those_of_hooks(
    noise: Path, name: str, layer: str, after: str, through: list[str]
) -> None:
    found = random(noise, name, layer=layer, maps=9)
    (one,) = found.images
    pre = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    x = torch.from_numpy(one.pixels.copy()).permute(2, 0, 1).float() / 255
    x = (x - torch.tensor(pre.mean).view(3, 1, 1)) / torch.tensor(pre.std).view(3, 1, 1)
    first, second, *_ = hooked(seeded_model(name), x.unsqueeze(0), layer, after)
    np.testing.assert_allclose(one.before, first[:9], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one.after, second[:9], rtol=1e-4, atol=1e-5)
    assert list(found.through) == through


def test_a_function_is_a_nonlinearity_too(noise: Path) -> None:
    found = featx.inspect(noise, "googlenet", weights="random", maps=3)
    assert (found.layer, found.nonlinearity) == ("conv1.conv", "conv1.relu")
    after = found.images[0].after
    assert after is not None
    assert after.min() == 0 < after.max()


@pytest.mark.parametrize(
    ("name", "layer", "words"),
    [
        ("resnet18", "layer1.0.conv2", "then layer1.0.bn2 (BatchNorm2d); no non-linearity follows"),
        ("mobilenet_v2", "features.2.conv.2", "several operations take its value"),
        ("squeezenet1_1", "features.3.squeeze", "then features.3.squeeze_activation (ReLU)"),
    ],
)
def test_what_follows_is_said(noise: Path, name: str, layer: str, words: str) -> None:
    text = " ".join(repr(random(noise, name, layer=layer)).split())
    assert words in text
    assert "no classes: random weights" in text


class Ends(nn.Module):
    """Its convolution is the last thing that it does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class Depends(Ends):
    """Cannot be traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x if x.sum() > 0 else -x)


def test_a_module_of_ones_own(noise: Path, tmp_path: Path) -> None:
    found = featx.inspect(noise, Ends(), image_size=32, out=tmp_path / "out")
    assert found.why_no_top == "a module of your own names no categories"
    assert found.instead == "the network ends there"
    assert found.images[0].after is None
    assert [file.shows for file in found.files] == ["filters", "before"]
    with pytest.raises(LayerError, match=r"Depends cannot be looked into.*torch\.fx"):
        featx.inspect(noise, Depends(), image_size=32)
    with pytest.raises(LayerError, match="ReLU has no convolution"):
        featx.inspect(noise, nn.ReLU(), image_size=32)


def test_timm_names_classes_by_their_number(noise: Path) -> None:
    pytest.importorskip("timm")
    from featx.backbones import BackboneRequest, load_backbone
    from featx.backbones.classes import find_classes

    made = load_backbone(BackboneRequest("timm/resnet18", weights="random", image_size=64))
    made.random_seed = None
    classes = find_classes(made)
    assert classes.layer == "fc"
    assert classes.categories[281].startswith("tabby")
    assert "assumed" in classes.note
    assert random(noise, "timm/resnet18").nonlinearity == "act1"


def test_layers_that_are_none(noise: Path) -> None:
    with pytest.raises(LayerError, match=r"no layer 'featurs\.0'; convolutions: 'features\.0'"):
        random(noise, layer="featurs.0")
    near = r"'features\.2' is no convolution; near it: 'features\.0', 'features\.3\.squeeze'"
    with pytest.raises(LayerError, match=near):
        random(noise, layer="features.2")
    inside = r"near it: 'features\.3\.squeeze', 'features\.3\.expand1x1'"
    with pytest.raises(LayerError, match=inside):
        random(noise, layer="features.3")


def without_classifier(model: nn.Module, classes: int = 0) -> dict[str, torch.Tensor]:
    state = model.state_dict()
    for name in [name for name in state if name.startswith("classifier")]:
        value = state.pop(name)
        if classes:
            state[name] = value[:classes].clone()
    return state


def test_a_classifier_that_does_not_fit_is_said(noise: Path, tmp_path: Path) -> None:
    model, path = seeded_model("squeezenet1_1"), tmp_path / "mine.pth"
    torch.save(without_classifier(model), path)
    found = featx.inspect(noise, "squeezenet1_1", weights=path, image_size=64)
    assert found.why_no_top == (
        "mine.pth ends before the classifier: it lacks classifier.1.bias and 1 more"
    )
    assert found.images[0].top == ()
    with pytest.raises(WeightsError, match=r"the weights end before layer 'classifier\.1'"):
        featx.inspect(noise, "squeezenet1_1", "classifier.1", weights=path, image_size=64)
    torch.save(without_classifier(model, classes=7), path)
    found = featx.inspect(noise, "squeezenet1_1", weights=path, image_size=64)
    assert "classifier.1.bias is 7 in mine.pth, and 1000 in the network" in found.why_no_top
    torch.save(model.state_dict(), path)
    found = featx.inspect(noise, "squeezenet1_1", weights=path, image_size=64, top=2000)
    assert not found.why_no_top
    assert sum(guess.probability for guess in found.images[0].top) == pytest.approx(1)
    assert len(set(names(found))) > 990  # two pairs of ImageNet's classes share a name
    assert found.notes[-1].startswith("the categories of SqueezeNet1_1_Weights.IMAGENET1K_V1")


def test_timm_without_a_classifier_is_not_believed(noise: Path, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    state, path = timm.create_model("resnet18").state_dict(), tmp_path / "mine.pth"
    torch.save({name: value for name, value in state.items() if not name.startswith("fc")}, path)
    found = featx.inspect(noise, "timm/resnet18", weights=path, image_size=64)
    assert "lacks 2 of the tensors" in found.why_no_top
    torch.save(state, path)
    assert featx.inspect(noise, "timm/resnet18", weights=path, image_size=64).images[0].top


def test_pictures_of_every_kind(tmp_path: Path) -> None:
    gradient = np.tile(np.arange(90, dtype=np.uint8), (80, 1))
    grey, turned = Image.fromarray(gradient), Image.fromarray(gradient).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    from_file, from_memory = random([str(tmp_path / "turned.png"), grey]).images
    np.testing.assert_array_equal(from_file.pixels, from_memory.pixels)
    assert from_file.pixels.shape == (64, 64, 3)
    assert (from_file.pixels == from_file.pixels[:, :, :1]).all()


def test_bad_files(noise: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(noise.read_bytes()[:900])
    found = random([noise, bad])
    assert [(path, "truncated" in reason) for path, reason in found.failed] == [(str(bad), True)]
    assert len(found.images) == 1
    assert f"failed: {bad}" in repr(found)
    with pytest.raises(ImageError, match=r"no image can be read: .*bad\.jpg: truncated"):
        random(bad)
    with pytest.raises(SourceNotFoundError, match=r"there\.jpg"):
        random(tmp_path / "there.jpg")


@pytest.mark.parametrize("option", ["top", "maps"])
def test_counts_are_checked(noise: Path, option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} is 0; give a number of 1 or more"):
        random(noise, **{option: 0})


def test_too_many_images_are_refused_before_a_network_is_loaded() -> None:
    with pytest.raises(UsageError, match="101 images; name up to 100"):
        featx.inspect(np.zeros((101, 8, 8, 3), np.uint8), "no_such_network")


def test_values_that_are_not_finite_are_refused(noise: Path) -> None:
    broken = Ends()
    nn.init.constant_(broken.conv.weight, 3e38)
    with pytest.raises(NumericsError, match=r"layer 'conv' gives values that are not finite"):
        featx.inspect(noise, broken, image_size=32)


def test_files_are_whole_named_and_show_the_maps(noise: Path, tmp_path: Path) -> None:
    other = tmp_path / "again" / "noise.jpg"
    other.parent.mkdir()
    other.write_bytes(noise.read_bytes())
    found = random([noise, other], maps=4, out=tmp_path / "out")
    where = "squeezenet1_1-features.0"
    assert [file.path.name for file in found.files] == [
        f"{where}-filters.png",
        f"noise-{where}-before.png",
        f"noise-{where}-after.png",
        f"noise-{where}-before-2.png",
        f"noise-{where}-after-2.png",
    ]
    assert sorted((tmp_path / "out").iterdir()) == sorted(file.path for file in found.files)
    filters, after = found.files[0], found.files[2]
    tile = np.asarray(Image.open(filters.path))[4:-4:, 4:-4]
    assert (filters.black, filters.white) == (-filters.white, np.abs(found.filters).max())
    levels = 255 * (found.filters[0, :, 0, 0] - filters.black) / (filters.white - filters.black)
    assert np.abs(tile[0, 0] - levels).max() <= 0.5
    assert after.black == 0
    grid = np.asarray(Image.open(after.path))
    assert grid.ndim == 2
    assert grid[0, 0] == 255
    value = found.images[0].after[0, 0, 0]  # type: ignore[index]
    assert abs(int(grid[4, 4]) - min(255, 255 * value / after.white)) <= 0.5
