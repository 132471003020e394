"""Choose the engine: the fastest way that is within tolerance, or the one asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from featx._types import JsonObject
from featx._words import count
from featx.errors import DeviceError, FeatxError, UsageError
from featx.forward.base import UnrunnableError
from featx.forward.certificate import ROWS, Certificate, Sample, certify
from featx.forward.decoders import can_nvjpeg, make_decoder
from featx.forward.group import EngineGroup
from featx.forward.refused import Refused, uncertified
from featx.forward.sizing import sized
from featx.forward.ways import Asked, Way, ways

if TYPE_CHECKING:
    from featx._types import Array
    from featx.backbones import Backbone
    from featx.forward.base import Engine
    from featx.forward.decoders import Decoder
    from featx.forward.openvino_engine import OpenVINOEngine


@dataclass(frozen=True)
class ChosenEngine:
    """An engine, and why it was chosen.

    Attributes
    ----------
    engine
        Ready to run.
    decoder
        What images are to be decoded by for it.
    certificates
        By key, as JSON: those that the choice rests on, passed or not; worth keeping.
    notes
        Lines for the user.
    """

    engine: Engine
    decoder: Decoder
    certificates: JsonObject = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def provenance(self) -> JsonObject:
        """What vectors are computed with: the engine's, the decoder and the certificates."""
        how = {"decoder": self.decoder.name, "batch_size": self.engine.batch_size}
        how |= self.decoder.versions
        return self.engine.provenance | how | {"certificates": self.certificates}


def choose_engine(
    backbone: Backbone,
    asked: Asked | None = None,
    *,
    sample: Callable[[], Sample] | None = None,
    known: Mapping[str, JsonObject] | None = None,
    n_images: int = 0,
) -> ChosenEngine:
    """Make the engine that will run ``backbone``.

    Ways are tried from the fastest on: on a processor OpenVINO in bf16, where the processor
    multiplies in it, then in fp32; on CUDA torch in fp16, compiled where so many images are to come
    that it pays. Each is tried with JPEGs decoded on CUDA first, or at a fraction of their size,
    where they are larger than needed. A way needs a certificate, over ``sample`` or made earlier.
    What is left in the end is the reference, torch in fp32 with whole images.

    Parameters
    ----------
    backbone
        To be run.
    asked
        What the person wants.
    sample
        Gives up to `featx.forward.ROWS` of the images to come, to certify with.
    known
        Certificates that were made earlier, by key, as JSON.
    n_images
        How many images are to come: where they are many, batch sizes are measured.

    Raises
    ------
    DeviceError
        If this machine lacks the device, the precision or the engine.
    NumericsError
        If what was asked for is out of tolerance.
    UsageError
        If it was asked for and there is nothing to certify it with, or the recipe is the reference.
    """
    asked = asked or Asked()
    trial = _Trial(backbone, asked, sample, known or {}, n_images)
    for engine, precision in ways(backbone, asked, n_images):
        for decoder in trial.decoders(engine, precision):
            chosen = trial.take(Way(engine, precision, decoder))
            if chosen is not None:
                return chosen
    raise trial.refusal()


_DECODED = {
    "pil": "",
    "scaled": ", large JPEGs decoded at a fraction",
    "nvjpeg": ", JPEGs decoded on the device",
}


