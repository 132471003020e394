"""Build the backbones of a saved model again, and check that they are those of its fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones import BackboneRequest, resolve
from featx.catalog import fits_recipe
from featx.embedding import Wanted, group_recipes
from featx.errors import RecipeMismatchError, UsageError, WeightsNotFoundError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._objects import Place
    from featx._types import Progress
    from featx.modelinfo import ModelInfo, Part
    from featx.recipe import Recipe


def wanted_of(info: ModelInfo, weights: Any, backbone: Any) -> tuple[Wanted, ...]:
    """Give the networks of a model, each with what it is to give.

    Parameters
    ----------
    weights, backbone
        As `featx.model.load_model` takes them.

    Raises
    ------
    UsageError
        If one of them is given for a model of several backbones without the name of its own.
    UnknownNameError
        If a name is no backbone of the model.
    """
    files, modules = _by_part(info, "weights", weights), _by_part(info, "backbone", backbone)
    return group_recipes(map(_request, info.parts, modules, files))


def placed(info: ModelInfo, folder: Path) -> ModelInfo:
    """Give the info with the place of weights that lie in the model's own folder."""
    file = str(info.source.get("weights"))
    if Path(file).name != file or not (folder / file).is_file():
        return info
    return replace(info, source=info.source | {"weights": str((folder / file).absolute())})


def _request(part: Part, module: Any, weights: Any) -> tuple[BackboneRequest, Recipe]:
    request = BackboneRequest.from_json(part.source, module)
    if weights is not None:
        request = replace(request, weights=str(weights))
    return request, part.recipe


def _by_part(info: ModelInfo, what: str, given: Any) -> list[Any]:
    """Give what was named for each kind of features, None where nothing was."""
    recipes = [part.recipe for part in info.parts]
    names = list(dict.fromkeys(recipe.backbone for recipe in recipes))
    if not isinstance(given, Mapping):
        if given is not None and len(names) > 1:
            raise UsageError(
                f"{what} for one backbone, but the model has {len(names)}: {', '.join(names)}; "
                f"say which one is meant: --{what} {names[0]}=..., "
                f"in Python {what}={{{names[0]!r}: ...}}"
            )
        return [given] * len(recipes)
    for name in given:
        if not any(fits_recipe(name, recipe) for recipe in recipes):
            raise unknown_name("backbone", name, names)
    return [next((v for k, v in given.items() if fits_recipe(k, r)), None) for r in recipes]


def check_recipes(wanted: Sequence[Wanted], model: str, cache: Place, progress: Progress) -> None:
    """Raise if a backbone is not here, or is not the one that the head was fitted on.

    Parameters
    ----------
    model
        Its name, for the message.

    Raises
    ------
    WeightsNotFoundError
        If the weights are not where they were.
    RecipeMismatchError
        If the backbone here gives other vectors; names each field.
    """
    names = {recipe.backbone for group in wanted for recipe in group.recipes}
    for group in wanted:
        name = group.recipes[0].backbone
        option = "--weights FILE" if len(names) == 1 else f"--weights {name}=FILE"
        try:
            found = resolve(group.request, cache, progress).recipes
        except WeightsNotFoundError as error:
            raise type(error)(
                f"{error}; if the weights of {model} lie elsewhere now, say where with {option}"
            ) from error
        here = {(recipe.layer, recipe.pooling): recipe for recipe in found}
        for recipe in group.recipes:
            one = here.get((recipe.layer, recipe.pooling), found[0])
            if fields := one.differences(recipe, "here", "in the model"):
                of = "" if len(names) == 1 else f" for {recipe.label}"
                raise RecipeMismatchError(
                    f"the backbone here is not the one that {model} was fitted on{of}: "
                    f"{'; '.join(fields)}; give the weights that it was fitted on ({option}), "
                    "or fit a head on features of these"
                )
