"""Whether a backbone's weights lie on this machine, told without loading or fetching anything."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from featx.backbones.request import BackboneRequest

NO_TIMM = "timm/NAME backbones need timm: pip install 'featx[timm]'"


def missing_weights(request: BackboneRequest) -> str:
    """Say which weights a request lacks here; empty where it lacks none, or only timm can tell.

    Raises
    ------
    UnknownNameError
        If torchvision has no such backbone, or the backbone no such weights.
    """
    file = request.weights_file
    if file is not None:
        return "" if file.is_file() else f"no weights file {file}"
    if request.kind == "timm" and find_spec("timm") is None:
        return NO_TIMM
    if request.weights == "random" or request.kind != "torchvision":
        return ""
    import torch

    from featx.backbones import enums
    from featx.errors import unknown_name

    name = str(request.name)
    if name not in enums.names():
        raise unknown_name("backbone", name, enums.names(), "`featx backbones` lists them")
    published = enums.file_name(enums.choose_weights(name, request).member)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if (folder / published).is_file():
        return ""
    return f"the pretrained weights {published} are not in {folder}; a run tries to download them"
