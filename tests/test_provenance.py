"""Signatures of what computed vectors, from records to fits, cards and descriptions of stores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_cli import featx
from helpers_fit import DIM, RECIPE, blobs, make

from featx import manage
from featx.cautions import cautions, confound_words
from featx.cli.made import run_lines
from featx.curves import curve
from featx.errors import TargetError
from featx.features import Features, load, signatures_of
from featx.features import signatures as signatures_module
from featx.fitting import fit
from featx.provenance import Signature, describe_run, telling_names
from featx.store import FeatureStore, StoreWriter

TORCH = {"engine": "torch", "precision": "fp32", "device": "cpu", "torch": "2.15.0"}
FAST = {"engine": "openvino", "precision": "bf16", "device": "cpu", "openvino": "2026.4"} | {
    "torch": "2.15.0",
    "decoder": "pil",
}
QUICK: dict[str, Any] = {"search": False, "set": {"C": 0.1}, "cv": "3", "n_jobs": 1}
NAME = RECIPE.store_name
FLAT = replace(RECIPE, pooling="flatten")
N = 60


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, task: str, total: int | None) -> None: ...

    def advance(self, done: int = 1) -> None: ...

    def finish(self) -> None: ...

    def say(self, message: str) -> None:
        self.lines.append(message)


def mixed(
    cache: Path, fast: np.ndarray, other: dict[str, Any] = FAST, **columns: np.ndarray
) -> Features:
    """A data set whose rows ``fast`` ((N,) bool) were computed otherwise than the rest."""
    X, kind = blobs(N)
    label = np.array(["cat", "dog", "fox"])[kind]
    made = [other if one else TORCH for one in fast]
    return make(cache, X, {"label": label} | columns, made=made)


def dogs(n: int = N) -> np.ndarray:
    return np.arange(n) % 3 == 1


def warnings_of(said: Said) -> list[str]:
    return [line for line in said.lines if line.startswith("warning")]


def test_what_is_part_of_a_signature() -> None:
    one = Signature.of(FAST)
    for field, value in FAST.items():
        assert Signature.of(FAST | {field: f"{value}x"}) != one
    others = {"certificates": {"a": 1}, "request": {"name": "x"}, "weights": 3, "batch_size": 8}
    assert Signature.of(FAST | others) == one
    assert Signature.of({k: v for k, v in FAST.items() if k != "decoder"}) == one
    assert Signature.of({"engine": "derived", "torch": "2"}) == Signature("derived")
    assert Signature.of({}) == Signature()
    assert Signature.of(TORCH).is_reference
    assert not Signature.of(TORCH | {"decoder": "scaled"}).is_reference


@pytest.mark.parametrize(
    ("others", "names"),
    [
        ([FAST], ["torch fp32", "openvino bf16"]),
        ([TORCH | {"device": "NVIDIA H100"}], ["torch fp32 on cpu", "torch fp32 on NVIDIA H100"]),
        (
            [TORCH | {"decoder": "scaled"}],
            ["torch fp32 with decoder pil", "torch fp32 with decoder scaled"],
        ),
        ([TORCH | {"torch": "2.16"}], ["torch fp32 (torch 2.15.0)", "torch fp32 (torch 2.16)"]),
        (
            [{"engine": "derived"}, {}],
            ["torch fp32", "a flattened store", "an engine not recorded"],
        ),
    ],
)
def test_names_say_what_tells_signatures_apart(
    others: list[dict[str, Any]], names: list[str]
) -> None:
    assert telling_names([Signature.of(one) for one in (TORCH, *others)]) == names


def test_rows_are_those_of_their_run(tmp_path: Path) -> None:
    fast = dogs()
    view = mixed(tmp_path, fast)
    order = np.random.default_rng(0).permutation(N)
    code, signatures = signatures_of(view.store, view.rows[order])
    found = np.array([signatures[c].engine == "openvino" for c in code])
    assert np.array_equal(found, fast[order])
    assert len(view.store.runs) > 30


def test_rows_of_a_run_that_is_open_and_of_none_are_known(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path, RECIPE, (DIM, 1, 1), DIM, provenance=TORCH)
    for number, provenance in enumerate((TORCH, FAST, FAST)):
        if number:
            writer.start_run(provenance | {"request": number})
        writer.append(bytes([number]) * 16, 0, np.ones(DIM, np.float32))
    writer.flush()
    store = FeatureStore.open(tmp_path / RECIPE.store_name)
    assert not store.runs[-1]["closed"]
    rows = np.arange(3) * store.block_rows
    code, signatures = signatures_of(store, rows)
    assert [signatures[c].engine for c in code] == ["torch", "openvino", "openvino"]
    store.runs = [store.runs[0], store.runs[1]]
    code, signatures = signatures_of(store, rows)
    assert [signatures[c].engine for c in code] == ["torch", "openvino", ""]
    writer.close()


def test_a_class_of_its_own_arithmetic_is_told_and_kept(tmp_path: Path) -> None:
    said = Said()
    view = mixed(tmp_path / "cache", dogs())
    result = fit(view, "svm", out=tmp_path, name="run", progress=said, **QUICK)
    expected = (
        "20 of 20 vectors of class 'dog' come from openvino bf16, 0 of 40 of the other classes: a "
        "head can learn the arithmetic in place of the images; expected one way of computing for "
        f"all: `featx rm {NAME}`, then run `featx extract` on all the images at once"
    )
    assert warnings_of(said) == [f"warning: {expected}"]
    record = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    (found,) = record["confounds"]
    assert (found["against"], found["stores"], found["target"]) == ("class", [NAME], "label")
    assert found["counts"]["openvino bf16"] == {"cat": 0, "dog": 20, "fox": 0}
    (sentence,) = cautions(record)
    assert warnings_of(said) == [f"warning: {sentence}"]
    card = (tmp_path / "run" / "card.md").read_text(encoding="utf-8")
    assert "20 of 20 vectors of class 'dog' come from openvino bf16" in card
    assert sentence in repr(result)


def test_the_command_line_says_it_on_stderr(tmp_path: Path) -> None:
    mixed(tmp_path / "cache", dogs())
    words = "fit --head svm --no-search --set C=0.1 --cv 3 --n-jobs 1 --json"
    result = featx(*words.split(), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "warning: 20 of 20 vectors of class 'dog' come from openvino bf16" in result.stderr
    assert json.loads(result.stdout)["confounds"][0]["against"] == "class"
    text = featx(*words.split()[:-1], "--cache", str(tmp_path / "cache"), "--out", str(tmp_path))
    assert "20 of 20 vectors of class 'dog'" in " ".join(text.stdout.split())


def test_the_command_it_names_removes_the_store(tmp_path: Path) -> None:
    mixed(tmp_path / "cache", dogs())
    result = featx("rm", NAME, "--yes", "--cache", str(tmp_path / "cache"))
    assert result.exit_code == 0, result.output
    assert not list((tmp_path / "cache").glob("*.zarr"))


def test_signatures_that_are_spread_over_the_classes_say_nothing(tmp_path: Path) -> None:
    said = Said()
    view = mixed(tmp_path / "cache", np.arange(N) // 3 % 2 == 0)
    result = fit(view, "svm", out=None, progress=said, **QUICK)
    assert result.record["confounds"] == []
    assert warnings_of(said) == []


def test_one_signature_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures_module, "runs_of", None)
    monkeypatch.setattr("featx.problem.Made", None)
    view = mixed(tmp_path, dogs(), TORCH | {"batch_size": 4, "certificates": {"k": {}}})
    assert len(view.store.runs) > 30
    assert fit(view, "svm", out=None, **QUICK).record["confounds"] == []


def test_numbers_that_go_with_the_arithmetic_are_told(tmp_path: Path) -> None:
    said = Said()
    fast = np.arange(N) % 2 == 1
    age = np.where(fast, 50.5, 20.25) + np.arange(N) / 10
    view = mixed(tmp_path / "cache", fast, age=age)
    options = QUICK | {"set": {"alpha": 1.0}}
    result = fit(view, "ridge", target="age", out=None, progress=said, **options)
    (words,) = warnings_of(said)
    assert words.startswith(
        "warning: the mean of 'age' is 23.15 over 30 vectors from torch fp32, 53.5 over 30 vectors "
        "from openvino bf16: a head can learn"
    )
    assert words.removeprefix("warning: ") in cautions(result.record)


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_test_rows_of_a_signature_that_no_training_row_has(tmp_path: Path, held_out: str) -> None:
    said = Said()
    tested = np.arange(N) >= 45
    split = np.where(tested, held_out, "train")
    view = mixed(tmp_path / "cache", np.arange(N) >= 57, split=split)
    result = fit(view, "svm", split="split", out=None, progress=said, **QUICK)
    (words,) = warnings_of(said)
    assert words.startswith(
        "warning: 3 of 15 test vectors come from openvino bf16, 0 of 45 train vectors: the scores "
        "tell of the arithmetic, too"
    )
    assert result.record["confounds"][0]["against"] == "unseen"
    assert fit(view, "svm", out=None, **QUICK).record["confounds"] == []


def test_a_split_column_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    view = mixed(tmp_path / "cache", dogs(), part=np.where(dogs(), "train", "maybe"))
    with pytest.raises(TargetError, match="column 'part' holds 'maybe'"):
        fit(view, "svm", split="part", out=None, **QUICK)


def test_each_store_of_fused_features_is_looked_at(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    mixed(cache, dogs())
    X, kind = blobs(N)
    label = np.array(["cat", "dog", "fox"])[kind]
    other = replace(RECIPE, layer="features.3")
    make(cache, X[:, ::-1].copy(), {"label": label}, made=[TORCH] * N, recipe=other)
    view = load("blobs", [RECIPE.label, other.label], cache=cache)
    (found,) = fit(view, "svm", out=None, **QUICK).record["confounds"]
    assert found["stores"] == [NAME]


def test_rows_without_a_target_are_not_counted(tmp_path: Path) -> None:
    late = np.arange(N) >= 40
    seen = np.where(np.arange(N) < 20, "", np.where(late, "new", "old"))
    view = mixed(tmp_path / "cache", late, seen=seen)
    (found,) = fit(view, "svm", target="seen", out=None, **QUICK).record["confounds"]
    assert found["counts"] == {
        "torch fp32": {"new": 0, "old": 20},
        "openvino bf16": {"new": 20, "old": 0},
    }


def test_pooled_vectors_name_the_flattened_store_too(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    view = mixed(cache, dogs(), {"engine": "derived"})
    (found,) = fit(view, "svm", out=None, **QUICK).record["confounds"]
    assert found["stores"] == [NAME]
    StoreWriter(cache, FLAT, (DIM, 1, 1), DIM, provenance=TORCH).close()
    (found,) = fit(view, "svm", out=None, **QUICK).record["confounds"]
    assert found["stores"] == [NAME, FLAT.store_name]
    (words,) = confound_words([found])
    assert "come from a flattened store" in words
    assert words.count("`featx rm ") == 2


def test_a_learning_curve_tells_it(tmp_path: Path) -> None:
    said = Said()
    view = mixed(tmp_path / "cache", dogs())
    found = curve(view, "svm", sizes="5,all", draws=1, progress=said, **QUICK)
    (words,) = warnings_of(said)
    assert words.removeprefix("warning: ") in found.notes


def certificate(min_cosine: float | None, **more: Any) -> dict[str, Any]:
    value = {"min_cosine": min_cosine, "mean_cosine": 0.99981, "relative_error": 0.018}
    return value | {"rows": 32, "passed": min_cosine is not None and min_cosine > 0.998} | more


def lines_of(*provenances: dict[str, Any]) -> list[str]:
    runs = [
        {"blocks": [[i, i + 1]], "rows": 3} | describe_run({"provenance": p}, RECIPE.hash)
        for i, p in enumerate(provenances)
    ]
    return list(run_lines(runs))


def test_certificates_are_those_of_the_recipe_and_the_way(tmp_path: Path) -> None:
    h = RECIPE.hash
    rest = "openvino 2026.4 2.15.0 cpu (Some CPU @ 2 GHz)"
    certificates = {
        f"{h} {rest} bf16 pil": certificate(0.99926),
        f"{h} {rest} bf16 scaled": certificate(0.981),
        f"{h} {rest} fp32 pil": certificate(0.99999),
        f"{h} torch 2.15.0 cpu bf16": certificate(None),
        f"{'b' * 32} {rest} bf16 pil": certificate(0.5),
    }
    (line,) = lines_of(FAST | {"certificates": certificates})
    assert line == (
        "block 0: openvino 2026.4 bf16 on cpu (torch 2.15.0), decoder pil, certificate: minimum "
        "cosine 0.99926, mean 0.99981, relative error 1.8 % over 32 images; openvino bf16 with "
        "decoder scaled was turned down: minimum cosine 0.98100; torch bf16 was turned down: a "
        "cosine that is not finite"
    )


def test_lines_say_what_has_no_certificate() -> None:
    assert lines_of(TORCH, FAST, {"engine": "derived"}, {}, TORCH | {"batch_size": 3}) == [
        "blocks 0, 4: torch 2.15.0 fp32 on cpu, decoder pil, reference arithmetic",
        "block 1: openvino 2026.4 bf16 on cpu (torch 2.15.0), decoder pil, no certificate",
        "block 2: pooled from the flattened store",
        "block 3: not recorded",
    ]
    assert lines_of(TORCH, TORCH)[0].startswith("blocks 0-1: torch")


def test_a_certificate_that_did_not_pass_certifies_nothing() -> None:
    key = f"{RECIPE.hash} openvino 2026.4 2.15.0 cpu bf16 pil"
    (line,) = lines_of(FAST | {"certificates": {key: certificate(None)}})
    assert ", no certificate; openvino bf16 was turned down: a cosine that is not finite" in line


def test_info_describes_the_runs_of_a_store(tmp_path: Path) -> None:
    key = f"{RECIPE.hash} openvino 2026.4 2.15.0 cpu bf16 pil"
    fast = FAST | {"certificates": {key: certificate(0.99926)}}
    mixed(tmp_path, np.arange(N) >= 40, fast)
    first, second = manage.info(RECIPE.label, tmp_path)["runs"]
    assert (first["blocks"], first["rows"], first["reference"]) == ([[0, 1]], 40, True)
    assert (second["blocks"], second["rows"], second["certificate"]["rows"]) == ([[1, 2]], 20, 32)
    result = featx("info", RECIPE.label, "--cache", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert (
        "computed with\n"
        "  block 0: torch 2.15.0 fp32 on cpu, decoder pil, reference arithmetic\n"
        "  block 1: openvino 2026.4 bf16 on cpu (torch 2.15.0), decoder pil, certificate: minimum "
        "cosine 0.99926, mean 0.99981, relative error 1.8 % over 32 images\n"
    ) in result.stdout
    value = json.loads(featx("info", RECIPE.label, "--cache", str(tmp_path), "--json").stdout)
    assert value["runs"] == [first, second]


def test_runs_whose_rows_are_gone_have_no_line(tmp_path: Path) -> None:
    view = mixed(tmp_path, np.arange(N) >= 40)
    with StoreWriter(tmp_path, RECIPE, (DIM, 1, 1), DIM, provenance=FAST) as writer:
        for i in range(40):
            writer.append(view.manifest.digest[i].tobytes(), 0, np.ones(DIM, np.float32))
        writer.supersede_shadowed()
    runs = manage.info(RECIPE.label, tmp_path)["runs"]
    assert [run["rows"] for run in runs] == [0, 20, 40]
    assert [line.split(":")[0] for line in run_lines(runs)] == ["blocks 1-2"]
