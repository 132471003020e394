"""Write a view into one file for people without featx: vectors, paths and every column."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from featx._files import replacing
from featx.errors import MissingDependencyError, UsageError, unknown_name
from featx.tables import free_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from featx._types import Array, JsonObject
    from featx.features import Features


def export(features: Features, to: str, output: Path) -> Path:
    """Write a view to ``output`` in the format ``to``, whole or not at all.

    Parameters
    ----------
    features
        What to write: vectors as stored, in the data set's order; failed images are left out.
    to
        ``npz``, ``parquet``, ``csv``, ``zarr`` or ``h5ad``.
    output
        The file, or for zarr the folder; it must not exist.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    UsageError
        If ``output`` exists.
    MissingDependencyError
        If the format needs a package that is not installed.
    CacheWriteError
        If it cannot be written.
    """
    if to not in FORMATS:
        raise unknown_name("export format", to, FORMATS)
    if output.exists():
        raise UsageError(f"{output.absolute()} exists; name another file with --output")
    with replacing(output) as temporary:
        FORMATS[to](features, temporary)
    return output


def _npz(features: Features, path: Path) -> None:
    arrays = {"X": features.raw, "recipe": np.array(_recipe(features))}
    for name, values in features.frame.items():
        arrays[free_name(str(name), [*arrays, "file", "allow_pickle"])] = _plain(values)
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _parquet(features: Features, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    x = np.ascontiguousarray(features.raw)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), x.shape[1])
    table = pa.Table.from_pandas(features.frame, preserve_index=False)
    table = table.append_column(free_name("features", list(features.frame.columns)), vectors)
    pq.write_table(table.replace_schema_metadata({"featx": _recipe(features)}), path)


def _csv(features: Features, path: Path) -> None:
    import pandas as pd

    x = features.X
    taken = list(features.frame.columns)
    names = [free_name(f"f{i}", taken) for i in range(x.shape[1])]
    vectors = pd.DataFrame(x, columns=names)
    pd.concat([features.frame, vectors], axis=1).to_csv(path, index=False, encoding="utf-8")


def _zarr(features: Features, path: Path) -> None:
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("X", data=features.raw)
    columns: dict[str, str] = {}
    for name, values in features.frame.items():
        key = free_name(_key(str(name)), list(columns))
        columns[key] = str(name)
        group.create_array(f"columns/{key}", data=_plain(values))
    group.attrs.update(_recipes(features) | {"data": features.name, "columns": columns})


def _h5ad(features: Features, path: Path) -> None:
    try:
        import anndata
    except ImportError as error:
        raise MissingDependencyError(
            "h5ad needs anndata: pip install 'featx[h5ad]'; or choose another format"
        ) from error
    import pandas as pd

    columns: dict[str, Array] = {}
    for name, values in features.frame.items():
        # anndata keeps _index for itself, and takes a slash for a group of HDF5
        columns[free_name(str(name).replace("/", "_"), [*columns, "_index"])] = _plain(values)
    obs = pd.DataFrame(columns)
    obs.index = obs.index.astype(str)
    data = anndata.AnnData(X=features.X, obs=obs, uns={"featx_recipe": _recipe(features)})
    data.write_h5ad(path)


def _recipe(features: Features) -> str:
    return json.dumps({"data": features.name} | _recipes(features), sort_keys=True)


def _recipes(features: Features) -> JsonObject:
    recipes = [kind.recipe.to_json() for kind in features.kinds]
    return {"recipe": recipes[0]} if len(recipes) == 1 else {"recipes": recipes}


def _plain(values: pd.Series[Any]) -> Array:
    """A column as an array that needs no pickle: text where it is not numbers; empty for none."""
    array = values.to_numpy()
    if array.dtype.kind in "biuf":
        return array
    cells = ["" if empty else str(v) for v, empty in zip(values, values.isna(), strict=True)]
    return np.array(cells, dtype=np.str_)


def _key(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-." else "_" for c in name) or "_"


FORMATS: dict[str, Callable[[Features, Path], None]] = {
    "npz": _npz,
    "parquet": _parquet,
    "csv": _csv,
    "zarr": _zarr,
    "h5ad": _h5ad,
}
