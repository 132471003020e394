"""The words of ``featx stats``, in 80 columns as far as names allow."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from featx.cli.text import count, one_line, size, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featx._types import JsonObject

_GROUPS, _PATHS, _FAILED = 3, 4, 5
"""Groups of copies, paths of each, and images that failed: so many are named."""
_CLASSES = 20
"""Classes that are all listed; of more, those at both ends."""


def lines(value: JsonObject) -> Iterator[str]:
    """Say everything, block by block."""
    yield from _images(value)
    yield from _failed(value)
    yield from _sizes(value)
    yield from _pixels(value)
    for target in value["targets"]:
        yield from _TARGETS[target["task"]](target)
    if not value["targets"] and value["columns"]:
        yield "no column 'label': --target COL counts the classes of another one"
    yield from _columns(value["columns"])
    yield from _copies(value)
    yield from (f"note: {note}" for note in value["notes"])


def _images(value: JsonObject) -> Iterator[str]:
    parts = [count(value["images"], "image")]
    if value["files"] != value["images"]:
        parts.append(f"{count(value['files'], 'file')} named by these rows")
    if value["bytes"] is not None:
        parts.append(size(value["bytes"]))
    if value["ignored"]:
        parts.append(f"{count(value['ignored'], 'other file')} left out")
    yield from _wrapped(f"{value['data']}: {', '.join(parts)}", "  ")
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in value["kinds"].items())
    yield from _wrapped(f"  formats: {kinds or 'none'}", "    ")


def _failed(value: JsonObject) -> Iterator[str]:
    groups = {
        "failed": [one for one in value["failed"] if not one["needs_option"]],
        "need an option to be read": [one for one in value["failed"] if one["needs_option"]],
    }
    for what, failed in groups.items():
        if failed:
            yield f"{len(failed):,} of {count(value['images'], 'image')} {what}:"
            for one in failed[:_FAILED]:
                yield from _wrapped(f"  {one['path']}: {one['reason']}", "    ")
            yield from _more(len(failed) - _FAILED)


def _sizes(value: JsonObject) -> Iterator[str]:
    sizes = value["sizes"]
    if sizes is None:
        return
    names = {"width": ".0f", "height": ".0f", "aspect": ".3f"}
    rows = [
        [name, *(_number(sizes[name][key], form) for key in ("min", "median", "max"))]
        for name, form in names.items()
    ]
    yield ""
    yield from table(["size", "min", "median", "max"], rows, right=[1, 2, 3])
    often = (f"{s['width']} x {s['height']} ({s['images']:,})" for s in sizes["frequent"])
    n = f"{sizes['distinct']:,} sizes, most often" if sizes["distinct"] > 1 else "all"
    yield from _wrapped(f"  {n} {', '.join(often)}", "    ")


def _pixels(value: JsonObject) -> Iterator[str]:
    if value["pixels"] is None:
        return
    split = value["split"]
    rows = [_pixel_row("all", value["pixels"])]
    best, whose = value["pixels"], ""
    if split is not None:
        best, whose = split["train_pixels"], ", from the training rows alone"
        rows += [] if best is None else [_pixel_row("train", best)]
    yield ""
    header = ["pixels", *(f"{what} {c}" for what in ("mean", "std") for c in "RGB")]
    yield from table(header, rows, right=range(1, 7))
    if best is not None:
        mean, std = (", ".join(f"{v:.4f}" for v in best[key]) for key in ("mean", "std"))
        yield f"  Normalize(mean=[{mean}],"
        yield f"            std=[{std}]){whose}"
    if split is not None:
        counts = ", ".join(f"{side} {n:,}" for side, n in split["rows"].items())
        yield from _wrapped(f"  split by column {split['column']!r}: {counts} rows", "    ")


def _pixel_row(name: str, pixels: JsonObject) -> list[str]:
    return [name, *(f"{v:.4f}" for key in ("mean", "std") for v in pixels[key])]


def _classes(target: JsonObject) -> Iterator[str]:
    counts = list(target["counts"].items())
    yield ""
    classes = count(len(counts), "class", "classes")
    head = f"{target['column']}: {classes} in {count(target['rows'], 'row')}"
    yield from _wrapped(f"{head}, {target['missing']:,} without", "  ")
    if not counts:
        return
    ends = (
        f"{words} {target[key]['class']} with {target[key]['rows']:,} "
        f"({100 * target[key]['share']:.1f} %)"
        for words, key in (("most frequent", "most_frequent"), ("rarest", "rarest"))
    )
    yield from _wrapped(f"  {'; '.join(ends)}", "    ")
    half = _CLASSES // 2
    each = [f"{name} {n:,}" for name, n in counts]
    shown = each if len(each) <= _CLASSES else [*each[:half], "...", *each[-half:]]
    yield from _wrapped(f"  {', '.join(shown)}", "    ")


def _amounts(target: JsonObject) -> Iterator[str]:
    strange = target["no_number"]
    yield ""
    head = (
        f"{target['column']}: {count(target['rows'], 'number')}, {target['missing']:,} rows without"
    )
    yield from _wrapped(head, "  ")
    if strange:
        named = ", ".join(repr(text) for text in list(strange)[:_FAILED])
        n = sum(strange.values())
        yield from _wrapped(f"  no number in {count(n, 'row')}, but {named}", "    ")
    keys = ("mean", "std", "min", "q1", "median", "q3", "max")
    yield from table(["", *keys], [["", *(f"{target[key]:.6g}" for key in keys)]], range(1, 8))


_TARGETS = {"classification": _classes, "regression": _amounts}


def _columns(columns: Sequence[JsonObject]) -> Iterator[str]:
    if not columns:
        return
    yield ""
    keys = ("column", "kind", "distinct", "missing")
    rows = [[f"{v:,}" if isinstance(v := c[key], int) else v for key in keys] for c in columns]
    yield from table(keys, rows, right=[2, 3])


def _copies(value: JsonObject) -> Iterator[str]:
    copies = value["copies"]
    yield ""
    yield from _groups("files with the same bytes", copies["same_bytes"])
    yield from _groups("the same pixels in other bytes", copies["same_pixels"])
    for column, found in copies["contradicting"].items():
        if found:
            yield from _clashes(f"images that have several values of {column!r}", found)
    if value["split"] is not None:
        yield from _clashes("images on several sides of the split", copies["across_split"])
    yield "near-duplicates take features to find: `featx fit` reports them"


def _groups(what: str, groups: Sequence[Sequence[str]]) -> Iterator[str]:
    if not groups:
        yield f"{what}: none"
        return
    n = sum(map(len, groups))
    yield f"{what}: {count(len(groups), 'group')} of {n:,} files in all"
    for group in groups[:_GROUPS]:
        yield from _wrapped(f"  {_paths(group)}", "    ")
    yield from _more(len(groups) - _GROUPS)


def _clashes(what: str, found: Sequence[JsonObject]) -> Iterator[str]:
    yield from _wrapped(f"{what}: {len(found):,}" if found else f"{what}: none", "  ")
    for one in found[:_GROUPS]:
        shown = ", ".join(one["values"][:_PATHS])
        yield from _wrapped(f"  {_paths(one['paths'])}: {shown}", "    ")
    yield from _more(len(found) - _GROUPS)


def _paths(group: Sequence[str]) -> str:
    more = f" and {len(group) - _PATHS:,} more" if len(group) > _PATHS else ""
    return " = ".join(group[:_PATHS]) + more


def _more(n: int) -> Iterator[str]:
    if n > 0:
        yield f"  and {n:,} more (--json has all)"


def _number(value: float, form: str) -> str:
    return f"{value:.1f}" if form == ".0f" and value != int(value) else f"{value:{form}}"


def _wrapped(text: str, indent: str) -> list[str]:
    r"""Break at spaces; what could break a line of its own is escaped first."""
    return wrap(
        one_line(text), 79, subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
