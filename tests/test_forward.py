from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers_backbones import noise, small

import featx.forward
from featx.backbones import BackboneRequest, load_backbone
from featx.errors import DeviceError, NumericsError, UnknownNameError, UsageError
from featx.forward import MIN_COSINE, ROWS, Certificate, Engine, certify, choose_engine
from featx.forward import devices as devices_module
from featx.forward.certificate import compare
from featx.forward.devices import available, check_precision, choose_device, fast_precision

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(small(layers=("features.3", "features"), poolings=("flatten", "avg")))


@pytest.fixture
def fast(monkeypatch):
    """Have bf16 count as the fast precision on any processor."""
    monkeypatch.setattr(devices_module, "_has_bf16_units", lambda: True)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "name",
    [
        "squeezenet1_1",
        pytest.param("resnet18", marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", marks=pytest.mark.slow),
        pytest.param("vit_b_16", marks=pytest.mark.slow),
    ],
)
def test_a_rows_bits_do_not_depend_on_its_neighbours(name, precision):
    size = 64 if name == "squeezenet1_1" else 224
    request = BackboneRequest(name, weights="random", image_size=size, poolings=("flatten",))
    engine = Engine(load_backbone(request), "cpu", precision, batch_size=4)
    x = noise(7, size)
    (rows,) = engine(x)
    order = np.array([6, 2, 0, 5, 1, 3, 4])
    assert np.array_equal(engine(x[order])[0], rows[order])
    for i in (0, 5):
        assert np.array_equal(engine(x[i : i + 1])[0][0], rows[i])


def test_maps_are_float32_in_order_and_contiguous(backbone):
    for precision in ("fp32", "bf16"):
        first, last = Engine(backbone, "cpu", precision, batch_size=3)(noise(4))
        assert first.shape == (4, *backbone.outputs[0].map_shape)
        assert last.shape == (4, *backbone.outputs[1].map_shape)
        assert first.dtype == np.float32
        assert first.flags.c_contiguous


