"""What each torchvision family gives by default: layer, pooling, size, and how it is built.

The reports' CNNs flatten their last map at 224 px; transformers give their class token, or the
mean of a last map, at the size that the weights were trained for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from featx.errors import UsageError


@dataclass(frozen=True)
class Family:
    """How the members of one torchvision family are used.

    Attributes
    ----------
    prefix
        Of the members' names.
    layer
        Default node to cut at.
    pooling
        Default for a map (channels, height, width); tokens take ``cls``.
    size
        Default image size in pixels, or ``weights`` for the size the weights were trained for.
    size_argument
        The builder's argument that fixes the image size, where the network depends on it.
    channels_last
        Pattern of the nodes whose maps are (height, width, channels); empty for none.
    transform_input
        Whether the pretrained enum turns ``transform_input`` on.
    """

    prefix: str
    layer: str
    pooling: Literal["flatten", "avg"] = "flatten"
    size: int | Literal["weights"] = 224
    size_argument: Literal["", "image_size", "input_size"] = ""
    channels_last: str = ""
    transform_input: bool = False


FAMILIES: tuple[Family, ...] = (
    Family("alexnet", "features"),
    Family("convnext", "features"),
    Family("densenet", "relu"),
    Family("efficientnet", "features"),
    Family("googlenet", "inception5b", transform_input=True),
    Family("inception_v3", "Mixed_7c", transform_input=True),
    Family("maxvit", "blocks", "avg", "weights", "input_size"),
    Family("mnasnet", "layers"),
    Family("mobilenet", "features"),
    Family("regnet", "trunk_output"),
    Family("resnet", "layer4"),
    Family("resnext", "layer4"),
    Family("shufflenet", "conv5"),
    Family("squeezenet", "features"),
    Family("swin", "permute", "avg", "weights", channels_last=r"(features(?!\.0\.0$)|norm)(\.|$)"),
    Family("vgg", "features"),
    Family("vit", "encoder.ln", "avg", "weights", "image_size"),
    Family("wide_resnet", "layer4"),
)

REPORTED = frozenset(
    {
        "googlenet",
        "inception_v3",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "mobilenet_v3_small",
        "regnet_y_128gf",
        "resnet152",
        "resnet18",
        "resnet50",
        "squeezenet1_0",
        "squeezenet1_1",
        "vgg16",
    }
)
"""The backbones of the five transfer-learning reports that featx grew out of."""


def family_of(name: str, *, layer_given: bool = False) -> Family:
    """Give the family that ``name`` belongs to.

    Raises
    ------
    UsageError
        If no family fits, and no layer was named that could stand for the default.
    """
    for family in FAMILIES:
        if name.startswith(family.prefix):
            return family
    if layer_given:
        return Family(name, "")
    raise UsageError(
        f"backbone {name!r} has no default layer here; give one with --layer NODE (a node name of "
        "torchvision.models.feature_extraction.get_graph_node_names)"
    )
