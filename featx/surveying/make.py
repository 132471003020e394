"""Read a set of images once, and say what it is like."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from featx._types import Silent
from featx.images import check_preprocess
from featx.recipe import Preprocess
from featx.sources import open_source
from featx.surveying.reading import files_of, see_all
from featx.surveying.result import Copies, Sides, Stats
from featx.surveying.table import describe_columns, describe_targets, find_split, target_names
from featx.surveying.tally import Tally
from featx.tallies import clashes, describe_sizes, groups_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featx._types import PathLike, Progress
    from featx.sources import Entry
    from featx.surveying.reading import File


def stats(
    data: Any,
    *,
    target: str | Sequence[str] = (),
    split: str | None = None,
    missing: Sequence[str] = (),
    name: str | None = None,
    limit: int | None = None,
    limit_per_class: int | None = None,
    seed: int = 0,
    path_column: str | None = None,
    root: PathLike | None = None,
    intensity: str = "",
    channels: str = "",
    page: str = "",
    reader: str = "",
    progress: Progress | None = None,
) -> Stats:
    """Say what a set of images is like, in one pass over its files.

    Each file is read and decoded once, in threads; what is kept of it are two digests, so that
    memory does not grow with the pixels. Nothing is written.

    Parameters
    ----------
    data
        Images as `featx.extract` takes them.
    target
        Columns to count classes or describe numbers of; ``label``, where it is there, unless said.
    split
        Column that says which rows train. Unless said, it is found by its values (train, test ...);
        folders called train, val and test are the column ``split``.
    missing
        Values that mean "unknown", in every column.
    name, limit, limit_per_class, seed, path_column, root
        As `featx.extract` takes them; a limit counts the classes of the first target.
    intensity, channels, page, reader
        As `featx.extract` takes them: how to read what has more than 8 bits, other channels or
        several pages. Such images are counted as failed without them, and say which is needed.
    progress
        What to report to.

    Returns
    -------
    Stats

    Notes
    -----
    Pixels are those that featx sees: upright, red, green and blue, on white where transparent; at
    the images' own size, so that a large image counts for more. A file that several rows name is
    read once, and its pixels count once for each of them.

    Raises
    ------
    UsageError
        If an argument has a value that does not fit.
    UnknownNameError, TargetError
        If a column is not there, or is not what it is taken for.
    SourceError, SourceNotFoundError, SourceReadError
        If the data cannot be understood, found or read.
    """
    pre = Preprocess(intensity=intensity, channels=channels, page=page, reader=reader)
    check_preprocess(pre)
    asked = [target] if isinstance(target, str) else list(target)
    source = open_source(
        data, name=name, path_column=path_column, root=root, limit=limit,
        limit_per_class=limit_per_class, label_column=asked[0] if asked else None, seed=seed,
        every_file=bool(reader), progress=progress,
    )  # fmt: skip
    frame = source.frame
    names = target_names(frame, asked)
    column, sides, note = find_split(frame, split, names)
    described = describe_targets(frame, names, missing)
    files = files_of(source.entries)
    tally = Tally(sides)
    for file, seen in see_all(files, pre, progress or Silent()):
        tally.add(file, seen)
    values = {one.column: texts for one, texts in described}
    return Stats(
        data=source.name,
        description=source.description,
        images=len(source.entries),
        files=len(files),
        ignored=source.ignored,
        size_bytes=tally.size_bytes,
        failed=tuple(failed for _, failed in sorted(tally.failed, key=lambda pair: pair[0])),
        kinds=dict(tally.kinds.most_common()),
        sizes=describe_sizes(tally.sizes),
        pixels=tally.pixels.describe(),
        sides=None if column is None else _described_sides(column, sides, tally),
        targets=tuple(one for one, _ in described),
        columns=tuple(describe_columns(frame, missing)),
        copies=_copies(source.entries, files, tally, values, sides),
        notes=(note,) if note else (),
    )


def _described_sides(column: str, sides: Sequence[str | None], tally: Tally) -> Sides:
    counts = Counter(side for side in sides if side is not None)
    known = {side: counts[side] for side in ("train", "val", "test") if counts[side]}
    return Sides(column, known, tally.train.describe())


def _copies(
    entries: Sequence[Entry],
    files: Sequence[File],
    tally: Tally,
    values: Mapping[str, Sequence[str | None]],
    sides: Sequence[str | None],
) -> Copies:
    """Find files that are alike, and images whose rows do not agree."""
    alike = groups_of(tally.pixels_of)
    differ = [group for group in alike if len({tally.bytes_of[i] for i in group}) > 1]
    same = groups_of(tally.bytes_of)
    rows = [file.rows for file in files]
    images = [rows_of(group, rows) for group in alike]
    in_one = {i for group in alike for i in group}
    images += [named for i, named in enumerate(rows) if len(named) > 1 and i not in in_one]
    shown = [file.entry.path for file in files]
    return Copies(
        same_bytes=tuple(tuple(shown[i] for i in group) for group in same),
        same_pixels=tuple(tuple(shown[i] for i in group) for group in differ),
        contradicting={name: tuple(clashes(images, texts)) for name, texts in values.items()},
        across=tuple(clashes(images, sides)),
        paths=tuple(entry.path for entry in entries),
    )
