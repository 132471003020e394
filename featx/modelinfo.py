"""What ``model.json`` says: which head was fitted on what, and how images become its vectors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypeAlias

from featx._types import JsonObject
from featx.errors import RecipeMismatchError
from featx.recipe import Recipe

SCHEMA_VERSION = 2
"""A head on several kinds of features has 2; one kind has 1, which any featx reads."""

INFO_FILE = "model.json"
Label: TypeAlias = str | int | float | bool


@dataclass(frozen=True)
class Part:
    """One kind of features that a head takes.

    Attributes
    ----------
    recipe
        How an image becomes such a vector.
    source
        How to rebuild the backbone of the recipe: names and paths, no weights.
    """

    recipe: Recipe
    source: JsonObject

    def to_json(self) -> JsonObject:
        """Give it as a JSON object."""
        return {
            "source": self.source,
            "recipe": self.recipe.to_json(),
            "recipe_hash": self.recipe.hash,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Part:
        """Rebuild what `to_json` gave.

        Raises
        ------
        RecipeMismatchError
            If the recipe is not the one that was written.
        """
        recipe = Recipe.from_json(value["recipe"])
        if recipe.hash != value["recipe_hash"]:
            raise RecipeMismatchError(
                f"the recipe in {INFO_FILE} was changed by hand: its hash is {recipe.hash}, "
                f"{value['recipe_hash']} was written; fit the head again"
            )
        return cls(recipe, value["source"])


@dataclass(frozen=True)
class ModelInfo:
    """What a head needs so that it can be used on new images.

    Attributes
    ----------
    head, task, target, scale
        As they were given to ``featx fit``.
    classes
        In the order of the score columns; empty for a regression.
    dim
        Length of the vectors that the head takes.
    recipe, source
        See `Part`; of the first kind of features.
    data, manifest, group
        Name and hash of the data set that it was fitted on, and its column of groups, if any.
    lower_is_better
        Whether low values of the target mean good.
    versions
        Of featx, Python, NumPy and scikit-learn when it was fitted.
    others
        Further kinds, whose vectors come after those of the first, in this order.
    views
        How many views of an image it was fitted on: what it says of as many is averaged.
    """

    head: str
    task: str
    target: str
    scale: str
    classes: tuple[Label, ...]
    dim: int
    recipe: Recipe
    source: JsonObject
    data: str
    manifest: str
    versions: dict[str, str]
    group: str | None = None
    lower_is_better: bool = False
    others: tuple[Part, ...] = ()
    views: int = 1

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every kind of features, in the order of the vector."""
        return (Part(self.recipe, self.source), *self.others)

    @property
    def label(self) -> str:
        """The short names of all kinds, joined by a plus."""
        return " + ".join(part.recipe.label for part in self.parts)

    def to_json(self) -> JsonObject:
        """Give it as a JSON object with the schema version."""
        fields = [f.name for f in dataclasses.fields(self) if f.name not in _OF_PARTS]
        values = {name: getattr(self, name) for name in fields} | {"classes": list(self.classes)}
        parts = [part.to_json() for part in self.parts]
        return {
            "schema": SCHEMA_VERSION if self.others else 1,
            "features": self.label,
            **values,
            **({"parts": parts} if self.others else parts[0]),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> ModelInfo:
        """Rebuild what `to_json` gave; unknown entries are left aside."""
        names = [f.name for f in dataclasses.fields(cls) if f.name not in _OF_PARTS]
        fields = {name: value[name] for name in names if name in value}
        first, *others = map(Part.from_json, value.get("parts", [value]))
        return cls(
            **fields | {"classes": tuple(fields["classes"])},
            recipe=first.recipe,
            source=first.source,
            others=tuple(others),
        )


_OF_PARTS = ("recipe", "source", "others")