def test_float_images_are_the_same_as_bytes(backbone):
    engine, x = Engine(backbone, "cpu"), noise(2)
    as_float = engine((x / np.float32(255)).astype(np.float32))
    for one, two in zip(engine(x), as_float, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_normalisation_is_torchvisions(backbone):
    from torchvision.transforms import functional

    x = noise(2)
    pre = backbone.preprocess
    prepared = Engine(backbone, "cpu")._prepared(x)
    expected = [functional.normalize(functional.to_tensor(i), pre.mean, pre.std) for i in x]
    assert torch.equal(prepared, torch.stack(expected))


def test_the_backbone_is_left_as_it_is(backbone):
    before = [p.dtype for p in backbone.module.parameters()]
    Engine(backbone, "cpu", "bf16")
    assert [p.dtype for p in backbone.module.parameters()] == before


def test_no_images_and_no_batch_are_refused(backbone):
    with pytest.raises(UsageError, match="no images"):
        Engine(backbone, "cpu")(noise(0))
    with pytest.raises(UsageError, match="batch size 0"):
        Engine(backbone, "cpu", batch_size=0)


def test_provenance_says_how(backbone):
    engine = Engine(backbone, "cpu", "bf16")
    assert engine.provenance == {
        "engine": "torch",
        "torch": torch.__version__,
        "device": "cpu",
        "precision": "bf16",
    }
    assert engine.batch_size == 8


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_running_out_of_memory_names_the_batch_size(backbone, error):
    engine = Engine(backbone, "cpu")

    def full(_x):
        raise error

    engine._module = full
    with pytest.raises(DeviceError, match="--batch-size 2"):
        engine(noise(1))


def test_other_errors_of_the_network_are_not_hidden(backbone):
    engine = Engine(backbone, "cpu")

    def broken(_x):
        raise RuntimeError("broken")

    engine._module = broken
    with pytest.raises(RuntimeError, match=r"^broken$"):
        engine(noise(1))


def test_devices(monkeypatch):
    assert choose_device("cpu") == CPU
    with pytest.raises(UsageError, match="give auto, cpu, cuda, cuda:N or mps"):
        choose_device("gpu")
    with pytest.raises(UsageError):
        choose_device("cuda:one")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert available() == ["cpu", "cuda:0", "cuda:1", "mps"]
    assert [str(choose_device(name)) for name in ("auto", "cuda", "cuda:1", "mps")] == [
        "cuda:0",
        "cuda:0",
        "cuda:1",
        "mps",
    ]
    with pytest.raises(DeviceError, match=r"no device 'cuda:2'; this machine has cpu, cuda:0"):
        choose_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == CPU


def test_precisions(monkeypatch):
    with pytest.raises(UnknownNameError, match="did you mean 'bf16'"):
        check_precision("bf61", CPU)
    with pytest.raises(DeviceError, match="fp16 needs a GPU"):
        check_precision("fp16", CPU)
    cuda = torch.device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(DeviceError, match="cannot compute in bf16"):
        check_precision("bf16", cuda)
    check_precision("fp16", cuda)
    assert fast_precision(cuda) == "fp16"
    assert fast_precision(torch.device("mps")) == "fp32"


def test_bf16_units_are_asked_of_torch(monkeypatch):
    for units, expected in (({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False}, "fp32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda u=units: u, raising=False)
        assert fast_precision(CPU) == expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert fast_precision(CPU) == "bf16"


def test_comparison_of_vectors():
    rng = np.random.default_rng(0)
    r = rng.normal(size=(5, 40)).astype(np.float32)
    assert compare(r, r).passed
    assert compare(r, r).min_cosine == pytest.approx(1)
    v = r.copy()
    v[3] += 0.5 * np.linalg.norm(r[3]) / np.sqrt(40)
    found = compare(v, r)
    expected = v[3] @ r[3] / np.linalg.norm(v[3]) / np.linalg.norm(r[3])
    assert found.min_cosine == pytest.approx(expected, abs=1e-6)
    assert found.relative_error == pytest.approx(0.1, abs=1e-6)
    assert (found.rows, found.passed) == (5, False)


def test_rows_of_zeros_and_rows_that_are_not_finite():
    zeros = np.zeros((2, 3), np.float32)
    assert compare(zeros, zeros).min_cosine == 1
    ones = np.ones((2, 3), np.float32)
    assert compare(zeros, ones).min_cosine == 0
    bad = ones.copy()
    bad[0, 0] = np.nan
    found = compare(bad, ones)
    assert math.isnan(found.min_cosine)
    assert not found.passed
    there = Certificate.from_json(found.to_json())
    assert found.to_json()["min_cosine"] is None
    assert math.isnan(there.min_cosine)


def test_one_certificate_for_each_recipe(backbone):
    x = noise(5)
    fast, slow = Engine(backbone, "cpu", "bf16"), Engine(backbone, "cpu", "fp32")
    found = certify(backbone, fast, x, slow)
    assert len(found) == len(backbone.recipes()) == 4
    assert all(0.99 < c.min_cosine <= c.mean_cosine < 1 for c in found)
    assert all(c.passed for c in certify(backbone, slow, x, slow))


def test_auto_takes_the_fast_precision_where_it_is_certified(backbone, fast):
    asked = []

    def sample():
        asked.append(1)
        return noise(ROWS + 3)

    chosen = choose_engine(backbone, "cpu", sample=sample)
    assert chosen.engine.precision == "bf16"
    assert len(chosen.certificates) == 4
    assert all(c["rows"] == ROWS and c["passed"] for c in chosen.certificates.values())
    assert "minimum cosine with fp32 0.99" in chosen.notes[0]
    again = choose_engine(backbone, "cpu", sample=sample, known=chosen.certificates)
    assert len(asked) == 1
    assert again.engine.precision == "bf16"
    assert again.certificates == chosen.certificates


def test_a_certificate_of_few_rows_is_made_again(backbone, fast):
    chosen = choose_engine(backbone, "cpu", sample=lambda: noise(2))
    again = choose_engine(backbone, "cpu", sample=lambda: noise(3), known=chosen.certificates)
    assert {c["rows"] for c in again.certificates.values()} == {3}


def failed(rows: int = ROWS) -> Certificate:
    return Certificate(0.9, 0.95, 0.2, rows, passed=False)


def test_out_of_tolerance_auto_falls_back_and_says_why(backbone, fast, monkeypatch):
    monkeypatch.setattr("featx.forward.choose.certify", lambda *_args: [failed() for _ in range(4)])
    chosen = choose_engine(backbone, "cpu", "auto", 5, sample=lambda: noise(1))
    assert (chosen.engine.precision, chosen.engine.batch_size) == ("fp32", 5)
    assert (
        f"minimum cosine with fp32 over 32 images 0.9000, expected at least {MIN_COSINE}"
        in (chosen.notes[0])
    )
    again = choose_engine(backbone, "cpu", known=chosen.certificates)
    assert again.engine.precision == "fp32"
    with pytest.raises(NumericsError, match="give --precision fp32, or auto"):
        choose_engine(backbone, "cpu", "bf16", sample=lambda: noise(1))


def test_without_images_nothing_can_be_certified(backbone, fast):
    for sample in (None, lambda: noise(0)):
        chosen = choose_engine(backbone, "cpu", sample=sample)
        assert chosen.engine.precision == "fp32"
        assert "cannot be certified without images" in chosen.notes[0]
    with pytest.raises(UsageError, match="cannot be certified without images"):
        choose_engine(backbone, "cpu", "bf16")


def test_fp32_needs_no_certificate(backbone):
    chosen = choose_engine(backbone, "cpu", "fp32")
    assert (chosen.engine.precision, chosen.certificates) == ("fp32", {})


def test_reference_numerics_means_fp32(backbone, fast):
    reference = replace(backbone, request=replace(backbone.request, numerics="reference"))
    assert choose_engine(reference, "cpu", sample=lambda: noise(1)).engine.precision == "fp32"
    with pytest.raises(UsageError, match="reference numerics, which means fp32"):
        choose_engine(reference, "cpu", "bf16")


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'Motor'"):
        _ = featx.forward.Motor


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(backbone):
    x = noise(9)
    expected = Engine(backbone, "cpu")(x)
    for precision, error in (("fp32", 1e-4), ("fp16", 2e-2), ("bf16", 5e-2)):
        got = Engine(backbone, "cuda", precision, batch_size=4)(x)
        for one, two in zip(got, expected, strict=True):
            assert np.linalg.norm(one - two) < error * np.linalg.norm(two)
