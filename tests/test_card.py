from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from featx.card import escape, render_card

HOSTILE = "<script>alert(1)</script>|**x**\n# [a](javascript:b)`"


def record(**changes: Any) -> dict[str, Any]:
    return {
        "name": "svm-1",
        "path": "runs/svm-1",
        "head": "svm",
        "task": "classification",
        "target": "label",
        "group": None,
        "how": "nested 5-fold cross-validation",
        "n": 4,
        "n_train": 4,
        "d": 8,
        "classes": [{"class": "cat", "rows": 3}, {"class": HOSTILE, "rows": 1}],
        "metrics": {
            "accuracy": {
                "mean": 0.91234,
                "std": 0.01,
                "low": 0.9,
                "high": 0.93,
                "how": "bootstrap",
            },
            "roc_auc": {"mean": 0.97, "std": None, "low": None, "high": None, "how": "bootstrap"},
        },
        "baseline": {"accuracy": {"mean": 0.75}},
        "baseline_kind": "most frequent class",
        "notes": ["2 images lie under two labels"],
        "data": {
            "name": HOSTILE,
            "source": "a folder",
            "manifest": "abc",
            "left_out": [{"rows": 2, "why": "no target"}],
        },
        "features": {
            "label": "vgg16:features:flatten@224",
            "dtype": "float16",
            "preprocess": "bilinear",
            "hash": "h",
            "fingerprint": "f",
            "random_seed": None,
        },
        "best_params": {"C": 0.1},
        "scale": "none",
        "seed": 0,
        "versions": {"featx": "0.1.0"},
        "converged": True,
        "command": "featx fit --target '``` x'",
    } | changes


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.seen.append(tag)


def test_the_card_names_numbers_and_how_they_were_made() -> None:
    card = render_card(record())
    for text in (
        "| metric | mean ± std | new images | baseline |",
        "| accuracy | 0.9123 ± 0.01 | 0.9 to 0.93 | 0.75 |",
        "| roc\\_auc | 0.97 | - | - |",
        "new images: 95 % interval for other test images, the heads as they are; baseline: most ",
        "Estimated by nested 5-fold cross-validation.",
        "Interval: bootstrap.",
        "- left out: 2 rows, no target",
        "- features vgg16:features:flatten@224, stored as float16",
        "C=0.1",
        "No group was named",
        "- 2 images lie under two labels",
        "featx predict runs/svm-1 IMAGES",
    ):
        assert text in card


def test_the_card_tells_both_intervals_the_median_and_the_means_of_groups() -> None:
    score = record()["metrics"]["accuracy"] | {
        "median": 0.915,
        "splits": 20,
        "corrected_low": 0.85,
        "corrected_high": 0.96,
        "corrected_how": "corrected t",
    }
    card = render_card(
        record(
            metrics={"accuracy": score},
            group_metrics={"accuracy": score | {"mean": 0.99, "splits": 19, "how": "of groups"}},
            group_baseline={},
            group="person",
        )
    )
    for text in (
        "| metric | mean ± std | median | new images | trained anew | baseline |",
        "| accuracy | 0.9123 ± 0.01 | 0.915 | 0.9 to 0.93 | 0.85 to 0.96 | 0.75 |",
        "Scores of the mean of each group (person):",
        "| accuracy | 0.99 ± 0.01 | 0.9 to 0.93 | 0.85 to 0.96 | - |",
        "; trained anew: for other training images, too; baseline",
        "Interval: bootstrap.\nInterval: of groups.\nInterval: corrected t.",
    ):
        assert text in card


def test_hostile_text_stays_text() -> None:
    card = render_card(record())
    tags = Tags()
    tags.feed(card)
    assert tags.seen == []
    assert not [line for line in card.splitlines() if line.startswith("# [a]")]
    row = next(line for line in card.splitlines() if "script" in line and line.startswith("|"))
    assert row.replace("\\|", "").count("|") == 3
    fence = card.splitlines()[-1]
    assert set(fence) == {"`"}
    assert len(fence) > 3


def test_warnings_of_a_card() -> None:
    features = record()["features"] | {"random_seed": 3}
    card = render_card(record(converged=False, features=features, group="person", notes=[]))
    assert "did not converge" in card
    assert "untrained weights" in card
    assert "No group was named" not in card


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a_b", "a\\_b"), ("<b>&", "&lt;b&gt;&amp;"), ("a\n\tb\x00c", "a b c"), ("\u202eabc", " abc")],
)
def test_escape(text: str, expected: str) -> None:
    assert escape(text) == expected
