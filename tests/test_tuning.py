"""Networks trained whole or in part: what moves, what stays, and that a stop changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers_backbones import noise
from torch import nn

from featx.augment import augmented, generator
from featx.augmentation import read_augmentation
from featx.backbones import Backbone, BackboneRequest, load_backbone
from featx.errors import LayerError, ModelFileError
from featx.heads.course import epoch_seed
from featx.heads.network import perceptron
from featx.sources import open_source
from featx.training import Training
from featx.tuning import Part, Pictures, TunedNetwork, freeze_layers, outputs, tensors_of, train
from featx.tuning.checkpoint import FILE
from featx.tuning.pictures import Loader

N = 12


def backbone(name: str, size: int = 64) -> Backbone:
    asked = BackboneRequest(name, poolings=("avg",), weights="random", image_size=size)
    return load_backbone(asked)


def network(one: Backbone, freeze: str, n_classes: int = 3) -> TunedNetwork:
    torch.manual_seed(0)
    head = perceptron(one.outputs[0].map_shape[0], (), n_classes)
    return TunedNetwork(one, "avg", head, freeze_layers(one, freeze))


def pictures(one: Backbone, n: int = N) -> Pictures:
    source = open_source(list(noise(n, 70)))
    digests = np.random.default_rng(0).integers(0, 256, (n, 16), dtype=np.uint8)
    return Pictures(source.entries, digests, one.preprocess)


def part(one: Backbone, n: int = N, **more: Any) -> Part:
    return Part(pictures(one, n), np.arange(n), np.arange(n) % 3, **more)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(one: Backbone, freeze: str, epochs: int = 1) -> tuple[set[str], set[str]]:
    """Train, and give the tensors of the backbone that have changed, and those that have not."""
    module, before = network(one, freeze), tensors_of(one)
    training = Training(lr=0.01, epochs=epochs, batch_size=4, optimizer="sgd")
    train(module, training, "classification", part(one), None, None)
    after = tensors_of(one)
    names = {name for name in after if not name.endswith("num_batches_tracked")}
    changed = {name for name in names if not torch.equal(before[name], after[name])}
    return changed, names - changed


def test_half_of_vgg16_trains_the_other_half() -> None:
    one = backbone("vgg16", 32)
    frozen = freeze_layers(one, "half")
    convolutions = [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
    assert [*frozen.still, *frozen.trained] == convolutions
    assert frozen.still == tuple(convolutions[:6])
    assert "6 of 13 layers are frozen, features.0 to features.12" in frozen.describe()
    changed, same = moved(one, "half")
    assert same == {f"{name}.{kind}" for name in convolutions[:6] for kind in ("weight", "bias")}
    assert changed == {f"{name}.{kind}" for name in convolutions[6:] for kind in ("weight", "bias")}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_statistics_of_frozen_norms_do_not_move(name: str) -> None:
    one = backbone(name)
    frozen = freeze_layers(one, "half")
    changed, same = moved(one, "half")
    assert same == {t for t in frozen.tensors if not t.endswith("num_batches_tracked")}
    assert any("running_mean" in tensor for tensor in same)
    assert any("running_mean" in tensor for tensor in changed)
    names = {tensor.rpartition(".")[0] for tensor in changed}
    assert set(frozen.trained) <= names


def test_all_and_none_and_a_node() -> None:
    one = backbone("resnet18")
    assert freeze_layers(one, "none").describe() == "all 20 layers of the backbone are trained"
    assert freeze_layers(one, "all").describe() == "all 20 layers of the backbone are frozen"
    changed, same = moved(one, "all")
    assert not changed
    assert same
    node = freeze_layers(one, "layer1")
    assert node.still == ("conv1", *(f"layer1.{i}.conv{j}" for i in (0, 1) for j in (1, 2)))
    assert "bn1.running_mean" in node.tensors
    with pytest.raises(LayerError, match="no layer 'layer9'"):
        freeze_layers(one, "layer9")
    everything, nothing = moved(backbone("resnet18"), "none")
    assert not nothing
    assert everything


def learned_by_heart(one: Backbone, freeze: str, training: Training) -> list[float]:
    module = network(one, freeze)
    done = train(module, training, "classification", part(one), None, None)
    if freeze == "half":  # no norms, whose statistics would lag behind
        assert (outputs(module, part(one), 6, "cpu").argmax(axis=1) == np.arange(N) % 3).all()
    return [row["train_loss"] for row in done.rows]


def test_the_loss_on_a_tiny_set_goes_to_nothing() -> None:
    losses = learned_by_heart(
        backbone("shufflenet_v2_x0_5"), "none", Training(lr=3e-3, epochs=30, batch_size=12)
    )
    assert losses[0] > 0.5
    assert losses[-1] < 0.02


@pytest.mark.slow
@pytest.mark.shared
def test_half_of_a_trained_vgg16_learns_a_tiny_set_by_heart(shared: Path) -> None:
    file = shared / "weights" / "vgg16_features.pth"
    one = load_backbone(
        BackboneRequest("vgg16", poolings=("avg",), weights=str(file), image_size=64)
    )
    losses = learned_by_heart(one, "half", Training(lr=1e-4, epochs=30, batch_size=12))
    assert losses[0] > 0.5
    assert losses[-1] < 0.02


def test_it_is_trained_as_a_plain_loop_trains() -> None:
    one, other = backbone("resnet18"), backbone("resnet18")
    how = read_augmentation("faces")
    module = network(one, "layer2")
    training = Training(lr=0.01, epochs=2, batch_size=5, optimizer="sgd", seed=3)
    train(module, training, "classification", part(one, augment=how, seed=3), None, None)

    plain, images = network(other, "layer2"), pictures(other)
    steps = torch.optim.SGD([p for p in plain.parameters() if p.requires_grad], 0.01, 0.9)
    y = torch.arange(N) % 3
    for epoch in range(2):
        torch.manual_seed(epoch_seed(3, epoch))
        plain.train()
        for rows in torch.split(torch.randperm(N), 5):
            batch = [
                augmented(images.image(i), how, generator(3, images.digests[i], epoch + 1))
                for i in rows.tolist()
            ]
            steps.zero_grad()
            said = plain(torch.from_numpy(np.stack(batch)))
            nn.functional.cross_entropy(said, y[rows]).backward()
            steps.step()
    for name, value in state(module).items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-4, atol=1e-5)


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_stop_between_epochs_changes_nothing(tmp_path: Path, optimizer: str) -> None:
    training = Training(
        lr=1e-3, epochs=4, batch_size=4, optimizer=optimizer, scheduler="cosine", seed=1
    )

    def go(folder: Path, stop_after: int | None = None) -> Any:
        one = backbone("shufflenet_v2_x0_5", 32)
        module = network(one, "none")
        seen: list[Any] = []

        def after(row: Any) -> None:
            seen.append(row)
            if len(seen) == stop_after:
                raise StoppedError

        held = part(one)
        judge = lambda y, said: float((said.argmax(1) == y).float().mean())  # noqa: E731
        own = part(one, augment=read_augmentation("light"), seed=1)
        done = train(
            module, training, "classification", own, held, judge, folder=folder, after_epoch=after
        )
        return done, state(module), seen

    calm, expected, _ = go(tmp_path / "calm")
    for stop in (1, 3):
        with pytest.raises(StoppedError):
            go(tmp_path / "stormy", stop)
    resumed, found, seen = go(tmp_path / "stormy")
    assert len(seen) == 4
    keys = ("train_loss", "valid_loss", "valid_score", "lr")
    assert [[r[k] for k in keys] for r in resumed.rows] == [[r[k] for k in keys] for r in calm.rows]
    assert resumed.best == calm.best
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    training = Training(epochs=1, batch_size=4)
    one = backbone("resnet18", 32)
    train(network(one, "all"), training, "classification", part(one), None, None, folder=tmp_path)
    other = network(backbone("resnet18", 32), "all", n_classes=4)
    with pytest.raises(ModelFileError, match=r"cannot be gone on from .*; delete"):
        train(other, training, "classification", part(one), None, None, folder=tmp_path)
    (tmp_path / FILE).write_bytes(b"no tensors")
    with pytest.raises(ModelFileError, match="cannot be gone on from"):
        train(other, training, "classification", part(one), None, None, folder=tmp_path)


def test_images_that_have_no_room_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one = backbone("resnet18", 32)
    monkeypatch.setattr("featx.tuning.pictures.available", lambda: 4 * 5 * 32 * 32 * 3)
    images = pictures(one)
    first = [images.image(i).copy() for i in range(N)]
    assert len(images._kept) == 5
    assert all(np.array_equal(images.image(i), first[i]) for i in range(N))


def test_a_last_batch_of_one_image_is_left_out_of_training() -> None:
    one = backbone("resnet18", 32)
    whole = part(one, 9)
    assert [len(images) for images, _ in Loader(whole, 4)] == [4, 4, 1]
    assert [len(images) for images, _ in Loader(whole, 4, shuffle=True)] == [4, 4]
    assert [len(images) for images, _ in Loader(part(one, 1), 4, shuffle=True)] == [1]
    assert len(whole) == 9
    assert whole[2][1] == 2


@pytest.mark.gpu
def test_it_is_trained_on_cuda_as_on_a_processor(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    training = Training(lr=1e-3, epochs=2, batch_size=4, optimizer="sgd")
    curves = []
    for device in ("cpu", "cuda"):
        one = backbone("resnet18", 64)
        module = network(one, "half")
        own = part(one, augment=read_augmentation("light"))
        folder = tmp_path / device
        done = train(
            module, training, "classification", own, part(one), None, device=device, folder=folder
        )
        said = outputs(module, part(one), 4, device)
        curves.append(([row["train_loss"] for row in done.rows], said))
    np.testing.assert_allclose(curves[0][0], curves[1][0], rtol=0.02)
    np.testing.assert_allclose(curves[0][1], curves[1][1], atol=0.1)
