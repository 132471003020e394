"""Recipe files that train networks, write several steps at once, skip steps, and are planned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_cli import featx
from helpers_photos import folder

from featx.errors import UsageError, WeightsNotFoundError
from featx.pipeline import plan_pipeline, read_pipeline, run_pipeline

TINY = "helpers_photos:tiny"
TEXT = f"""
[data]
path = "photos"

[[extract]]
backbone = "{TINY}"
pool = "avg"
image-size = 32

[[fit]]
row = "frozen, {{head}}"
head = "svm"
test-size = 0.3

[[finetune]]
each = {{ freeze = ["all", "none"] }}
row = "{{backbone}}, {{freeze}}, lr {{lr}}"
backbone = "{TINY}"
image-size = 32
lr = [1e-2, 1e-3]
hidden = "6"
epochs = 2
test-size = 0.3
published = 0.9
published-as = "report 9"
"""


def write(path: Path, text: str = TEXT) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("steps")
    folder(root / "photos", 8)
    write(root / "recipe.toml")
    return root


def command(place: Path, *words: str) -> Any:
    where = ["--cache", str(place / "cache"), "--out", str(place / "runs"), "--device", "cpu"]
    return featx("run", str(place / "recipe.toml"), *where, *words)


def run(place: Path, *words: str) -> dict[str, Any]:
    result = command(place, "--json", *words)
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def test_trainings_stand_in_the_table_with_fits(place: Path) -> None:
    result = command(place)
    assert result.exit_code == 0, result.output
    assert f"finetune 2 of 2: {TINY}, none, lr 0.01, 0.001" in result.stderr
    said = run(place)
    assert [row["step"] for row in said["rows"]] == ["fit 1", "finetune 1", "finetune 2"]
    assert [row["row"] for row in said["rows"]] == [
        "frozen, svm",
        f"{TINY}, all, lr 0.01, 0.001",
        f"{TINY}, none, lr 0.01, 0.001",
    ]
    assert [row["published"] for row in said["rows"]] == [None, 0.9, 0.9]
    assert all(0 <= row["mean"] <= 1 and row["total_s"] > 0 for row in said["rows"])
    assert [one["training"]["trainings"] for one in said["finetune"]] == [2, 2]
    assert len(said["compare"][0]["runs"]) == 3
    assert len({row["n_train"] for row in said["rows"]}) == 1
    assert said["skipped"] == []


def test_options_of_trainings_are_changed(place: Path) -> None:
    found = read_pipeline(
        place / "recipe.toml",
        weights={TINY: "w.pth"},
        changes=["finetune.epochs=1", "finetune.2.lr=0.5", "finetune.1.optimizer=sgd,adam"],
    )
    one, other = found.finetunes
    assert (one["epochs"], other["epochs"]) == (1, 1)
    assert (one["lr"], other["lr"]) == ([1e-2, 1e-3], 0.5)
    assert one["optimizer"] == ["sgd", "adam"]
    assert {step["weights"] for step in (*found.extracts, *found.finetunes)} == {"w.pth"}
    assert found.rows[2].label == f"{TINY}, none, lr 0.5"


def test_every_mistake_of_a_training_is_told_at_once(tmp_path: Path) -> None:
    text = """
    [table]
    metric = "plcc"
    metrics = ["plc"]
    [data]
    path = "x"
    limit-per-class = 3
    [[extract]]
    backbone = "vgg16"
    [[fit]]
    head = "nn"
    set = { lr = -1 }
    [[fit]]
    scoring = "acuracy"
    [[fit]]
    calibrate = "sigmoi"
    [[finetune]]
    epoch = 3
    val = 0.9
    [[finetune]]
    backbone = "vgg16"
    optimizer = ["adam", "sdg"]
    seed = 1
    row = "{nothing}"
    augment = "lihgt"
    [[finetune]]
    backbone = ["vgg16", "resnet18"]
    hidden = [512, 32]
    epochs = "3"
    published-as = "report 4"
    [[finetune]]
    backbone = "vgg16"
    scoring = "acuracy"
    [[finetune]]
    each = { lr = 3 }
    """
    with pytest.raises(UsageError) as error:
        read_pipeline(write(tmp_path / "a.toml", text))
    message = str(error.value)
    for part in (
        "[table]: unknown option 'metric'",
        "unknown metric 'plc'; did you mean 'plcc'",
        "fit 1: lr is -1; expected a number above 0",
        "fit 2: unknown scoring 'acuracy'; did you mean 'accuracy'",
        "fit 3: ",
        "finetune 1: unknown option 'epoch'; did you mean 'epochs'",
        "finetune 1: backbone is missing",
        "finetune 1: val is 0.9; expected a part",
        "finetune 2: unknown optimizer 'sdg'",
        "finetune 2: row is '{nothing}'; in braces it may name backbone",
        "finetune 2: unknown augmentation 'lihgt'; did you mean 'light'",
        "finetune 3: backbone is ['vgg16', 'resnet18']; expected one",
        "finetune 3: hidden is [512, 32]; expected one network, such as '512,32'",
        "finetune 3: epochs is '3'; expected a whole number",
        "finetune 3: a published number is missing",
        "finetune 4: unknown scoring 'acuracy'",
        "finetune 5: each is {'lr': 3}; expected lists",
        "limit-per-class draws by the seed, and the steps have 0 and 1",
    ):
        assert part in message, part


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ("finetune.2.freeze=layer9", UsageError, "finetune 2: .*layer9"),
        ("finetune.2.backbone=vgg61", UsageError, "vgg61"),
        ("finetune.2.weights=none.pth", WeightsNotFoundError, "no weights file"),
        ("extract.engine=fast", UsageError, "engine is 'fast'"),
    ],
)
def test_mistakes_that_need_the_network_end_it_before_the_first_step(
    place: Path, change: str, error: Any, words: str
) -> None:
    found = read_pipeline(place / "recipe.toml", changes=[change])
    with pytest.raises(error, match=words):
        next(run_pipeline(found, cache=place / "fresh", out=None))


def test_the_name_of_a_training_is_looked_at_first(place: Path) -> None:
    (place / "taken" / "x").mkdir(parents=True)
    found = read_pipeline(place / "recipe.toml", "nowhere", changes=["finetune.1.name=x"])
    with pytest.raises(UsageError, match="finetune 1: the run 'x' exists already"):
        next(run_pipeline(found, cache=place / "cache", out=place / "taken"))


MORE = """
[[extract]]
backbone = "resnet18"
pool = "avg"

