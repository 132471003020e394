from __future__ import annotations

import math
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers_backbones import noise, small

import featx.forward
from featx.backbones import BackboneRequest, load_backbone
from featx.errors import DeviceError, UnknownNameError, UsageError
from featx.forward import Certificate, OpenVINOEngine, TorchEngine
from featx.forward import devices as devices_module
from featx.forward.base import UnrunnableError
from featx.forward.certificate import compare
from featx.forward.copies import repeatable
from featx.forward.devices import (
    available,
    check_precision,
    choose_device,
    describe,
    each_device,
    fast_precision,
)
from featx.forward.group import EngineGroup

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone():
    return load_backbone(small(layers=("features.3", "features"), poolings=("flatten", "avg")))


ENGINES = {
    "torch": lambda backbone, precision, size: TorchEngine(backbone, "cpu", precision, size),
    "openvino": OpenVINOEngine,
}


@pytest.mark.parametrize("kind", ENGINES)
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
def test_a_rows_bits_do_not_depend_on_its_neighbours(name, precision, kind):
    size = 64 if name == "squeezenet1_1" else 224
    request = BackboneRequest(name, weights="random", image_size=size, poolings=("flatten",))
    engine = ENGINES[kind](load_backbone(request), precision, 4)
    x = noise(7, size)
    (rows,) = engine(x)
    order = np.array([6, 2, 0, 5, 1, 3, 4])
    assert np.array_equal(engine(x[order])[0], rows[order])
    for i in (0, 5):
        assert np.array_equal(engine(x[i : i + 1])[0][0], rows[i])


@pytest.mark.parametrize("kind", ENGINES)
def test_maps_are_float32_in_order_and_contiguous(backbone, kind):
    for precision in ("fp32", "bf16"):
        first, last = ENGINES[kind](backbone, precision, 3)(noise(4))
        assert first.shape == (4, *backbone.outputs[0].map_shape)
        assert last.shape == (4, *backbone.outputs[1].map_shape)
        assert first.dtype == np.float32
        assert first.flags.c_contiguous


