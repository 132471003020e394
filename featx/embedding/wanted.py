"""The vectors of a source under several recipes, side by side: each network is run once.

Recipes of one network (the same weights, size and preprocessing) that differ in layer and pooling
alone come out of one pass. Each further network takes a pass over the images of its own, with what
reading and decoding them costs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from featx.embedding.memory import Embedded, embed_each
from featx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from featx._objects import Place
    from featx._types import Progress
    from featx.backbones import BackboneRequest
    from featx.embedding.passes import How
    from featx.recipe import Recipe
    from featx.sources import Source


@dataclass(frozen=True)
class Wanted:
    """Recipes that one network gives in one pass.

    Attributes
    ----------
    request
        The network with all their layers and poolings; combinations that are in no recipe are
        left aside.
    """

    request: BackboneRequest
    recipes: tuple[Recipe, ...]


def group_recipes(each: Iterable[tuple[BackboneRequest, Recipe]]) -> tuple[Wanted, ...]:
    """Put recipes together that one network gives; their own layers and poolings count."""
    groups: dict[BackboneRequest, list[Recipe]] = {}
    for request, recipe in each:
        groups.setdefault(replace(request, layers=(), poolings=()), []).append(recipe)
    return tuple(
        Wanted(
            replace(
                request,
                layers=tuple(dict.fromkeys(recipe.layer for recipe in recipes)),
                poolings=tuple(dict.fromkeys(recipe.pooling for recipe in recipes)),
            ),
            tuple(recipes),
        )
        for request, recipes in groups.items()
    )


def embed_wanted(
    source: Source,
    wanted: Sequence[Wanted],
    order: Sequence[Recipe],
    cache: Place,
    how: How,
    progress: Progress,
) -> Embedded:
    """Give the vectors of a source under every recipe, side by side in ``order``.

    An image that has no vector under one of them has none at all; the first reason is given.

    Raises
    ------
    UsageError
        If one recipe takes more items (pages, channels) out of an image than another.
    FeatxError
        As `featx.embedding.embed`.
    """
    how = replace(how, kept=len(wanted))
    found = [
        one
        for group in wanted
        for one in embed_each(source, group.request, cache, how, progress, group.recipes)
    ]
    by_recipe = {one.recipes[0].hash: one for one in found}
    return side_by_side([by_recipe[recipe.hash] for recipe in order])


def side_by_side(found: Sequence[Embedded]) -> Embedded:
    """Put the vectors of one source under several recipes side by side; as `embed_wanted`."""
    first = found[0]
    if len(found) == 1:
        return first
    for one in found[1:]:
        if not np.array_equal(one.manifest.item, first.manifest.item):
            raise UsageError(
                f"{one.recipes[0].label} takes other pages or channels out of these images than "
                f"{first.recipes[0].label}, so their vectors cannot be put side by side; fit a "
                "head on kinds of features that agree in --page and --channels"
            )
    reasons = [
        next((reason for reason in row if reason is not None), None)
        for row in zip(*(one.reasons for one in found), strict=True)
    ]
    good = np.array([reason is None for reason in reasons], dtype=bool)
    return Embedded(
        X=np.hstack([one.X[one.row_of[good]] for one in found]),
        row_of=np.where(good, np.cumsum(good) - 1, -1),
        manifest=first.manifest,
        reasons=reasons,
        recipes=tuple(recipe for one in found for recipe in one.recipes),
    )