[[fit]]
features = "extract 2"

[[fit]]
features = "resnet18:*:avg@*"

[[fit]]
features = "*tiny:*"

[[finetune]]
backbone = "resnet18"
"""


@pytest.fixture
def unreachable(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a place whose recipe takes weights that are nowhere."""
    import torch

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(place / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    write(place / "more.toml", TEXT + MORE)
    return place


def test_what_a_machine_cannot_do_is_skipped_with_the_reason(unreachable: Path) -> None:
    place = unreachable
    where = ["--cache", str(place / "cache"), "--out", str(place / "runs"), "--device", "cpu"]
    result = featx("run", str(place / "more.toml"), "--json", *where)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    skipped = {one["step"]: one["reason"] for one in said["skipped"]}
    assert list(skipped) == ["extract 2", "fit 1", "fit 2", "fit 3", "finetune 3"]
    assert "resnet18-f37072fd.pth are not in" in skipped["extract 2"]
    for step in ("fit 1", "fit 2", "fit 3"):
        assert skipped[step].startswith("needs extract 2, which is skipped: ")
    rows = {row["step"]: row for row in said["rows"]}
    assert rows["fit 4"]["mean"] is not None
    assert rows["fit 1"]["mean"] is None
    assert rows["finetune 3"]["skipped"] == skipped["finetune 3"]
    strict = featx("run", str(place / "more.toml"), "--strict", *where)
    assert strict.exit_code == 1
    assert "5 steps skipped; extract 2: the pretrained weights" in strict.stderr
    assert "finetune 3 is skipped: the pretrained weights" in strict.stdout


def test_where_nothing_can_be_run_it_is_an_error(place: Path) -> None:
    words = ("--set", "fit.target=age", "--set", "finetune.target=age")
    result = command(place, *words)
    assert result.exit_code == 1
    assert "no step could be run; fit 1: unknown column 'age'" in result.stderr
    one = json.loads(command(place, "--json", "--set", "fit.target=age").stdout)
    assert [row["skipped"] is None for row in one["rows"]] == [False, True, True]


def test_what_does_not_suit_the_data_is_skipped(place: Path) -> None:
    said = run(place, "--set", "fit.train-per-class=50", "--set", "finetune.2.loss=l1")
    reasons = [row["skipped"] for row in said["rows"]]
    assert reasons[0].startswith("class 'bird' has 5 training rows, fewer than 50 a class")
    assert reasons[1] is None
    assert "loss 'l1' is not for classification" in reasons[2]


def test_memory_that_is_short_is_said_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr("featx.finetuning.trainer.train", short)
    said = run(place)
    assert [row["skipped"] is None for row in said["rows"]] == [True, False, False]
    told = "not enough memory to train helpers_photos:tiny with 32 images in a batch"
    assert told in said["rows"][2]["skipped"]
    assert "--batch-size" in said["rows"][2]["skipped"]


def test_a_dry_run_says_what_each_step_would_do(unreachable: Path) -> None:
    place = unreachable
    where = ["--cache", str(place / "none"), "--out", str(place / "no-runs")]
    result = featx("run", str(place / "more.toml"), "--dry-run", "--json", *where)
    assert result.exit_code == 0, result.output
    steps = {step["step"]: step for step in json.loads(result.stdout)["steps"]}
    assert list(steps) == [
        *("extract 1", "extract 2", "fit 1", "fit 2", "fit 3", "fit 4"),
        *("finetune 1", "finetune 2", "finetune 3"),
    ]
    assert steps["extract 1"]["stores"] == [f"{TINY}:output:avg@32"]
    assert steps["extract 1"]["images"] == 24
    assert (steps["fit 4"]["candidates"], steps["fit 4"]["splits"]) == (7, 5)
    one = steps["finetune 1"]
    assert (one["candidates"], one["trainings"], one["epochs"]) == (2, 2, 2)
    assert "resnet18-f37072fd.pth are not in" in steps["finetune 3"]["skipped"]
    assert steps["fit 4"]["skipped"] is None
    text = featx("run", str(place / "more.toml"), "--dry-run", *where).stdout
    assert f"finetune 1 ({TINY}, all, lr 0.01, 0.001): {TINY}" in text
    assert "2 candidates on 1 split, 2 trainings of at most 2 epochs" in " ".join(text.split())
    assert "nothing was computed" in text
    assert not (place / "none").exists()
    assert not (place / "no-runs").exists()
    assert featx("run", str(place / "more.toml"), "--dry-run", "--strict", *where).exit_code == 1


def test_the_plan_counts_trainings_over_folds(place: Path) -> None:
    changes = [
        "finetune.1.test-size=0.3",
        "finetune.2.cv=3",
        "fit.mix=equal",
        "fit.cv=random:7:0.2",
    ]
    found = read_pipeline(place / "recipe.toml", changes=changes)
    del found.finetunes[1]["test_size"], found.fits[0]["test_size"]
    steps = {step.step: step.numbers for step in plan_pipeline(found, cache=place / "cache")}
    assert (steps["finetune 2"]["splits"], steps["finetune 2"]["trainings"]) == (3, 7)
    assert steps["fit 1"]["splits"] == 7


def test_a_network_as_the_head_is_a_fit(place: Path) -> None:
    changes = [
        "fit.head=nn",
        "fit.set={ hidden = [8, 4], activation = 'gelu', epochs = 2 }",
        "fit.grid={ lr = [0.01, 0.001] }",
    ]
    said = run(place, *(word for change in changes for word in ("--set", change)))
    assert said["fit"][0]["head"] == "nn"
    assert [row["params"]["lr"] for row in said["fit"][0]["candidates"]] == [0.01, 0.001]
