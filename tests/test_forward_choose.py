"""Which engine is chosen, on which proof, and what is said about it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count

import pytest
import torch
from helpers_backbones import noise, small

from featx.backbones import load_backbone
from featx.errors import DeviceError, NumericsError, UnknownNameError, UsageError
from featx.forward import (
    MIN_COSINE,
    ROWS,
    Asked,
    Certificate,
    OpenVINOEngine,
    Sample,
    TorchEngine,
    certify,
    choose_engine,
    sizing,
)
from featx.forward import devices as devices_module
from featx.forward import openvino_engine as openvino_module
from featx.forward.base import UnrunnableError
from featx.forward.ways import COMPILE_FROM, ways


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(small(layers=("features.3", "features"), poolings=("flatten", "avg")))


@pytest.fixture
def bf16_units(monkeypatch):
    """Have bf16 count as the fast precision on any processor."""
    monkeypatch.setattr(devices_module, "_has_bf16_units", lambda: True)


@pytest.fixture
def no_bf16_units(monkeypatch):
    monkeypatch.setattr(devices_module, "_has_bf16_units", lambda: False)


@pytest.fixture
def no_openvino(monkeypatch):
    """Have OpenVINO refuse every network."""

    def refuse(*_args, **_kwargs):
        raise UnrunnableError("no such operation")

    monkeypatch.setattr(openvino_module, "OpenVINOEngine", refuse)


class Images:
    """Gives a sample, and counts how often it was asked."""

    def __init__(self, n: int = ROWS + 3, scaled: bool = False) -> None:
        self.asked = 0
        images = noise(n)
        self.sample = Sample(images, lambda _: images // 2 * 2 if scaled else images)

    def __call__(self) -> Sample:
        self.asked += 1
        return self.sample


def failed(rows: int = ROWS) -> Certificate:
    return Certificate(0.9, 0.95, 0.2, rows, passed=False)


def fail(monkeypatch, ways: int) -> None:
    """Have the first ``ways`` ways that are tried be out of tolerance."""
    tried = count()

    def decide(*arguments):
        found = certify(*arguments)
        return [failed() for _ in found] if next(tried) < ways else found

    monkeypatch.setattr("featx.forward.choose.certify", decide)


def test_one_certificate_for_each_recipe(backbone):
    x = noise(5)
    fast, slow = TorchEngine(backbone, "cpu", "bf16")(x), TorchEngine(backbone, "cpu")(x)
    found = certify(backbone, fast, slow, 8)
    assert len(found) == len(backbone.recipes()) == 4
    assert all(0.99 < c.min_cosine <= c.mean_cosine < 1 for c in found)
    assert {c.batch_size for c in found} == {8}
    assert all(c.passed and c.min_cosine > 1 - 1e-12 for c in certify(backbone, slow, slow))


def test_auto_is_openvino_in_the_fast_precision(backbone, bf16_units):
    images = Images()
    chosen = choose_engine(backbone, sample=images)
    assert isinstance(chosen.engine, OpenVINOEngine)
    assert (chosen.engine.precision, chosen.decoder.name) == ("bf16", "pil")
    assert len(chosen.certificates) == 4
    assert all(c["rows"] == ROWS and c["passed"] for c in chosen.certificates.values())
    assert "minimum cosine with the reference" in chosen.notes[0]
    again = choose_engine(backbone, sample=images, known=chosen.certificates)
    assert images.asked == 1
    assert again.engine.provenance == chosen.engine.provenance
    assert again.certificates == chosen.certificates


def test_without_bf16_units_auto_is_openvino_in_fp32(backbone, no_bf16_units):
    chosen = choose_engine(backbone, sample=Images())
    assert chosen.engine.provenance["engine"] == "openvino"
    assert chosen.engine.precision == "fp32"
    assert min(c["min_cosine"] for c in chosen.certificates.values()) > 0.999999


def test_a_certificate_of_few_rows_is_made_again(backbone):
    chosen = choose_engine(backbone, sample=Images(2))
    again = choose_engine(backbone, sample=Images(3), known=chosen.certificates)
    assert {c["rows"] for c in again.certificates.values()} == {3}


def test_out_of_tolerance_the_next_way_is_taken_and_says_why(backbone, bf16_units, monkeypatch):
    fail(monkeypatch, 1)
    chosen = choose_engine(backbone, Asked(batch_size=5), sample=Images())
    assert (chosen.engine.provenance["engine"], chosen.engine.precision) == ("openvino", "fp32")
    assert chosen.engine.batch_size == 5
    assert re.fullmatch(
        r"running openvino on cpu .* in fp32, 5 images in a batch .*; openvino in bf16 was tried "
        r"and gives other vectors than the reference \(minimum cosine over 32 images 0\.9000, "
        rf"expected at least {MIN_COSINE}\)",
        chosen.notes[0],
    )
    assert len(chosen.certificates) == 8
    images = Images()
    again = choose_engine(backbone, sample=images, known=chosen.certificates)
    assert again.engine.provenance == chosen.engine.provenance
    assert images.asked == 0


def test_what_was_asked_for_and_fails_is_an_error(backbone, bf16_units, monkeypatch):
    fail(monkeypatch, 99)
    with pytest.raises(NumericsError, match="torch in bf16 was tried and gives other") as caught:
        choose_engine(backbone, Asked(precision="bf16"), sample=Images(1))
    assert "; leave --precision bf16 out: featx then takes the fastest" in str(caught.value)
    said = r"openvino in fp32.*leave --precision fp32 and --engine openvino out"
    with pytest.raises(NumericsError, match=said):
        choose_engine(backbone, Asked(engine="openvino", precision="fp32"), sample=Images(1))
    reference = choose_engine(backbone, sample=Images(1)).engine
    assert (reference.provenance["engine"], reference.precision) == ("torch", "fp32")


def test_without_images_nothing_can_be_certified(backbone, bf16_units):
    for sample in (None, Images(0)):
        chosen = choose_engine(backbone, sample=sample)
        assert (chosen.engine.provenance["engine"], chosen.engine.precision) == ("torch", "fp32")
        assert "openvino in bf16 cannot be certified without images" in chosen.notes[0]
    with pytest.raises(UsageError, match="cannot be certified without images"):
        choose_engine(backbone, Asked(precision="bf16"))


def test_the_reference_needs_no_certificate(backbone):
    chosen = choose_engine(backbone, Asked(engine="torch", precision="fp32", decoder="pil"))
    assert (chosen.engine.precision, chosen.certificates) == ("fp32", {})


def test_reference_numerics_mean_the_reference(backbone, bf16_units):
    reference = replace(backbone, request=replace(backbone.request, numerics="reference"))
    chosen = choose_engine(reference, sample=Images(1))
    assert (chosen.engine.provenance["engine"], chosen.engine.precision) == ("torch", "fp32")
    assert (chosen.decoder.name, chosen.certificates) == ("pil", {})
    for asked, meant in (
        (Asked(precision="bf16"), "fp32"),
        (Asked(engine="openvino"), "torch"),
        (Asked(decoder="scaled"), "pil"),
    ):
        with pytest.raises(UsageError, match=f"reference numerics, which means {meant}"):
            choose_engine(reference, asked)


def test_a_network_that_cannot_be_converted_runs_on_torch(backbone, no_openvino, no_bf16_units):
    chosen = choose_engine(backbone, sample=Images())
    assert chosen.engine.provenance["engine"] == "torch"
    assert "OpenVINO cannot run this backbone: no such operation" in chosen.notes[0]
    with pytest.raises(DeviceError, match="no such operation"):
        choose_engine(backbone, Asked(engine="openvino"), sample=Images())


def test_without_openvino_bf16_is_torchs(backbone, no_openvino, bf16_units):
    chosen = choose_engine(backbone, sample=Images())
    assert (chosen.engine.provenance["engine"], chosen.engine.precision) == ("torch", "bf16")


def test_scaled_decoding_is_taken_where_it_is_certified(backbone, no_bf16_units):
    chosen = choose_engine(backbone, sample=Images(scaled=True))
    assert chosen.decoder.name == "scaled"
    assert "large JPEGs decoded at a fraction" in chosen.notes[0]
    assert all(key.endswith(" scaled") for key in chosen.certificates)
    assert all(c["min_cosine"] < 1 - 1e-9 for c in chosen.certificates.values())
    assert choose_engine(backbone, known=chosen.certificates).decoder.name == "scaled"
    asked = Asked(decoder="pil")
    assert choose_engine(backbone, asked, sample=Images(scaled=True)).decoder.name == "pil"


def test_scaled_decoding_out_of_tolerance_is_not_taken(backbone, no_bf16_units, monkeypatch):
    fail(monkeypatch, 1)
    chosen = choose_engine(backbone, sample=Images(scaled=True))
    assert (chosen.decoder.name, chosen.engine.provenance["engine"]) == ("pil", "openvino")
    assert "at a fraction of their size was tried and gives other vectors" in chosen.notes[0]
    fail(monkeypatch, 2)
    with pytest.raises(NumericsError, match="at a fraction of their size"):
        choose_engine(backbone, Asked(decoder="scaled"), sample=Images(scaled=True))


def test_unknown_names_are_refused(backbone):
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        choose_engine(backbone, Asked(engine="openvin"))
    with pytest.raises(UnknownNameError, match="did you mean 'scaled'"):
        choose_engine(backbone, Asked(decoder="scale"))


def test_openvino_is_for_the_processor(backbone, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match="runs on the processor, not on cuda:0"):
        choose_engine(backbone, Asked(engine="openvino", device="cuda"))


def test_batch_sizes_are_measured_where_many_images_are_to_come(backbone, monkeypatch):
    engine, images = TorchEngine(backbone, "cpu"), noise(3)
    took = {8: 3.0, 4: 2.0, 16: 1.0}
    monkeypatch.setattr(sizing, "_seconds_a_row", lambda e, _images: took[e.batch_size])
    assert sizing.sized(engine, images, 100) is engine
    assert sizing.sized(engine, images, 100_000).batch_size == 16
    took[16] = 2.0
    assert sizing.sized(engine, images, 100_000).batch_size == 4
    took[4] = took[16] = 2.9
    assert sizing.sized(engine, images, 100_000) is engine


def test_a_measured_batch_size_is_kept_with_the_certificate(backbone, monkeypatch):
    monkeypatch.setattr("featx.forward.choose.sized", lambda engine, *_: engine.resized(4))
    chosen = choose_engine(backbone, sample=Images(), n_images=100_000)
    assert chosen.engine.batch_size == 4
    assert choose_engine(backbone, known=chosen.certificates).engine.batch_size == 4
    asked = Asked(batch_size=6)
    assert choose_engine(backbone, asked, known=chosen.certificates).engine.batch_size == 6


def test_the_measurement_runs_two_batches_a_lane(backbone):
    rows = []

    class Counting(TorchEngine):
        def run(self, images):
            rows.append(len(images))
            return super().run(images)

    assert sizing._seconds_a_row(Counting(backbone, "cpu", batch_size=2), noise(3)) > 0
    assert rows == [2, 2, 2]


def test_many_images_on_cuda_are_worth_compiling(backbone, monkeypatch):
    monkeypatch.setattr(devices_module, "choose_device", lambda _: torch.device("cuda:0"))
    monkeypatch.setattr(devices_module, "available", lambda: ["cpu", "cuda:0", "cuda:1"])
    few, many = ways(backbone, Asked(), COMPILE_FROM - 1), ways(backbone, Asked(), COMPILE_FROM)
    assert few == [("torch", "fp16"), ("torch", "fp32")]
    assert many == [("inductor", "fp16"), *few]
    on_both = Asked(device="cuda:all")
    assert ways(backbone, on_both, 4 * COMPILE_FROM - 1) == few
    assert ways(backbone, on_both, 4 * COMPILE_FROM) == many


def test_where_it_cannot_be_compiled_torch_runs_it_as_it_is(backbone, monkeypatch):
    def refuse(*_args, **_options):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", refuse)
    monkeypatch.setattr(
        "featx.forward.choose.ways", lambda *_: [("inductor", "fp32"), ("torch", "fp32")]
    )
    chosen = choose_engine(backbone, sample=Images())
    assert chosen.engine.provenance["engine"] == "torch"
    assert "torch cannot compile this backbone here: no compiler here" in chosen.notes[0]
    monkeypatch.undo()
    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(DeviceError, match="no compiler here"):
        choose_engine(backbone, Asked(engine="inductor"), sample=Images())
