"""Say what was found inside a backbone, in lines that fit 80 columns."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featx._types import JsonObject

_BAR = 24
_NAME = 30


def lines(value: JsonObject, bar: str = "#") -> Iterator[str]:
    """Say the convolution, then each image with its classes.

    Parameters
    ----------
    value
        As `featx.inspection.Inspection.to_json` gives it.
    bar
        The character that bars are drawn with.
    """
    yield from _wrapped(f"{value['backbone']} ({value['weights']}), {convolution(value)}")
    if value["why_no_top"]:
        yield from _wrapped(f"no classes: {value['why_no_top']}")
    for image in value["images"]:
        if image["top"]:
            yield from _top(image, bar)
    for one in value["failed"]:
        yield from _wrapped(f"failed: {one['path']}: {one['reason']}")


def convolution(value: JsonObject) -> str:
    """Say which convolution was looked at, and what follows it."""
    height, width = value["kernel"]
    of = f"{value['input_channels']} channel{'s' * (value['input_channels'] != 1)}"
    groups = f" in {value['groups']} groups" if value["groups"] > 1 else ""
    rows, columns = value["map_size"]
    return (
        f"layer {value['layer']}: {value['filters']} filters of {height}x{width} on {of}{groups}, "
        f"maps of {rows}x{columns}; {follows(value)}"
    )


def follows(value: JsonObject) -> str:
    """Say which non-linearity was taken, or that there is none."""
    if value["nonlinearity"] is None:
        passed = "".join(f"then {one}; " for one in value["through"])
        return f"{passed}no non-linearity follows: {value['instead']}"
    way = [*value["through"], f"{value['nonlinearity']} ({value['operation']})"]
    return f"then {', then '.join(way)}"


def title(image: JsonObject) -> str:
    """Name an image, with its item where it is not the first."""
    return f"{image['path']}, item {image['item']}" if image["item"] else image["path"]


def _top(image: JsonObject, bar: str) -> Iterator[str]:
    yield ""
    yield title(image)
    width = min(_NAME, max(len(guess["category"]) for guess in image["top"]))
    for guess in image["top"]:
        p, name = guess["probability"], guess["category"]
        name = name if len(name) <= width else f"{name[: width - 3]}..."
        yield f"  {100 * p:5.1f} %  {name:{width}}  {bar * round(_BAR * p)}".rstrip()


def _wrapped(text: str) -> list[str]:
    return wrap(text, 79, break_long_words=False, break_on_hyphens=False)