class _Trial:
    """Tries ways until one is within tolerance; the reference runs once for all of them."""

    def __init__(
        self,
        backbone: Backbone,
        asked: Asked,
        sample: Callable[[], Sample] | None,
        known: Mapping[str, JsonObject],
        n_images: int,
    ) -> None:
        self._backbone = backbone
        self._asked = asked
        self._ask_sample = sample
        self._known = known
        self._n_images = n_images
        self._engines: dict[tuple[str, str], Engine | None] = {}
        self._images: dict[str, Array] = {}
        self._decoders: dict[str, Decoder] = {}
        self._openvino: OpenVINOEngine | None = None
        self._certificates: JsonObject = {}
        self._refused: list[Refused] = []

    def decoders(self, engine: str, precision: str) -> tuple[str, ...]:
        """Give the decoders to try with an engine: those certified earlier, else what can help."""
        if self._asked.decoder == "pil":
            return ("pil",)
        made = self._engine(engine, precision)
        if made is None:
            return ()
        others = self._others() if self._asked.decoder == "auto" else (self._asked.decoder,)
        order = (*others, "pil") if self._asked.decoder == "auto" else others
        seen = tuple(
            d for d in order if self._recalled(_keys(self._backbone, made, self._decoder(d)))
        )
        if seen or self._backbone.request.numerics == "reference":
            return seen or ("pil",)
        telling = tuple(decoder for decoder in others if self._tells(decoder))
        if self._asked.decoder != "auto" and not telling:
            self._note_once(
                f"decoder {self._asked.decoder} changes less than a quarter of "
                f"{count(len(self._sample.images), 'image')}, so Pillow decodes all"
            )
        return order if telling == others else (*telling, "pil")

    def _note_once(self, words: str) -> None:
        if words not in [refused.why for refused in self._refused]:
            self._refused.append(Refused(words, UsageError))

    def _others(self) -> tuple[str, ...]:
        """Name the decoders that may be faster than Pillow, the fastest first."""
        on_device = self._devices[0].startswith("cuda") and can_nvjpeg(self._backbone.preprocess)
        return ("nvjpeg", "scaled") if on_device else ("scaled",)

    def _tells(self, decoder: str) -> bool:
        """Whether a decoder changes a quarter of the sample: less gains and tells little."""
        whole, other = self._sample.images, self._by(decoder)
        changed = sum(not np.array_equal(a, b) for a, b in zip(whole, other, strict=True))
        return bool(changed) and changed >= len(whole) / 4

    def _by(self, decoder: str) -> Array:
        """Give the sample by a decoder."""
        if decoder == "pil" or self._sample.by is None:
            return self._sample.images
        if decoder not in self._images:
            self._images[decoder] = self._sample.by(self._decoder(decoder))
        return self._images[decoder]

    def _decoder(self, name: str) -> Decoder:
        if name not in self._decoders:
            self._decoders[name] = make_decoder(name, self._backbone.preprocess, self._devices)
        return self._decoders[name]

    def take(self, way: Way) -> ChosenEngine | None:
        """Give the engine of a way if it is within tolerance."""
        engine = self._engine(way.engine, way.precision)
        if engine is None:
            return None
        if way.is_reference:
            return self._chosen(engine, way, "")
        keys = _keys(self._backbone, engine, self._decoder(way.decoder))
        certificates = self._recalled(keys) or self._certified(engine, way.decoder)
        self._certificates |= {k: c.to_json() for k, c in zip(keys, certificates, strict=False)}
        if not certificates or not all(c.passed for c in certificates):
            self._refused.append(uncertified(way, certificates, self._asked))
            return None
        worst = min(c.min_cosine for c in certificates)
        size = self._asked.batch_size or certificates[0].batch_size or engine.batch_size
        engine = engine if engine.batch_size == size else engine.resized(size)
        return self._chosen(engine, way, f" (minimum cosine with the reference {worst:.5f})")

    def refusal(self) -> FeatxError:
        """Give the error that says why nothing that was asked for will do."""
        return self._refused[-1].error

    def _chosen(self, engine: Engine, way: Way, proof: str) -> ChosenEngine:
        how = _DECODED[way.decoder]
        running = f"running {engine.describe()}{how}{proof}"
        note = "; ".join(dict.fromkeys([running, *(refused.why for refused in self._refused)]))
        return ChosenEngine(engine, self._decoder(way.decoder), self._certificates, (note,))

    def _engine(self, name: str, precision: str) -> Engine | None:
        """Make an engine once; None where this machine or this network cannot have it."""
        key = (name, precision)
        if key not in self._engines:
            make = {"torch": self._torch, "inductor": self._compiled, "openvino": self._converted}
            self._engines[key] = make[name](precision)
        return self._engines[key]

    def _torch(self, precision: str, compiled: bool = False) -> Engine:
        from featx.forward.torch_engine import TorchEngine

        size = self._asked.batch_size
        engines = [
            TorchEngine(self._backbone, device, precision, size, compiled=compiled)
            for device in self._devices
        ]
        return engines[0] if len(engines) == 1 else EngineGroup(engines)

    def _compiled(self, precision: str) -> Engine | None:
        try:
            return self._torch(precision, compiled=True)
        except UnrunnableError as error:
            why = f"torch cannot compile this backbone here: {error}"
            self._refused.append(Refused(why, DeviceError))
            return None

    def _converted(self, precision: str) -> Engine | None:
        from featx.forward.openvino_engine import OpenVINOEngine

        if self._openvino is None and any(name == "openvino" for name, _ in self._engines):
            return None  # it could not be converted for another precision
        try:
            if self._openvino is None:
                size = self._asked.batch_size
                self._openvino = OpenVINOEngine(self._backbone, precision, size)
            return self._openvino.in_precision(precision)
        except UnrunnableError as error:
            why = f"OpenVINO cannot run this backbone: {error}"
            self._refused.append(Refused(why, DeviceError))
            return None

    @cached_property
    def _devices(self) -> list[str]:
        from featx.forward.devices import each_device

        return each_device(self._asked.device)

    @cached_property
    def _sample(self) -> Sample:
        return self._ask_sample() if self._ask_sample else Sample(np.empty((0, 1, 1, 3), np.uint8))

    @cached_property
    def _expected(self) -> list[Array]:
        from featx.forward.torch_engine import TorchEngine

        device = self._devices[0]
        cpu = device == "cpu"
        size = self._asked.batch_size or (None if cpu else ROWS)
        reference = TorchEngine(self._backbone, device, "fp32", size, channels_last=cpu)
        return reference(self._sample.images[:ROWS])

    def _certified(self, engine: Engine, decoder: str) -> list[Certificate]:
        """Certify an engine at the batch size that suits it; nothing where there are no images."""
        images = self._by(decoder)[:ROWS]
        if not len(images):
            return []
        if self._asked.batch_size is None and engine.provenance["engine"] != "inductor":
            engine = sized(engine, images, self._n_images)
        return certify(self._backbone, engine(images), self._expected, engine.batch_size)

    def _recalled(self, keys: list[str]) -> list[Certificate]:
        """Give the certificates made earlier, if all are there and made of enough images."""
        if not all(key in self._known for key in keys):
            return []
        found = [Certificate.from_json(self._known[key]) for key in keys]
        return found if all(c.rows >= ROWS for c in found) else []


def _keys(backbone: Backbone, engine: Engine, decoder: Decoder) -> list[str]:
    """Name what certificates hold for: recipe, engine, versions, device, precision, decoder."""
    made = engine.provenance
    versions = (made.get("openvino", ""), made["torch"], *decoder.versions.values())
    parts = (made["engine"], *versions, made["device"], engine.precision, decoder.name)
    rest = " ".join(str(part) for part in parts if part)
    return [f"{recipe.hash} {rest}" for recipe, *_ in backbone.recipes()]
