"""The sections of a report, in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from featx._words import count
from featx.cautions import cautions
from featx.comparison.words import picked, say_p
from featx.reporting import drawings
from featx.reporting.galleries import galleries
from featx.reporting.glossary import (
    OF_CLASSES,
    OF_LAYERS,
    OF_MEANS,
    OF_SCORES,
    OF_TESTS,
    glossary,
)
from featx.reporting.parts import Code, Drawing, Page, Section, Sheet
from featx.reporting.recalls import recalls
from featx.reporting.text import assigned, interval, number, sentence, spread
from featx.reporting.words import keys, main_metric, methods, summary
from featx.scoreboard import NEW_FITS, group_title, legend, score_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx._types import JsonObject
    from featx.comparison import Comparison
    from featx.curves import LearningCurve
    from featx.probing import Probe
    from featx.reporting.drawings import Drawn
    from featx.reporting.parts import Part
    from featx.reporting.pictures import Pictures
    from featx.reporting.subject import Subject


@dataclass(frozen=True, eq=False)
class Material:
    """What a report is made of.

    Attributes
    ----------
    subject
        The run; of several the best. None where there is none.
    drawn
        The figures by the section that they belong to.
    missing
        What could not be shown, and why.
    others
        The runs that the comparison does not put first.
    """

    subject: Subject | None
    pictures: Pictures | None = None
    comparison: Comparison | None = None
    curve: LearningCurve | None = None
    layers: Probe | None = None
    missing: tuple[str, ...] = ()
    others: tuple[Subject, ...] = ()

    def drawn(self) -> dict[str, list[Drawn]]:
        """Draw the figures, by section."""
        made: dict[str, list[Drawn]] = {}
        if self.comparison is not None:
            made["comparison"] = [drawings.of_comparison(self.comparison)]
        if self.subject is not None:
            made |= _drawn(self.subject)
        if self.curve is not None:
            made["labels"] = [drawings.of_curve(self.curve)]
        if self.layers is not None:
            made["layers"] = [drawings.of_layers(self.layers)]
        return made


def _drawn(subject: Subject) -> dict[str, list[Drawn]]:
    of_task = drawings.of_classes if subject.is_classes else drawings.of_numbers
    return {
        "result": list(of_task(subject)),
        "search": [*drawings.of_search(subject), *drawings.of_training(subject)],
        "map": list(drawings.of_map(subject)),
    }


def page_of(material: Material, drawn: dict[str, list[Drawn]], made: str) -> Page:
    """Put a page together."""
    makers = (_comparison, _result, _labels, _layers, _images, _search, _map, _words, _how)
    sections = [section for make in makers if (section := make(material, drawn)) is not None]
    subject = material.subject
    title, subtitle, said = _title(material)
    return Page(
        title=title,
        subtitle=subtitle,
        summary=said,
        keys=() if subject is None else keys(subject),
        cautions=tuple(_cautions(material)),
        sections=tuple(_whose(section, material) for section in sections),
        made=made,
    )


def _title(material: Material) -> tuple[str, str, tuple[str, ...]]:
    subject, curve, layers = material.subject, material.curve, material.layers
    more = [sentence(found.verdict) for found in (curve, layers) if found is not None]
    if subject is not None:
        record = subject.record
        compared = [] if material.comparison is None else [sentence(material.comparison.verdict)]
        data = record["data"]["name"]
        first = f"the first of {1 + len(material.others)} runs: " if material.others else ""
        under = f"{first}{_who(subject)}"
        return f"{data}: {record['target']}", under, (*compared, *summary(subject), *more)
    if curve is not None:
        return f"{curve.data}: {curve.target}", f"{curve.head} on {curve.features}", tuple(more)
    if layers is not None:
        under = f"{layers.head} on layers of {layers.backbone}, side by side"
        return f"{layers.data}: {layers.target}", under, tuple(more)
    return "A report", "", ()


def _who(subject: Subject) -> str:
    record = subject.record
    run = f", run {record['name']}" if record["name"] else ""
    return f"{record['head']} on {record['features']['label']}{run}"


def _whose(section: Section, material: Material) -> Section:
    """Say of which of several runs a section is."""
    if not material.others or material.subject is None or section.name not in _OF_ONE:
        return section
    said = f"Of one run alone, the first in the comparison: {_who(material.subject)}."
    return replace(section, lead=(said, *section.lead))


_OF_ONE = ("result", "images", "chosen", "embeddings", "how")
"""Sections that are of a single run."""


def _cautions(material: Material) -> list[str]:
    if material.subject is None:
        return list(material.missing)
    record = dict(material.subject.record)
    folder = material.subject.folder
    record |= {"path": None if folder is None else str(folder)}
    own = [*cautions(record, number), *_unread(material.subject)]
    others = [
        sentence(f"run {one.run.name}: {words}")
        for one in material.others
        for words in cautions(one.record, number)
    ]
    unseen = [] if material.pictures is None else material.pictures.unseen()
    several = 1 + len(material.others)
    chosen = [picked(several, main_metric(record))] if several > 1 else []
    return [*map(sentence, [*chosen, *own, *material.missing, *unseen]), *others]


def _unread(subject: Subject) -> list[str]:
    """Name the images that have no vector."""
    if isinstance(subject.features, str) or not len(subject.features.failed):
        return []
    failed = subject.features.failed
    some = ", ".join(f"{p} ({why})" for p, why in failed.head(3).itertuples(index=False))
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    return [f"images that could not be read ({len(failed)}): {some}{more}"]


def _parts(drawn: dict[str, list[Drawn]], name: str) -> list[Drawing]:
    return [one.part() for one in drawn.get(name, [])]


def _comparison(material: Material, drawn: dict[str, list[Drawn]]) -> Section | None:
    found = material.comparison
    if found is None:
        return None
    runs, pairs = found.cells(cost=True), found.cells(pairs=True)
    between = f"Differences in {found.metrics[0]}"
    sheets = [
        Sheet(title, tuple(cells.header), tuple(map(tuple, cells.rows)), frozenset(cells.right))
        for title, cells in (("Runs, the best first", runs), (between, pairs))
    ]
    lead = tuple(map(sentence, found.said(cost=True)))
    return Section("better", "Which is better", lead, (*_parts(drawn, "comparison"), *sheets))


def _result(material: Material, drawn: dict[str, list[Drawn]]) -> Section | None:
    if material.subject is None:
        return None
    record = material.subject.record
    scores = _scores(record, "", "Scores")
    sheets = [scores, *([_class_sheet(material.subject)] if material.subject.is_classes else [])]
    if record.get("group_metrics"):
        sheets.append(_scores(record, "group_", f"Scores of {group_title(record)}"))
    lead = (f"Estimated by {record['how']}.", *map(sentence, record["notes"]))
    return Section("result", "How good it is", lead, (*_parts(drawn, "result"), *sheets))


def _scores(record: JsonObject, kind: str, title: str) -> Sheet:
    header, *rows = score_table([record], number, kind=kind)
    right = frozenset(range(1, len(header)))
    return Sheet(title, tuple(header), tuple(map(tuple, rows)), right, f"{legend(record)}.")


def _class_sheet(subject: Subject) -> Sheet:
    counts = subject.confusion
    found = recalls(counts)
    rows = tuple(
        (
            name,
            f"{int(counts[i].sum()):,}",
            *(number(float(column[i])) for column in (found.recall, found.precision, found.f1)),
            f"{number(float(found.low[i]))} to {number(float(found.high[i]))}",
        )
        for i, name in enumerate(subject.classes)
    )
    header = ("class", "images", "recall", "precision", "F1", "recall, 95 %")
    return Sheet("Each class", header, rows, frozenset(range(1, 6)))


def _labels(material: Material, drawn: dict[str, list[Drawn]]) -> Section | None:
    curve = material.curve
    if curve is None:
        return None
    header, *rows = curve.cells()
    sheet = Sheet("Fewer labels", tuple(header), tuple(map(tuple, rows)), frozenset(range(5)))
    lead = tuple(map(sentence, (f"{curve.head} on {curve.features}: {curve.how}", *curve.notes)))
    return Section("labels", "Would more labels help?", lead, (*_parts(drawn, "labels"), sheet))


def _layers(material: Material, drawn: dict[str, list[Drawn]]) -> Section | None:
    probe = material.layers
    if probe is None:
        return None
    metric = probe.metric
    rows = tuple(
        (
            str(row["layer"]),
            "-" if row["depth"] is None else f"{row['depth']:.0f}",
            f"{row['d']:,}",
            spread(row[metric], row[f"{metric}_std"]),
            interval(row[f"{metric}_low"], row[f"{metric}_high"]),
            number(row["gain"]),
            interval(row["gain_low"], row["gain_high"]),
            "-" if row["p"] is None else say_p(row["p"]).removeprefix("p ").removeprefix("= "),
            str(probe.chosen.get(row["layer"], 0)),
        )
        for row in probe.to_json()["layers"]
    )
    header = (
        "layer",
        "depth",
        "values",
        metric,
        "95 %",
        "gain",
        "gain, 95 %",
        "p (Holm)",
        "chosen",
    )
    note = f"gain: over the default, {probe.default}; chosen: in so many splits, by training rows."
    columns = frozenset(range(1, len(header)))
    sheet = Sheet("Layers", header, rows, columns, note)
    lead = tuple(map(sentence, (f"estimated by {probe.how}", *probe.notes)))
    return Section("where-to-cut", "Which layer", lead, (*_parts(drawn, "layers"), sheet))


def _images(material: Material, _: dict[str, list[Drawn]]) -> Section | None:
    if material.subject is None or material.pictures is None:
        return None
    found = galleries(material.subject, material.pictures)
    if not found:
        return None
    return Section("images", "Images to look at", (), tuple(found))


def _search(material: Material, drawn: dict[str, list[Drawn]]) -> Section | None:
    parts = _parts(drawn, "search")
    if not parts or material.subject is None:
        return None
    chosen = f"{assigned(material.subject.record['best_params'])}."
    return Section("chosen", "What was chosen", (chosen,), tuple(parts))


def _map(_: Material, drawn: dict[str, list[Drawn]]) -> Section | None:
    parts = _parts(drawn, "map")
    return Section("embeddings", "The embeddings", (), tuple(parts)) if parts else None


def _words(material: Material, _: dict[str, list[Drawn]]) -> Section:
    """Explain the words that the sections before it use."""
    used: set[str] = set()
    if (subject := material.subject) is not None:
        scores = subject.record["metrics"]
        used |= {*scores, *OF_SCORES, *(OF_CLASSES if subject.is_classes else ())}
        if all(score.get("corrected_low") is None for score in scores.values()):
            used -= {NEW_FITS}
        used |= {"nested"} if "nested" in subject.record["how"] else set()
    if (comparison := material.comparison) is not None:
        used |= {*comparison.metrics, *OF_TESTS}
    if (curve := material.curve) is not None:
        used |= {curve.metric, *OF_MEANS}
    if (layers := material.layers) is not None:
        used |= {layers.metric, *OF_MEANS, *OF_TESTS, *OF_LAYERS}
    return glossary(used)


def _how(material: Material, _: dict[str, list[Drawn]]) -> Section:
    if (subject := material.subject) is not None:
        below = [("images below", subject.below)] if subject.below else []
        paper = Code("Methods, to paste into a paper", methods(subject), prose=True)
        parts = (paper, *_origin(subject.record, below), *_certificates(subject))
    else:
        made = (one.origin for one in (material.curve, material.layers) if one is not None)
        parts = tuple(part for one in made if one for part in _origin(one, []))
    return Section("how", "How it was made", (), parts)


def _origin(origin: JsonObject, below: list[tuple[str, str]]) -> tuple[Part, ...]:
    """Show what a result was made from, and what repeats it."""
    lines = [*(origin.get("extract_commands") or []), origin["command"]]
    title = "The command that repeats it" if len(lines) == 1 else "The commands that repeat it"
    again = [Code(title, "\n".join(lines))] if origin["command"] else []
    facts = (*below, *_facts(origin))
    return (*again, Sheet("What made these numbers", ("what", "value"), facts))


def _facts(record: JsonObject) -> list[tuple[str, str]]:
    data, features = record["data"], record["features"]
    kinds: Sequence[JsonObject] = features.get("parts") or [features]
    facts = [("data", data["source"]), ("manifest", data["manifest"])]
    facts += [("left out", f"{count(x['rows'], 'row')}, {x['why']}") for x in data["left_out"]]
    for kind in kinds:
        facts += [
            ("features", kind["label"]),
            ("recipe", kind.get("hash", "-")),
            ("rows", kind.get("fingerprint", "-")),
            ("preprocessing", kind["preprocess"]),
            ("stored as", kind["dtype"]),
        ]
    facts += [("seed", str(record["seed"])), ("made", record["created"])]
    facts += record["versions"].items()
    return list(dict.fromkeys(facts))


def _certificates(subject: Subject) -> list[Sheet]:
    """Show what the vectors were computed with, where the cache still says so."""
    if isinstance(subject.features, str):
        return []
    rows = []
    for kind in subject.features.kinds:
        made = kind.provenance
        engine, precision, device = (made.get(k, "-") for k in ("engine", "precision", "device"))
        how = f"{engine} in {precision}, {device}"
        proofs = made.get("certificates", {})
        own = [proofs[key] for key in proofs if key.startswith(kind.recipe.hash)]
        cosine = min((proof["min_cosine"] for proof in own if proof["passed"]), default=None)
        proof = "the reference" if cosine is None else f"{cosine:.5f}"
        rows.append((kind.label, how, proof))
    header = ("features", "computed by", "least cosine with the reference")
    return [Sheet("Numerics", header, tuple(rows), frozenset({2}))]
