"""Backbones of timm, CLIP and DINOv2 image towers among them."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import nn

from featx._quiet import quiet
from featx._types import JsonObject, Progress
from featx.backbones import hugging_face
from featx.backbones.assemble import Loaded, assemble, seeded
from featx.backbones.at_hand import NO_TIMM
from featx.backbones.base import Backbone
from featx.backbones.cut import Cutter, Whole
from featx.backbones.enums import choose_preset
from featx.backbones.preprocess import Preset, prepare
from featx.backbones.request import BackboneRequest
from featx.backbones.weights import WeightsFile, fill, read_tensors
from featx.errors import (
    LayerError,
    MissingDependencyError,
    UsageError,
    WeightsError,
    WeightsUnreachableError,
    unknown_name,
)

FEATURES = "forward_features"
"""The default layer: what timm's method of that name gives, before pooling and classifier."""
_CNN_SIZE = 224


def load(request: BackboneRequest, progress: Progress) -> Backbone:
    """Build, fill and cut a timm backbone.

    Raises
    ------
    MissingDependencyError
        If timm is not installed.
    UnknownNameError
        If timm has no such model.
    WeightsUnreachableError
        If the pretrained weights are neither in the cache of the hub nor within reach.
    WeightsError
        If the weights do not fit.
    LayerError
        If a layer is not there or cannot be cut at.
    """
    timm = timm_module()
    name = str(request.name).removeprefix("timm/")
    cfg = _config(timm, name)
    fixed = bool(cfg.get("fixed_input_size"))
    preset = choose_preset(request.preprocess) or _preset(name, cfg)
    pre, notes = prepare(request, preset, "weights" if fixed else _CNN_SIZE)
    model = _build(timm, name, cfg, request, pre.image_size, progress)
    cutter = Cutter(model, FEATURES, _features(model), _channels_last(model), _tracing(timm))
    layers = tuple(map(cutter.resolve, request.layers or (FEATURES,)))
    file = request.weights_file
    if file is not None:
        tensors = read_tensors(file, request.weights_key, request.strip_prefix)
        needed = frozenset().union(*map(cutter.tensors, layers))
        notes += fill(model, _todays_names(model, tensors), needed)
    random = request.weights == "random"
    loaded = Loaded(
        name=f"timm/{name if file or random else _tagged(cfg, name)}",
        cutter=cutter,
        layers=layers,
        map_pooling="avg" if fixed else "flatten",
        class_token=_has_class_token(model),
        preprocess=pre,
        random_seed=request.seed if random else None,
        notes=notes,
        provenance={**_origin(cfg, request), "timm": timm.__version__},
    )
    return assemble(loaded, request)


def timm_module() -> ModuleType:
    """Import timm.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    try:
        with quiet(r"tqdm\b"):  # which misses a widget for bars, in notebooks
            return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(NO_TIMM) from error


def _config(timm: ModuleType, name: str) -> JsonObject:
    """Give timm's description of the weights that ``name`` stands for."""
    architecture, _, tag = name.partition(".")
    known = timm.list_models()
    if architecture not in known:
        raise unknown_name("timm model", architecture, known, "timm.list_models() lists them")
    tagged = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tagged:
        raise unknown_name("timm weights", name, tagged)
    config: JsonObject = timm.get_pretrained_cfg(name).to_dict()
    return config


def _tagged(cfg: JsonObject, name: str) -> str:
    tag = cfg.get("tag")
    return f"{name.partition('.')[0]}.{tag}" if tag else name


def _preset(name: str, cfg: JsonObject) -> Preset:
    """Read the preprocessing as timm's own evaluation transform has it.

    Its resize before the crop is ``floor(size / crop_pct)``.
    """
    data = timm_module().data.resolve_data_config({}, pretrained_cfg=cfg)
    size = tuple(data["input_size"][1:])
    return Preset(
        origin=f"timm's {name}",
        size=size,
        resize_size=int(min(size) / data["crop_pct"]),
        interpolation=data["interpolation"],
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        resize="squash" if data["crop_mode"] == "squash" else "crop",
    )


def _build(
    timm: ModuleType,
    name: str,
    cfg: JsonObject,
    request: BackboneRequest,
    size: tuple[int, int],
    progress: Progress,
) -> nn.Module:
    """Build the model, pretrained where no file and no random weights were asked for."""
    if request.weights not in (None, "random") and request.weights_file is None:
        raise UsageError(
            f"weights {request.weights!r}; timm's are part of the name: timm/NAME.TAG; or give a "
            ".pth or .safetensors file, or random"
        )
    arguments: dict[str, Any] = {"pretrained": request.weights is None}
    if cfg.get("fixed_input_size") and size != tuple(cfg["input_size"][1:]):
        arguments["img_size"] = size
    if request.weights is None:
        progress.say(f"weights: {_place(cfg)}")
        arguments |= _at_hand(name, cfg)
    try:
        with seeded(request.seed):
            model: nn.Module = timm.create_model(name, **arguments)
    except TypeError as error:
        raise LayerError(
            f"timm/{name} takes images of {cfg['input_size'][1]} pixels alone ({error}); "
            "leave --image-size out"
        ) from error
    except Exception as error:
        if request.weights is not None:
            raise
        raise _not_found(name, cfg, error) from error
    return model.eval().requires_grad_(False)


