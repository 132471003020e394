"""Whether a head fitted on features of another precision says something else.

    featx extract FOLDER --backbone vgg16 --cache A --precision fp32
    featx extract FOLDER --backbone vgg16 --cache B
    python benchmarks/agreement.py DATA A B

Fits an SVM on the data set DATA of both caches, at three values of C and with C searched in inner
folds, in the same five folds, and counts the out-of-fold predictions that differ.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import numpy as np
import pandas as pd

from featx.features import load
from featx.fitting import fit


def predictions(data: str, cache: str, **options: Any) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as out:
        return fit(head="svm", data=data, cache=cache, out=out, **options).predictions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("caches", nargs=2)
    options = parser.parse_args()
    a, b = (load(options.data, cache=cache).X for cache in options.caches)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.einsum("ij,ij->i", a, b) / norms
    print(f"{len(a)} vectors: cosine at least {cosine.min():.5f}, mean {cosine.mean():.5f}")
    for more in ({"set": {"C": 1e-5}}, {"set": {"C": 1e-4}}, {"set": {"C": 1e-2}}, {}):
        pair = [predictions(options.data, cache, **more) for cache in options.caches]
        both = pair[0].merge(pair[1], on="path", suffixes=("_a", "_b"))
        differ = int((both["prediction_a"] != both["prediction_b"]).sum())
        share = 100 * differ / len(both)
        print(f"{more or 'C searched'}: {differ} of {len(both)} differ ({share:.2f} %)")


if __name__ == "__main__":
    main()
