"""Choose the engine: the fastest precision that is within tolerance, or the one asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featx._types import Array, JsonObject
from featx.errors import NumericsError, UsageError
from featx.forward.certificate import MIN_COSINE, ROWS, Certificate, certify

if TYPE_CHECKING:
    from featx.backbones import Backbone
    from featx.forward.engine import Engine


@dataclass(frozen=True)
class ChosenEngine:
    """An engine, and why it was chosen.

    Attributes
    ----------
    engine
        Ready to run.
    certificates
        By key, as JSON: those that the choice rests on, passed or not; worth keeping.
    notes
        Lines for the user.
    """

    engine: Engine
    certificates: JsonObject = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def choose_engine(
    backbone: Backbone,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    *,
    sample: Callable[[], Array] | None = None,
    known: Mapping[str, JsonObject] | None = None,
) -> ChosenEngine:
    """Make the engine that will run ``backbone``.

    ``auto`` takes fp16 on CUDA, and bf16 on a CPU that multiplies in it, where a certificate over
    ``sample`` shows that this costs next to nothing; else fp32.

    Parameters
    ----------
    backbone
        To be run.
    device, precision, batch_size
        As asked for.
    sample
        Gives up to `featx.forward.ROWS` prepared images, (n, H, W, 3), to certify a precision.
    known
        Certificates that were made earlier, by key, as JSON.

    Raises
    ------
    DeviceError
        If this machine lacks the device or the precision.
    NumericsError
        If the precision was asked for and is out of tolerance.
    UsageError
        If it was asked for and there is nothing to certify it with, or the recipe is the reference.
    """
    from featx.forward.devices import choose_device, fast_precision
    from featx.forward.engine import Engine

    reference_only = backbone.request.numerics == "reference"
    wanted = precision
    if precision == "auto":
        wanted = "fp32" if reference_only else fast_precision(choose_device(device))
    if wanted != "fp32" and reference_only:
        raise UsageError(
            f"precision {wanted} with reference numerics, which means fp32; leave one of them out"
        )
    engine = Engine(backbone, device, wanted, batch_size)
    if wanted == "fp32":
        return ChosenEngine(engine, notes=(_says(engine),))
    keys = [_key(recipe.hash, engine) for recipe, *_ in backbone.recipes()]
    certificates = _recall(keys, known or {})
    if certificates is None and sample is not None and len(images := sample()):
        certificates = certify(backbone, engine, images[:ROWS], _reference(engine, backbone))
    return _decide(backbone, engine, keys, certificates, asked=precision != "auto")


def _decide(
    backbone: Backbone,
    engine: Engine,
    keys: list[str],
    certificates: list[Certificate] | None,
    *,
    asked: bool,
) -> ChosenEngine:
    """Keep the engine if its certificates passed; else raise, or fall back to fp32 and say why."""
    if certificates is not None and all(c.passed for c in certificates):
        worst = min(c.min_cosine for c in certificates)
        note = f"{_says(engine)} (minimum cosine with fp32 {worst:.5f})"
        return ChosenEngine(engine, _as_json(keys, certificates), (note,))
    why = _why(engine.precision, certificates)
    if asked:
        problem = NumericsError if certificates is not None else UsageError
        raise problem(f"{why}; give --precision fp32, or auto")
    return ChosenEngine(
        _reference(engine, backbone),
        _as_json(keys, certificates or []),
        (f"{_says(_reference(engine, backbone))}: {why}",),
    )


def _why(precision: str, certificates: list[Certificate] | None) -> str:
    if certificates is None:
        return f"precision {precision} cannot be certified without images"
    worst = min(certificates, key=lambda c: (c.passed, c.min_cosine))
    return (
        f"precision {precision} costs this backbone too much (minimum cosine with fp32 over "
        f"{worst.rows} images {worst.min_cosine:.4f}, expected at least {MIN_COSINE})"
    )


def _reference(engine: Engine, backbone: Backbone) -> Engine:
    from featx.forward.engine import Engine

    return Engine(backbone, str(engine.device), "fp32", engine.batch_size)


def _key(recipe_hash: str, engine: Engine) -> str:
    """Name what a certificate holds for: recipe, engine, precision, device, version."""
    made = engine.provenance
    parts = (recipe_hash, made["engine"], made["torch"], made["device"], engine.precision)
    return " ".join(str(part) for part in parts)


def _recall(keys: list[str], known: Mapping[str, JsonObject]) -> list[Certificate] | None:
    """Give the certificates made earlier, if all are there and made of enough images."""
    if not all(key in known for key in keys):
        return None
    found = [Certificate.from_json(known[key]) for key in keys]
    return found if all(c.rows >= ROWS for c in found) else None


def _as_json(keys: list[str], certificates: list[Certificate]) -> JsonObject:
    return {key: c.to_json() for key, c in zip(keys, certificates, strict=False)}


def _says(engine: Engine) -> str:
    return (
        f"running on {engine.provenance['device']} in {engine.precision}, "
        f"{engine.batch_size} images in a batch"
    )
