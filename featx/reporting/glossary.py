"""What the words on a page mean: those that it uses, one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx.metrics.meanings import MEANINGS
from featx.reporting.parts import Section, Sheet
from featx.reporting.text import sentence
from featx.scoreboard import NEW_FITS, NEW_IMAGES

if TYPE_CHECKING:
    from collections.abc import Iterable

_INTERVAL = (
    "range of values that the data do not contradict: built anew from other images many times, 95 "
    "of 100 such ranges would hold the true value"
)
WORDS = {
    "precision": "share of the images called so that are of the class",
    "recall": "share of a class's images that were called so",
    "F1": "2 · precision · recall / (precision + recall) of a class",
    "mean ± std": "mean over the splits, and the standard deviation of one split's value",
    "95 %": _INTERVAL,
    NEW_IMAGES: "the 95 % interval for other test images, the heads as they are",
    NEW_FITS: "the wider one, for other training images, too: the one to quote",
    "baseline": "what an answer gets that ignores the images",
    "split": "one way of dividing the images into those that train and those that test",
    "nested": (
        "parameters were chosen inside the training images of each split, so that no test image "
        "had a part in the choice"
    ),
    "p": (
        "how often a difference this large would be seen where there is none; below 0.05 is taken "
        "for real"
    ),
    "Holm": "a correction of p that keeps several tests at once from finding what is not there",
    "head": "what is trained on the vectors, such as a ridge or a support vector machine",
    "layer": "the place in the network where an image's vector is taken from",
    "depth": "layers with weights up to that place",
}
"""What is no metric, in the order of the page."""

OF_MEANS = ("mean ± std", "95 %", "split", "head")
OF_SCORES = (*OF_MEANS, NEW_IMAGES, NEW_FITS, "baseline")
OF_CLASSES = ("precision", "recall", "F1")
OF_TESTS = ("95 %", "p", "Holm", "head")
OF_LAYERS = ("layer", "depth")


def glossary(used: Iterable[str]) -> Section:
    """Explain metrics, by their names, and words of `WORDS`; each once, metrics first."""
    known = {**MEANINGS, **WORDS}
    asked = set(used)
    rows = tuple((word, sentence(known[word])) for word in known if word in asked)
    sheet = Sheet("y: the target, p: the prediction", ("word", "meaning"), rows)
    return Section("words", "What the words mean", (), (sheet,))
