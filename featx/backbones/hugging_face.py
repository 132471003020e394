"""Weights of the Hugging Face hub: those on disk, and whether the hub can be asked for others.

Left to itself the hub's library asks the hub first, also for what is on disk, and where there is no
network tries each file six times, with a warning each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featx._types import JsonObject

TIMEOUT_S = 10
"""Within which the hub must answer."""
_FILES = (
    "model.safetensors",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
)
_SAFE = {"open_clip_pytorch_model.bin": "open_clip_model.safetensors"}


def cached(cfg: JsonObject) -> Path | None:
    """Give the file on disk that timm would load for a description of weights, if it is there."""
    from huggingface_hub import try_to_load_from_cache

    repo, file = cfg.get("hf_hub_id"), cfg.get("hf_hub_filename")
    safe = _SAFE.get(file, str(Path(file).with_suffix(".safetensors"))) if file else ""
    for name in dict.fromkeys((safe, file)) if file else _FILES:
        if repo and isinstance(path := try_to_load_from_cache(repo, name), str):
            return Path(path)
    return None


def why_out_of_reach() -> str | None:
    """Say why the hub cannot be asked; None where it answers, whatever it says."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        get_session().head(constants.ENDPOINT, timeout=TIMEOUT_S)
    except Exception as error:  # each library that it may use has its own
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"{constants.ENDPOINT} does not answer: {first}"
    return None


def folder() -> str:
    """Give the folder where such weights lie."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return str(HF_HUB_CACHE)
