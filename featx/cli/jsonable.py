"""Turn a result into what JSON can say, without importing what made it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any


def dumps(value: Any) -> str:
    """Give one line of strict JSON in ASCII, which every terminal and pipe can carry."""
    return json.dumps(jsonable(value), allow_nan=False)


def jsonable(value: Any) -> Any:
    """Give ``value`` as JSON's own types: what is not finite becomes null, a path its text.

    numpy's arrays and scalars are known by ``tolist``, results by ``to_json``.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return _compound(value)


def _compound(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return jsonable(value.to_json())
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, Mapping):
        return {str(jsonable(key)): jsonable(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [jsonable(item) for item in value]
    return jsonable(value.hex() if isinstance(value, bytes) else str(value))