def _at_hand(name: str, cfg: JsonObject) -> dict[str, Any]:
    """Let timm load the hub's weights from disk where they are there, and else ask the hub first.

    Raises
    ------
    WeightsUnreachableError
        If they are on disk nowhere, and the hub is out of reach.
    """
    if not cfg.get("hf_hub_id") or cfg.get("custom_load") == "hf":
        return {}
    if file := hugging_face.cached(cfg):
        return {"pretrained_cfg_overlay": {"file": str(file), "custom_load": False}}
    if why := hugging_face.why_out_of_reach():
        raise _lacking(name, cfg, why)
    return {}


def _place(cfg: JsonObject) -> str:
    return str(cfg.get("hf_hub_id") or cfg.get("url") or "no place that timm knows")


def _not_found(name: str, cfg: JsonObject, error: Exception) -> Exception:
    if isinstance(error, RuntimeError) and "size mismatch" in str(error):
        return WeightsError(f"the weights of timm/{name} do not fit: {error}")
    return _lacking(name, cfg, (str(error).strip() or type(error).__name__).splitlines()[0])


def _lacking(name: str, cfg: JsonObject, why: str) -> WeightsUnreachableError:
    return WeightsUnreachableError(
        f"the pretrained weights of timm/{name} ({_place(cfg)}) are not in "
        f"{hugging_face.folder()} and cannot be fetched ({why}); run this once with network, put "
        "them there (HF_HOME names another folder), or give a file with --weights FILE (or try "
        "things out with --weights random, untrained)"
    )


def _origin(cfg: JsonObject, request: BackboneRequest) -> JsonObject:
    """Say where the weights came from; for those of the hub, which revision."""
    if request.weights == "random":
        return {"weights": f"random (seed {request.seed})", "weights_file": None}
    if request.weights_file is not None:
        return {"weights": request.weights_file.name, "weights_file": str(request.weights_file)}
    repo, file = cfg.get("hf_hub_id"), hugging_face.cached(cfg)  # it was just loaded from there
    return {
        "weights": repo or cfg.get("url"),
        "weights_file": None,
        "revision": file.parent.name if file else None,
    }


def _features(model: Any) -> Whole:
    """Give the part before pooling and classifier; the classifier's tensors are not needed."""
    head = model.get_classifier()
    heads = head if isinstance(head, tuple | list) else (head,)
    left_out = {id(p) for h in heads if isinstance(h, nn.Module) for p in h.parameters()}
    names = frozenset(
        name
        for name, value in model.state_dict(keep_vars=True).items()
        if id(value) not in left_out and not name.endswith("num_batches_tracked")
    )
    return Whole(FEATURES, Features(model), names)


class Features(nn.Module):
    """What timm's ``forward_features`` gives, without tokens that stand for no part of the image.

    Of the tokens in front (class token, registers, distillation token) the class token is kept,
    if there is one, and then those of the image.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.prefix = int(getattr(model, "num_prefix_tokens", 0))
        self.kept = int(_has_class_token(model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give (B, C, H, W) or (B, tokens, C) for (B, 3, H, W)."""
        out: torch.Tensor = self.model.forward_features(x)
        if out.ndim != 3 or self.prefix == self.kept:
            return out
        return torch.cat([out[:, : self.kept], out[:, self.prefix :]], dim=1)


def _tracing(timm: ModuleType) -> dict[str, Any]:
    """Give the tracer what timm says cannot be looked into."""
    return {
        "leaf_modules": list(timm.models.get_notrace_modules()),
        "autowrap_functions": tuple(timm.models.get_notrace_functions()),
    }


def _has_class_token(model: Any) -> bool:
    registers = int(getattr(model, "num_reg_tokens", 0))
    return int(getattr(model, "num_prefix_tokens", 0)) > registers


def _channels_last(model: Any) -> str:
    return FEATURES if str(getattr(model, "output_fmt", "")) == "NHWC" else ""


def _todays_names(model: nn.Module, file: WeightsFile) -> WeightsFile:
    """Rename the tensors of an original release (DINOv2's, OpenAI's) as timm itself does."""
    module = importlib.import_module(type(model).__module__)
    rename = getattr(module, "checkpoint_filter_fn", None)
    if rename is None:
        return file
    return WeightsFile(file.path, dict(rename(dict(file.tensors), model)), file.versions)