@pytest.mark.parametrize("kind", ENGINES)
def test_float_images_are_the_same_as_bytes(backbone, kind):
    engine, x = ENGINES[kind](backbone, "fp32", None), noise(2)
    as_float = engine((x / np.float32(255)).astype(np.float32))
    for one, two in zip(engine(x), as_float, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_normalisation_is_torchvisions(backbone):
    from torchvision.transforms import functional

    x = noise(2)
    pre = backbone.preprocess
    prepared = TorchEngine(backbone, "cpu")._module.normalised(torch.from_numpy(x))
    expected = [functional.normalize(functional.to_tensor(i), pre.mean, pre.std) for i in x]
    assert torch.equal(prepared, torch.stack(expected))


def test_the_backbone_is_left_as_it_is(backbone):
    before = [p.dtype for p in backbone.module.parameters()]
    TorchEngine(backbone, "cpu", "bf16")
    assert [p.dtype for p in backbone.module.parameters()] == before


@pytest.mark.parametrize("kind", ENGINES)
def test_no_images_and_no_batch_are_refused(backbone, kind):
    with pytest.raises(UsageError, match="no images"):
        ENGINES[kind](backbone, "fp32", None)(noise(0))
    with pytest.raises(UsageError, match="batch size 0"):
        ENGINES[kind](backbone, "fp32", 0)


@pytest.mark.parametrize("kind", ENGINES)
def test_another_batch_size_leaves_the_engine_as_it_is(backbone, kind):
    engine, x = ENGINES[kind](backbone, "fp32", 4), noise(5)
    other = engine.resized(3)
    assert (engine.batch_size, other.batch_size) == (4, 3)
    for one, two in zip(engine(x), other(x), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ENGINES)
def test_batches_may_run_in_threads(backbone, kind):
    """As many as there are lanes, and a few more, which wait."""
    engine, x = ENGINES[kind](backbone, "fp32", 2), noise(16)
    expected = engine(x)[1]
    with ThreadPoolExecutor(engine.lanes + 2) as pool:
        got = list(pool.map(lambda i: engine.batch(x[i : i + 2])[1], range(0, 16, 2)))
    assert np.array_equal(np.concatenate(got), expected)


def test_provenance_says_how(backbone):
    engine = TorchEngine(backbone, "cpu", "bf16")
    assert engine.provenance == {
        "engine": "torch",
        "torch": torch.__version__,
        "device": describe(CPU),
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
    engine = TorchEngine(backbone, "cpu")

    def full(_x):
        raise error

    engine._module = full
    with pytest.raises(DeviceError, match="--batch-size 2"):
        engine(noise(1))


def test_other_errors_of_the_network_are_not_hidden(backbone):
    engine = TorchEngine(backbone, "cpu")

    def broken(_x):
        raise RuntimeError("broken")

    engine._module = broken
    with pytest.raises(RuntimeError, match=r"^broken$"):
        engine(noise(1))


def test_devices(monkeypatch):
    assert choose_device("cpu") == CPU
    with pytest.raises(UsageError, match="give auto, cpu, cuda, cuda:N, cuda:all or mps"):
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
    assert str(choose_device("cuda:all")) == "cuda:0"
    assert each_device("cuda:all") == ["cuda:0", "cuda:1"]
    assert each_device("cuda") == ["cuda:0"]
    assert each_device("cpu") == ["cpu"]
    with pytest.raises(DeviceError, match=r"no device 'cuda:2'; this machine has cpu, cuda:0"):
        choose_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DeviceError, match="no device 'cuda:all'; this machine has cpu"):
        each_device("cuda:all")
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


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'Motor'"):
        _ = featx.forward.Motor


def test_a_processor_has_a_name(monkeypatch):
    assert describe(CPU).startswith("cpu")
    monkeypatch.setattr(devices_module, "processor", lambda: "")
    assert describe(CPU) == "cpu"
    monkeypatch.setattr(devices_module, "processor", lambda: "Zilog Z80")
    assert describe(CPU) == "cpu (Zilog Z80)"


class Counted(TorchEngine):
    """Counts its batches, and holds each until another engine has one too."""

    together = threading.Barrier(2, timeout=60)
    done = 0

    def run(self, images):
        self.together.wait()
        self.done += 1
        return super().run(images)


def test_several_devices_are_one_engine(backbone):
    x = noise(8)
    engines = [Counted(backbone, "cpu", batch_size=2) for _ in range(2)]
    group = EngineGroup(engines)
    expected = TorchEngine(backbone, "cpu", batch_size=2)
    assert (group.lanes, group.batch_size, group.precision) == (2, 2, "fp32")
    assert group.provenance == expected.provenance
    for one, two in zip(group(x), expected(x), strict=True):
        assert np.array_equal(one, two)
    assert [engine.done for engine in engines] == [2, 2]
    for one, two in zip(group.resized(4)(x), expected.resized(4)(x), strict=True):
        assert np.array_equal(one, two)
    assert group.batch_size == 2


def test_devices_of_two_kinds_are_no_group(backbone):
    engines = [TorchEngine(backbone, "cpu") for _ in range(2)]
    engines[1].provenance = engines[1].provenance | {"device": "another"}
    with pytest.raises(DeviceError, match=r"needs devices of one kind, got cpu.* and another"):
        EngineGroup(engines)


def test_an_error_in_the_settings_of_cudnn_is_no_lasting_one(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cudnn, "flags", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError), repeatable():
            pass
    with repeatable():
        assert torch.backends.cudnn.deterministic


def test_settings_of_cudnn_are_taken_back_by_the_last_thread():
    flags = torch.backends.cudnn
    before = (flags.allow_tf32, flags.deterministic)
    try:
        flags.allow_tf32 = True
        with ThreadPoolExecutor(1) as pool:
            inside, leave = threading.Event(), threading.Event()

            def stay():
                with repeatable():
                    inside.set()
                    leave.wait(60)

            staying = pool.submit(stay)
            inside.wait(60)
            with repeatable():
                assert not flags.allow_tf32
            assert (flags.allow_tf32, flags.deterministic) == (False, True)
            leave.set()
            staying.result(60)
        assert flags.allow_tf32
    finally:
        flags.allow_tf32, flags.deterministic = before


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_compiled_it_gives_what_torch_gives():
    backbone = load_backbone(small(layers=("features.3",)))
    compiled = TorchEngine(backbone, "cpu", batch_size=4, compiled=True)
    assert compiled.provenance["engine"] == "inductor"
    x, expected = noise(5), TorchEngine(backbone, "cpu", batch_size=4)
    for engine in (compiled, compiled.resized(3)):
        np.testing.assert_allclose(engine(x)[0], expected(x)[0], rtol=1e-3, atol=1e-4)


def test_what_cannot_be_compiled_says_why(backbone, monkeypatch):
    def compiling(_module, **_options):
        def run(_x):
            raise RuntimeError("below") from OSError("no C compiler found")

        return run

    monkeypatch.setattr(torch, "compile", compiling)
    with pytest.raises(UnrunnableError, match=r"^no C compiler found$"):
        TorchEngine(backbone, "cpu", compiled=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(backbone):
    x = noise(9)
    expected = TorchEngine(backbone, "cpu")(x)
    for precision, error in (("fp32", 1e-4), ("fp16", 2e-2), ("bf16", 5e-2)):
        got = TorchEngine(backbone, "cuda", precision, batch_size=4)(x)
        for one, two in zip(got, expected, strict=True):
            assert np.linalg.norm(one - two) < error * np.linalg.norm(two)
        assert got[0].dtype == (np.float16 if precision == "fp16" else np.float32)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_lanes_do_not_mix_their_batches(backbone):
    x = noise(64)
    engine = TorchEngine(backbone, "cuda", "fp16", batch_size=4)
    assert engine.lanes > 1
    one_by_one = [engine.batch(x[i : i + 4]) for i in range(0, 64, 4)]
    expected = [np.concatenate(parts) for parts in zip(*one_by_one, strict=True)]
    for _ in range(5):
        for one, two in zip(engine(x), expected, strict=True):
            assert np.array_equal(one, two)
