"""Read tensors from a weights file, put them into a network, and tell their identity."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import nn

from featx.errors import WeightsError, WeightsNotFoundError

Tensors = dict[str, torch.Tensor]
_SHOWN = 4
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds.

    Attributes
    ----------
    path
        The file.
    tensors
        By name.
    versions
        Of the modules that wrote them, as torch keeps them beside a state dict; or None.
    """

    path: Path
    tensors: Tensors
    versions: Any = None


def read_tensors(path: Path, key: str | None = None, prefix: str | None = None) -> WeightsFile:
    """Read the named tensors of a ``.pth`` or ``.safetensors`` file; no code in it is run.

    Parameters
    ----------
    path
        The file.
    key
        Which part of it holds the tensors, for example ``teacher``; dots go deeper.
    prefix
        Taken off the names; tensors whose names lack it are left out.

    Raises
    ------
    WeightsNotFoundError
        If there is no such file.
    WeightsError
        If it cannot be read, would have to run code, or holds no tensors there.
    """
    if not path.is_file():
        raise WeightsNotFoundError(f"no weights file {path}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    part = content if key is None else _part(content, key, path)
    tensors = {str(name): value for name, value in part.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise WeightsError(_no_tensors(part, path, key))
    if prefix is not None:
        return WeightsFile(path, _without_prefix(tensors, prefix, path))
    return WeightsFile(path, tensors, getattr(part, "_metadata", None))


def _read_safetensors(path: Path) -> Mapping[Any, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no readable safetensors file: {error}") from error


def _read_pickle(path: Path) -> Mapping[Any, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Not torch's own words: they go on to advise loading it without the safeguard.
        raise WeightsError(
            f"{path} is damaged, is no weights file, or holds Python objects besides tensors, and "
            "loading those could run code; save the tensors alone with "
            "torch.save(model.state_dict(), FILE)"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        why = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{path} cannot be read as a weights file ({why})") from error
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path} holds a {type(content).__name__}; expected a state dict (tensors by name); "
            "save one with torch.save(model.state_dict(), FILE)"
        )
    return content


def _part(content: Mapping[Any, Any], key: str, path: Path) -> Mapping[Any, Any]:
    part: Any = content
    for step in [key] if key in content else key.split("."):
        if not isinstance(part, Mapping) or step not in part:
            known = ", ".join(_dicts(content)) or "no parts, only tensors"
            raise WeightsError(f"{path} has no part {key!r}; it has {known}")
        part = part[step]
    if not isinstance(part, Mapping):
        raise WeightsError(f"{key!r} in {path} is a {type(part).__name__}, no state dict")
    return part


def _dicts(content: Mapping[Any, Any]) -> list[str]:
    return [str(name) for name, value in content.items() if isinstance(value, Mapping)]


def _no_tensors(part: Mapping[Any, Any], path: Path, key: str | None) -> str:
    where = f"{path} at {key!r}" if key else str(path)
    inside = _dicts(part)
    if not inside:
        return f"{where} holds no tensors (got: {', '.join(map(str, part)) or 'nothing'})"
    before = f"{key}." if key else ""
    return (
        f"{where} holds no tensors at its top, but {', '.join(inside)}; say which with "
        f"--weights-key {before}{inside[0]}"
    )


def _without_prefix(tensors: Tensors, prefix: str, path: Path) -> Tensors:
    kept = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
    if not kept:
        raise WeightsError(
            f"no tensor in {path} has a name that starts with {prefix!r} (first: "
            f"{_few(tensors)}); leave --strip-prefix out or give another"
        )
    return kept


def fill(model: nn.Module, file: WeightsFile, needed: Collection[str]) -> tuple[str, ...]:
    """Put the tensors of a file into ``model`` and check that everything needed is there.

    Parameters
    ----------
    model
        Its parameters may be on the meta device.
    file
        Floating tensors are taken as float32.
    needed
        Names in the model's state dict that have to be filled.

    Returns
    -------
    Notes on tensors that have no place in the model.

    Raises
    ------
    WeightsError
        If needed tensors are missing, have another shape, or are not finite.
    """
    state, tensors = model.state_dict(), file.tensors
    wrong = {n for n, t in tensors.items() if n in state and t.shape != state[n].shape}
    if bad := sorted(wrong.intersection(needed)):
        pairs = [f"{n} {shape_text(tensors[n])}, expected {shape_text(state[n])}" for n in bad]
        raise WeightsError(
            f"{file.path} has {len(bad)} tensors of another shape up to the cut: {_few(pairs)}"
        )
    missing, unexpected = _assign(model, file, leave_out=wrong)
    if lacking := sorted(missing.intersection(needed)):
        raise WeightsError(_lacking(lacking, file))
    _check_finite(model, needed, file.path)
    if not unexpected:
        return ()
    names = _few(sorted(unexpected))
    return (f"{len(unexpected)} tensors of {file.path} have no place in the network: {names}",)


def _assign(model: nn.Module, file: WeightsFile, leave_out: set[str]) -> tuple[set[str], set[str]]:
    """Load through the modules' own hooks, which rename the tensors of older files.

    Where the file has no versions, only the model as a whole is taken to be of today's.
    """
    today = getattr(model.state_dict(), "_metadata", {})
    state = OrderedDict(
        (name, tensor.float() if tensor.is_floating_point() else tensor)
        for name, tensor in file.tensors.items()
        if name not in leave_out
    )
    versions = file.versions if file.versions is not None else {"": today.get("", {})}
    state._metadata = versions  # type: ignore[attr-defined]  # torch reads it, a dict has none
    report = model.load_state_dict(state, strict=False, assign=True)
    model.requires_grad_(False)
    return set(report.missing_keys), set(report.unexpected_keys)


def _lacking(missing: list[str], file: WeightsFile) -> str:
    names = list(file.tensors)
    text = (
        f"{file.path} lacks {len(missing)} of the tensors up to the cut: {_few(missing)}; "
        f"it has {len(names)}: {_few(names)}"
    )
    longer = next((name for name in names if name.endswith(f".{missing[0]}")), None)
    return f"{text}; try --strip-prefix {longer[: -len(missing[0])]}" if longer else text


def _check_finite(model: nn.Module, needed: Iterable[str], path: Path) -> None:
    state = model.state_dict()
    bad = [name for name in sorted(needed) if not bool(torch.isfinite(state[name]).all())]
    if bad:
        raise WeightsError(
            f"{path} holds values that are not finite in {_few(bad)}; cut at an earlier --layer "
            "that does not need them, or use other weights"
        )


def _few(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def shape_text(tensor: torch.Tensor) -> str:
    """Say a tensor's shape: ``64x3x7x7``."""
    return "x".join(map(str, tensor.shape)) or "scalar"


def weights_digests(model: nn.Module, outputs: Iterable[Collection[str]]) -> list[str]:
    """Give the identity of the tensors that each output depends on.

    It is the BLAKE2b-128 digest over the sorted names, each followed by the BLAKE2b-128 digest of
    (name, dtype, shape, bytes): every tensor is read once, however many outputs share it.

    Parameters
    ----------
    model
        Holds the tensors.
    outputs
        For each output, the names in the model's state dict.
    """
    state = model.state_dict()
    known: dict[str, bytes] = {}
    digests = []
    for names in outputs:
        whole = blake2b(digest_size=_DIGEST_BYTES)
        for name in sorted(names):
            known[name] = known.get(name) or tensor_digest(name, state[name])
            whole.update(known[name])
        digests.append(whole.hexdigest())
    return digests


def tensor_digest(name: str, tensor: torch.Tensor) -> bytes:
    """Give the BLAKE2b-128 digest of (name, dtype, shape, bytes)."""
    digest = blake2b(f"{name}\0{tensor.dtype}\0{shape_text(tensor)}\0".encode(), digest_size=16)
    values = tensor.detach().cpu().contiguous().reshape(-1)
    if values.numel():
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.digest()
