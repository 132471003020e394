"""A training on disk between two epochs: one file of tensors with the curves in its header."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as as_bytes

from featx._files import replacing
from featx.errors import ModelFileError
from featx.forward.base import first_line

if TYPE_CHECKING:
    from pathlib import Path

    from skorch import NeuralNet

    from featx.heads.course import Course

FILE = "training.safetensors"


def save(folder: Path, net: NeuralNet, course: Course) -> None:
    """Write where a training is; the file is there whole or as it was.

    Raises
    ------
    CacheWriteError
        If it cannot be written.
    """
    tensors = {f"module.{k}": v for k, v in net.module_.state_dict().items()}
    if course.best_state is not None:
        tensors |= {f"best.{k}": v for k, v in course.best_state.items()}
    numbers: dict[str, Any] = {}
    for index, state in net.optimizer_.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            elif value is not None:
                numbers[f"{index}.{name}"] = value
    header = {"rows": course.rows, "optimizer": numbers}
    folder.mkdir(parents=True, exist_ok=True)
    apart = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with replacing(folder / FILE) as temporary:
        temporary.write_bytes(as_bytes(apart, metadata={"training": json.dumps(header)}))


def restore(folder: Path, net: NeuralNet, course: Course) -> bool:
    """Put a net and its course where `save` found them; False where nothing was saved.

    Raises
    ------
    ModelFileError
        If the file is damaged, or of another network.
    """
    path = folder / FILE
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        net.module_.load_state_dict(_under("module.", tensors))
        _restore_optimizer(net, tensors, header["optimizer"])
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise ModelFileError(
            f"{path} cannot be gone on from ({first_line(error)}); delete {folder} to start anew"
        ) from error
    best = _under("best.", tensors)
    course.best_state = {k: v.to(net.device) for k, v in best.items()} or None
    course.rows = header["rows"]
    return True


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore_optimizer(
    net: NeuralNet, tensors: dict[str, torch.Tensor], numbers: dict[str, Any]
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in (*_under("optimizer.", tensors).items(), *numbers.items()):
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = net.optimizer_.state_dict()["param_groups"]
    net.optimizer_.load_state_dict({"state": state, "param_groups": groups})
