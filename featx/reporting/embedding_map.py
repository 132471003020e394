"""The embeddings in two dimensions: principal components, from inner products of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

from featx.gram import StoreVectors, build_gram

if TYPE_CHECKING:
    from featx._types import Float64s, Ints
    from featx.features import Features

MOST = 2_000
"""Rows that are shown: their inner products take 0.03 GB, and more dots only hide each other."""


@dataclass(frozen=True, eq=False)
class Map:
    """Rows in the plane.

    Attributes
    ----------
    rows
        (m,) rows of the view that are shown.
    xy
        (m, 2) coordinates along the first two principal components.
    share
        Of the variance, that these two hold.
    """

    rows: Ints
    xy: Float64s
    share: float


def map_of(features: Features, rows: Ints, seed: int = 0) -> Map:
    """Put rows into the plane.

    The coordinates are those of principal component analysis, computed as classical scaling does
    (Torgerson 1952): ``G`` holds the inner products of the centred rows, ``G u = l u``, and a row
    lies at ``sqrt(l) u``. Of several kinds of features each is divided by its variance.

    Parameters
    ----------
    rows
        (n,) rows of the view; of more than 2,000 a random part is taken.
    """
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    total = np.zeros((len(rows), len(rows)))
    for kind in features.kinds:
        vectors = StoreVectors(kind.store, kind.rows[rows])
        G = _centred(build_gram(vectors).values)
        total += G / max(np.trace(G), np.finfo(float).tiny)
    m = len(rows)
    values, vectors_ = eigh(total, subset_by_index=[max(0, m - 2), m - 1])
    l, U = values[::-1], vectors_[:, ::-1]  # noqa: E741  # the formula's letter
    U = U * np.where(U[np.abs(U).argmax(axis=0), np.arange(U.shape[1])] < 0, -1.0, 1.0)
    share = float(np.clip(l, 0, None).sum() / max(np.trace(total), np.finfo(float).tiny))
    return Map(rows, U * np.sqrt(np.clip(l, 0, None)), share)


def _centred(G: Float64s) -> Float64s:
    """Give the inner products of rows less their mean."""
    G = np.asarray(G, dtype=np.float64)
    means = G.mean(axis=0)
    centred: Float64s = G - means - means[:, None] + means.mean()
    return centred
