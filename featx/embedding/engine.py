"""The engine of a request: made when the first image needs it, and kept for the next pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx.backbones import load_backbone
from featx.embedding.work import Network
from featx.errors import RecipeMismatchError
from featx.forward import ROWS, choose_engine
from featx.forward.ways import pays_compiling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featx._types import JsonObject, Progress
    from featx.backbones import Backbone, BackboneRequest, Resolved
    from featx.embedding.sinks import Sink
    from featx.forward import Asked, ChosenEngine, Sample

_LAST: dict[tuple[object, ...], ChosenEngine] = {}
"""The last engines, so many as are asked for, so that one prediction after another stays warm."""


def source_of(request: BackboneRequest, resolved: Resolved) -> JsonObject:
    """Give what makes the backbone again, for the provenance of what it computes."""
    return {"request": request.to_json(), "weights": resolved.provenance}


def known_certificates(sinks: Sequence[Sink]) -> JsonObject:
    """Give the certificates that the stores of sinks hold, by key."""
    stores = [sink.store for sink in sinks if sink.store is not None]
    runs = [run["provenance"] for store in stores for run in store.runs]
    return {k: v for run in runs for k, v in run.get("certificates", {}).items()}


def network(
    request: BackboneRequest,
    resolved: Resolved,
    sinks: Sequence[Sink],
    asked: Asked,
    kept: int,
    known: JsonObject,
    on_made: Callable[[ChosenEngine], None],
    progress: Progress,
) -> Network:
    """Say how to make the engine.

    Parameters
    ----------
    kept
        How many engines stay loaded.
    known
        Certificates that need not be made again.
    on_made
        Told of the engine before it computes anything.
    """

    def make(sample: Callable[[], Sample], n_images: int) -> ChosenEngine:
        chosen = _engine(request, resolved, asked, kept, sample, known, n_images, progress)
        on_made(chosen)
        return chosen

    layers = list(dict.fromkeys(recipe.layer for recipe in resolved.recipes))
    return Network(make, [layers.index(sink.recipe.layer) for sink in sinks])


def _engine(
    request: BackboneRequest,
    resolved: Resolved,
    asked: Asked,
    kept: int,
    sample: Callable[[], Sample],
    known: JsonObject,
    n_images: int,
    progress: Progress,
) -> ChosenEngine:
    key = (request, resolved.filled, asked, pays_compiling(asked, n_images))
    chosen = _LAST.get(key)
    if chosen is None:
        while len(_LAST) >= kept:
            del _LAST[next(iter(_LAST))]
        progress.say(f"making the network ready, with up to {ROWS} of the images")
        backbone = resolved.backbone or load_backbone(request)
        _refuse_other_weights(resolved, backbone)
        chosen = choose_engine(backbone, asked, sample=sample, known=known, n_images=n_images)
        _LAST[key] = chosen
    return chosen


def _refuse_other_weights(resolved: Resolved, backbone: Backbone) -> None:
    """The recipes may come from a memo of an earlier run: the weights must still be those."""
    for (expected, *_), (loaded, *_) in zip(resolved.filled, backbone.recipes(), strict=True):
        if expected != loaded:
            differences = "; ".join(expected.differences(loaded, "expected", "loaded"))
            raise RecipeMismatchError(
                f"the backbone that was loaded is not the one resolved before: {differences}; "
                "if its weights were just changed, run it again"
            )
