"""What the vectors of a store were computed with: signatures, and the certificates behind them.

A run of a store records its provenance as JSON. What of it decides the last digits of a vector is
the *signature*; who asked for it, from which weights, in which batches, is not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import JsonObject

DERIVED = "derived"
"""The engine of vectors that were pooled from those of a flattened store."""
_LIBRARIES = ("openvino", "torch")
_PRECISIONS = ("fp32", "bf16", "fp16")
_REFERENCE = ("torch", "fp32", "pil")
_NAMES = {DERIVED: "a flattened store", "": "an engine not recorded"}


@dataclass(frozen=True)
class Signature:
    """What vectors were computed with.

    Attributes
    ----------
    engine
        ``torch``, ``openvino``, `DERIVED`, or empty where nothing is recorded; the other fields
        are empty for the last two.
    precision, device, decoder
        As recorded; an older run without a decoder had Pillow's.
    versions
        (library, version) of each library that is recorded.
    """

    engine: str = ""
    precision: str = ""
    device: str = ""
    decoder: str = ""
    versions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, provenance: JsonObject) -> Signature:
        """Read the signature of a run's provenance."""
        engine = str(provenance.get("engine", ""))
        if engine in _NAMES:
            return cls(engine)
        return cls(
            engine,
            precision=str(provenance.get("precision", "")),
            device=str(provenance.get("device", "")),
            decoder=str(provenance.get("decoder", "pil")),
            versions=tuple((n, str(provenance[n])) for n in _LIBRARIES if n in provenance),
        )

    @property
    def name(self) -> str:
        """Engine and precision, as in ``openvino bf16``."""
        return _NAMES.get(self.engine) or f"{self.engine} {self.precision}".rstrip()

    @property
    def is_reference(self) -> bool:
        """Whether certificates compare with this arithmetic, so that it has none."""
        return (self.engine, self.precision, self.decoder) == _REFERENCE

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return vars(self) | {"versions": dict(self.versions)}

    def _detail(self, field: str) -> str:
        """Say one field after the name; nothing where it is empty."""
        value = getattr(self, field)
        if not value:
            return ""
        if field == "versions":
            return f" ({', '.join(' '.join(library) for library in value)})"
        return f" on {value}" if field == "device" else f" with decoder {value}"


def telling_names(signatures: Sequence[Signature]) -> list[str]:
    """Name distinct signatures by engine and precision, and by as much more as tells them apart."""
    names = [signature.name for signature in signatures]
    for field in ("device", "decoder", "versions"):
        differ = len({getattr(signature, field) for signature in signatures}) > 1
        if differ and len(set(names)) < len(names):
            names = [n + s._detail(field) for n, s in zip(names, signatures, strict=True)]
    return names


def blocks_of(run: JsonObject, n_blocks: int) -> list[list[int]]:
    """Give the ``[start, stop]`` of a run's blocks.

    An open run whose last range is empty is being written in order, and goes on to the last block.
    """
    *others, (start, stop) = run["blocks"]
    in_order = not run["closed"] and start == stop
    return [*others, [start, max(start, n_blocks) if in_order else stop]]


def describe_run(run: JsonObject, recipe_hash: str) -> JsonObject:
    """Say what a run computed with, and by which certificate.

    Returns
    -------
    dict
        The fields of the `Signature`; ``reference``, whether it needs no certificate;
        ``certificate``, or null; ``turned_down``: certificates of other ways that did not pass,
        each with its ``engine``, ``precision`` and ``decoder``.
    """
    made = Signature.of(run["provenance"])
    known = run["provenance"].get("certificates") or {}
    certificates = [
        _way_of(key) | value for key, value in known.items() if key.startswith(f"{recipe_hash} ")
    ]
    own = [c for c in certificates if all(c[k] == getattr(made, k) for k in _WAY) and c["passed"]]
    return made.to_json() | {
        "reference": made.is_reference,
        "certificate": own[-1] if own else None,
        "turned_down": [c for c in certificates if not c["passed"]],
    }


_WAY = ("engine", "precision", "decoder")


def _way_of(key: str) -> JsonObject:
    """Read a certificate's key: recipe, engine, versions, device, precision, decoder if any.

    The device may hold blanks; keys of older runs end with the precision.
    """
    _, engine, *_, before, last = key.split()
    precision, decoder = (last, "pil") if last in _PRECISIONS else (before, last)
    return {"engine": engine, "precision": precision, "decoder": decoder}
