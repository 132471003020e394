"""List the backbones that there are."""

from __future__ import annotations

from dataclasses import dataclass

from featx.backbones import enums
from featx.backbones.dims import DEFAULT_DIMS
from featx.backbones.families import REPORTED, family_of
from featx.backbones.timm_models import FEATURES, timm_module
from featx.errors import UsageError


@dataclass(frozen=True)
class BackboneRow:
    """One backbone as listed.

    Attributes
    ----------
    name
        To be given to ``--backbone``.
    layer
        Its default layer; empty where one must be named.
    dim
        Length of its default vector; None where only loading it would tell.
    weights
        Names of its pretrained weights, the default first.
    reported
        Whether one of the five reports used it.
    """

    name: str
    layer: str
    dim: int | None
    weights: tuple[str, ...]
    reported: bool = False


def list_torchvision() -> list[BackboneRow]:
    """Give a row for each torchvision backbone, by name."""
    return [_row(name) for name in enums.names()]


def list_timm(pattern: str) -> list[BackboneRow]:
    """Give a row for each pretrained timm backbone whose name matches, for example ``*clip*``.

    Raises
    ------
    MissingDependencyError
        If timm is not installed.
    """
    names = timm_module().list_models(pattern.removeprefix("timm/"), pretrained=True)
    return [
        BackboneRow(f"timm/{name}", FEATURES, None, (name.partition(".")[2],)) for name in names
    ]


def _row(name: str) -> BackboneRow:
    try:
        layer = family_of(name).layer
    except UsageError:
        layer = ""
    return BackboneRow(
        name=name,
        layer=layer,
        dim=DEFAULT_DIMS.get(name),
        weights=tuple(enums.member_names(name)),
        reported=name in REPORTED,
    )
