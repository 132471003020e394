"""JPEGs decoded in batches by torchvision, here on the processor, beside Pillow's."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers_backbones import noise, small
from helpers_images import encode, pixels

import featx.forward.nvjpeg as module
from featx._types import Silent
from featx.backbones import load_backbone
from featx.errors import DeviceError, ImageError, UsageError
from featx.extraction import extract
from featx.features import load
from featx.forward import ROWS, Asked, PillowDecoder, Sample, TorchEngine, choose_engine
from featx.forward import devices as devices_module
from featx.forward.decoders import can_nvjpeg, make_decoder
from featx.forward.nvjpeg import NvJpegDecoder
from featx.recipe import Preprocess
from featx.store import FeatureStore

PRE = Preprocess(image_size=(28, 28), resize_size=32)


def photo(height: int = 90, width: int = 120, **options) -> bytes:
    return encode(pixels(height, width), "JPEG", quality=90, **options)


PHOTOS = [photo(90 + 10 * (i % 3), 120, progressive=i % 2 == 0) for i in range(9)]


def nearly(got, expected, off: float = 1.0) -> bool:
    """Whether pixels are those of another decoder and filter, to a level or two."""
    a, b = np.stack(got).astype(int), np.stack(expected).astype(int)
    return a.shape == b.shape and np.abs(a - b).mean() < off


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_it_gives_what_pillow_gives(resize, interpolation):
    pre = Preprocess((28, 20), resize, 32, interpolation)
    decoder = NvJpegDecoder(pre, ["cpu"])
    got = decoder(PHOTOS)
    assert decoder.left_over == 0
    expected = PillowDecoder(pre)(PHOTOS)
    for one, two in zip(got, expected, strict=True):
        assert one[0].dtype == np.uint8
        assert nearly(one, two)
    grey = encode(pixels(90, 120, None), "JPEG")
    assert nearly(decoder([grey])[0], PillowDecoder(pre)([grey])[0])


def test_torchvision_does_where_there_is_no_torchcodec(monkeypatch):
    expected = NvJpegDecoder(PRE, ["cpu"])(PHOTOS)
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert nearly(*([one[0] for one in x] for x in (NvJpegDecoder(PRE, ["cpu"])(PHOTOS), expected)))


@pytest.mark.parametrize("error", [OSError("libtorch.so.9"), RuntimeError("no"), AttributeError()])
def test_torchvision_does_where_torchcodec_is_for_another_torch(monkeypatch, error):
    def refuse(_name):
        raise error

    monkeypatch.setattr(module, "import_module", refuse)
    assert len(NvJpegDecoder(PRE, ["cpu"])(PHOTOS)) == len(PHOTOS)


def test_what_it_does_not_take_is_pillows_in_its_place():
    odd = [encode(pixels(50, 60)), photo()[:-2], b"", b"no image", pixels(40, 40)]
    payloads = [x for pair in zip(PHOTOS, odd, strict=False) for x in pair]
    decoder = NvJpegDecoder(PRE, ["cpu"])
    got, expected = decoder(payloads), PillowDecoder(PRE)(payloads)
    assert decoder.left_over == len(odd)
    for payload, one, two in zip(payloads, got, expected, strict=True):
        if isinstance(two, ImageError):
            assert str(one) == str(two)
        elif isinstance(payload, bytes) and payload.startswith(b"\xff\xd8"):
            assert nearly(one, two)
        else:
            assert np.array_equal(one, two)
    assert decoder([]) == []


def test_parts_are_spread_over_the_devices(monkeypatch):
    seen = []
    real = NvJpegDecoder._decoded

    def noted(self, payloads, device):
        seen.append(device.index)
        return real(self, payloads, torch.device("cpu"))

    monkeypatch.setattr(NvJpegDecoder, "_decoded", noted)
    decoder = NvJpegDecoder(PRE, ["cpu:0", "cpu:1"])
    for _ in range(4):
        decoder(PHOTOS)
    assert seen == [0, 1, 0, 1]
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    alone = NvJpegDecoder(PRE, ["cpu:0", "cpu:1"])
    assert {alone._slots.get().device.index for _ in range(alone._slots.qsize())} == {0}


def test_one_that_the_device_refuses_does_not_harm_the_others(monkeypatch):
    real = NvJpegDecoder._decoded
    calls = []

    def refuse(self, payloads, device):
        calls.append(len(payloads))
        if PHOTOS[5] in payloads:
            raise RuntimeError("nvjpegDecode failed: 8")
        return real(self, payloads, device)

    monkeypatch.setattr(NvJpegDecoder, "_decoded", refuse)
    decoder = NvJpegDecoder(PRE, ["cpu"])
    got = decoder(PHOTOS)
    assert decoder.left_over == 1
    assert np.array_equal(got[5], PillowDecoder(PRE)([PHOTOS[5]])[0])
    assert nearly([one[0] for one in got], [one[0] for one in PillowDecoder(PRE)(PHOTOS)])
    assert max(calls) == len(PHOTOS)


def test_pixels_at_once_are_bounded(monkeypatch):
    sizes = []
    real = NvJpegDecoder._decoded

    def noted(self, payloads, device):
        sizes.append(len(payloads))
        return real(self, payloads, device)

    monkeypatch.setattr(NvJpegDecoder, "_decoded", noted)
    monkeypatch.setattr(module, "MOST_PIXELS", 30_000)
    NvJpegDecoder(PRE, ["cpu"])([*PHOTOS, photo(400, 400)])
    assert max(sizes) <= 2
    assert sum(sizes) == len(PHOTOS) + 1


def test_it_is_for_bytes_as_they_are_and_filters_that_torch_has():
    assert can_nvjpeg(PRE)
    assert can_nvjpeg(Preprocess(page="all", interpolation="bicubic"))
    for options in ({"channels": "0"}, {"intensity": "fixed:0:9"}, {"page": "1"}):
        assert not can_nvjpeg(Preprocess(**options))
    assert not can_nvjpeg(Preprocess(interpolation="lanczos"))


def test_real_photographs(shared: Path):
    files = sorted((shared / "data" / "pacs_cartoon").rglob("*.jpg"))[::100]
    payloads = [file.read_bytes() for file in files]
    pre = Preprocess()
    decoder = NvJpegDecoder(pre, ["cpu"])
    got, expected = decoder(payloads), PillowDecoder(pre)(payloads)
    assert decoder.left_over == 0
    assert nearly([one[0] for one in got], [one[0] for one in expected], off=0.5)


class OnProcessor(NvJpegDecoder):
    """What CUDA would do, done by the processor."""

    def __init__(self, pre: Preprocess, devices: list[str]) -> None:
        assert devices == ["cuda:0"]
        super().__init__(pre, ["cpu"])


@pytest.fixture
def pretended_cuda(monkeypatch):
    """Have the processor pass for a CUDA device where engines and decoders are chosen."""
    cuda = torch.device("cuda:0")
    monkeypatch.setattr(devices_module, "choose_device", lambda _: cuda)
    monkeypatch.setattr(module, "NvJpegDecoder", OnProcessor)

    def on_processor(backbone, device, precision, batch_size=None, **options):
        assert device == "cuda:0"
        assert not any(options.values())
        return TorchEngine(backbone, "cpu", {"fp16": "bf16"}.get(precision, precision), batch_size)

    monkeypatch.setattr("featx.forward.torch_engine.TorchEngine", on_processor)


def test_an_extraction_takes_it_and_says_what_was_not_for_it(tmp_path, pretended_cuda, monkeypatch):
    for i in range(100):
        (tmp_path / "photos" / f"{i % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / f"{i % 2}" / f"{i}.jpg").write_bytes(photo(90 + i, 120))
    (tmp_path / "photos" / "1" / "a.png").write_bytes(encode(pixels(90, 120)))
    (tmp_path / "photos" / "1" / "b.jpg").write_bytes(photo()[:-300])
    monkeypatch.setattr("featx.embedding.engine._LAST", {})
    monkeypatch.setattr("featx.embedding.pipeline.workers", lambda _: 1)
    options = {"backbone": "helpers_photos:tiny", "image_size": 32}
    said = []
    progress = Silent()
    progress.say = said.append
    (done,) = extract(tmp_path / "photos", cache=tmp_path / "c", progress=progress, **options)
    assert (done.computed, [path for path, _ in done.failed]) == (101, ["1/b.jpg"])
    assert FeatureStore.open(done.store).runs[0]["provenance"]["decoder"] == "nvjpeg"
    assert "2 images were not for nvjpeg: Pillow decoded them" in said
    options |= {"precision": "fp32", "decoder": "pil"}
    extract(tmp_path / "photos", cache=tmp_path / "r", **options)
    fast, slow = load(cache=tmp_path / "c"), load(cache=tmp_path / "r")
    assert (fast.frame["path"] == slow.frame["path"]).all()
    cosine = (
        (fast.X * slow.X).sum(1) / np.linalg.norm(fast.X, axis=1) / np.linalg.norm(slow.X, axis=1)
    )
    assert cosine.min() > 0.998
    assert not np.array_equal(fast.X, slow.X)


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(small())


def sampled(backbone) -> Sample:
    pre = backbone.preprocess
    payloads = [photo(300 + i, 320) for i in range(ROWS)]
    whole = np.stack([one[0] for one in PillowDecoder(pre)(payloads)])
    return Sample(whole, lambda decoder: np.stack([one[0] for one in decoder(payloads)]))


def test_on_cuda_it_is_taken_where_it_is_certified(backbone, pretended_cuda):
    sample = sampled(backbone)
    chosen = choose_engine(backbone, sample=lambda: sample)
    assert chosen.decoder.name == chosen.provenance["decoder"] == "nvjpeg"
    assert "JPEGs decoded on the device" in chosen.notes[0]
    assert all(key.endswith(" nvjpeg") for key in chosen.certificates)
    assert chosen.provenance["torchcodec"] == version("torchcodec")
    assert all(version("torchcodec") in key.split() for key in chosen.certificates)
    again = choose_engine(backbone, known=chosen.certificates)
    assert again.decoder.name == "nvjpeg"
    assert (
        choose_engine(backbone, Asked(decoder="pil"), sample=lambda: sample).decoder.name == "pil"
    )


def test_where_it_changes_nothing_pillow_decodes(backbone, pretended_cuda):
    sample = Sample(noise(8), lambda _: noise(8))
    assert choose_engine(backbone, sample=lambda: sample).decoder.name == "pil"


def test_asked_for_it_is_refused_where_it_would_read_images_otherwise(backbone, pretended_cuda):
    for options in ({"channels": "each"}, {"page": "2"}, {"interpolation": "box"}):
        other = replace(backbone, preprocess=replace(backbone.preprocess, **options))
        with pytest.raises(UsageError, match="nvjpeg takes images of 8 bits as they are"):
            choose_engine(other, Asked(decoder="nvjpeg"))


def test_asked_for_in_vain_it_is_said(backbone, pretended_cuda):
    sample = Sample(noise(8), lambda _: noise(8))
    chosen = choose_engine(backbone, Asked(decoder="nvjpeg"), sample=lambda: sample)
    assert chosen.decoder.name == "pil"
    assert (
        "nvjpeg changes less than a quarter of 8 images, so Pillow decodes all" in chosen.notes[0]
    )


def test_it_needs_cuda(backbone):
    with pytest.raises(DeviceError, match="nvjpeg decodes on CUDA, not on cpu"):
        choose_engine(backbone, Asked(device="cpu", decoder="nvjpeg"))
    assert make_decoder("pil", PRE, ["cpu"]).name == "pil"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_what_pillow_gives():
    decoder = NvJpegDecoder(PRE, ["cuda:0"])
    got, expected = decoder(PHOTOS), PillowDecoder(PRE)(PHOTOS)
    assert decoder.left_over == 0
    assert nearly([one[0] for one in got], [one[0] for one in expected], off=2)
