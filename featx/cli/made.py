"""What the vectors of a store were computed with, and by which certificate, in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx._words import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featx._types import JsonObject


def run_lines(runs: Sequence[JsonObject]) -> Iterator[str]:
    """Give one line for the runs that computed alike; those whose rows are all gone have none.

    Parameters
    ----------
    runs
        As `featx.manage.info` gives them.
    """
    blocks: dict[str, list[list[int]]] = {}
    for run in runs:
        if run["rows"]:
            blocks.setdefault(_how(run), []).extend(run["blocks"])
    for how, ranges in blocks.items():
        yield f"{_ranges(ranges)}: {how}"


def _ranges(ranges: Sequence[list[int]]) -> str:
    """Say block numbers: ``block 3``, ``blocks 0-37``, ``blocks 0-2, 5``."""
    joined: list[list[int]] = []
    for start, stop in sorted(ranges):
        if joined and joined[-1][1] == start:
            joined[-1][1] = stop
        elif stop > start:
            joined.append([start, stop])
    words = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in joined]
    one = len(joined) == 1 and joined[0][1] == joined[0][0] + 1
    return f"{'block' if one else 'blocks'} {', '.join(words)}"


def _how(run: JsonObject) -> str:
    if run["engine"] == "":
        return "not recorded"
    if run["engine"] == "derived":
        return "pooled from the flattened store"
    turned_down = "".join(f"; {_turned_down(one, run)}" for one in run["turned_down"])
    return f"{_way(run)}, {_proof(run)}{turned_down}"


def _way(run: JsonObject) -> str:
    """Say ``openvino 2026.4 bf16 on cpu, decoder pil``, with other libraries in parentheses."""
    versions = dict(run["versions"])
    own = versions.pop(run["engine"], "")
    words = " ".join(word for word in (run["engine"], own, run["precision"]) if word)
    others = "".join(f" ({name} {version})" for name, version in versions.items())
    device = f" on {run['device']}" if run["device"] else ""
    return f"{words}{device}{others}, decoder {run['decoder']}"


def _proof(run: JsonObject) -> str:
    if run["reference"]:
        return "reference arithmetic"
    found = run["certificate"]
    if found is None:
        return "no certificate"
    return (
        f"certificate: minimum cosine {_cosine(found['min_cosine'])}, mean "
        f"{_cosine(found['mean_cosine'])}, relative error {100 * found['relative_error']:.2g} % "
        f"over {count(found['rows'], 'image')}"
    )


def _turned_down(one: JsonObject, run: JsonObject) -> str:
    """Name another way by engine and precision, and by its decoder where that is another."""
    decoder = "" if one["decoder"] == run["decoder"] else f" with decoder {one['decoder']}"
    low = one["min_cosine"]
    cosine = "a cosine that is not finite" if low is None else f"minimum cosine {_cosine(low)}"
    return f"{one['engine']} {one['precision']}{decoder} was turned down: {cosine}"


def _cosine(value: float) -> str:
    return f"{value:.5f}"
