"""Recipe files: read with all their mistakes at once, run on any images, run again for nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from helpers_cli import featx
from helpers_photos import folder

from featx.comparison import Run
from featx.errors import NotFoundError, SourceNotFoundError, UsageError
from featx.evaluate.mixes import read_mixes
from featx.fitting import tokens_of
from featx.pipeline import Pipeline, read_pipeline, run_pipeline
from featx.pipeline.questions import question_of
from featx.pipeline.run import with_device

RECIPES = sorted((Path(__file__).parents[1] / "pipelines").glob("*.toml"))
POOLS = ("avg", "std")
TEXT = """
[data]
path = "photos"
limit-per-class = 6

[[extract]]
backbone = "helpers_photos:tiny"
layer = "1,3"
pool = ["avg", "std"]

[[fit]]
head = "knn"
features = "*:3:avg@*"
cv = 3
search = false

[[fit]]
head = "knn"
set = "n_neighbors=2"
cv = "3"
"""


def write(path: Path, text: str = TEXT) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pipeline")
    folder(root / "photos", 7)
    folder(root / "others", 5)
    write(root / "recipe.toml")
    return root


def run(place: Path, *words: str) -> dict[str, list]:
    where = ["--cache", str(place / "cache"), "--out", str(place / "runs"), "--json"]
    result = featx("run", str(place / "recipe.toml"), *words, *where)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_recipe_is_run_from_images_to_a_comparison(place: Path) -> None:
    said = run(place)
    labels = [store["features"] for store in said["extract"][0]]
    assert labels == [f"helpers_photos:tiny:{k}:{pool}@224" for k in (1, 3) for pool in POOLS]
    assert {store["rows"] for store in said["extract"][0]} == {18}
    one, all_of_them = said["fit"]
    assert one["d"] == 16
    assert all_of_them["d"] == 2 * (8 + 16)
    assert all_of_them["best_params"]["n_neighbors"] == 2
    assert len(one["folds"]) == 3
    assert len(said["compare"][0]["runs"]) == 2
    assert len(list((place / "runs").glob("*/result.json"))) == 2


QUESTIONS = """
[data]
path = "photos"

[[extract]]
backbone = "helpers_photos:tiny"
pool = "avg"

[[fit]]
each = { head = ["knn", "ridge"], seed = [0, 1] }
test-size = 0.3
search = false

[[fit]]
each = { head = ["knn", "ridge"] }
test-size = 0.3
train-per-class = 2
search = false

[[fit]]
head = "ridge"
search = false
"""


def test_runs_are_compared_that_were_asked_the_same(place: Path, tmp_path: Path) -> None:
    text = QUESTIONS.replace('"photos"', f'"{place / "photos"}"')
    words = ["run", str(write(tmp_path / "a.toml", text)), "--cache", str(place / "cache")]
    words += ["--out", str(tmp_path / "runs")]
    result = featx(*words, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    names = [fit["name"] for fit in said["fit"]]
    many, few = said["compare"]
    assert sorted(run["run"] for run in many["runs"]) == sorted(names[:4])
    assert sorted(run["run"] for run in few["runs"]) == sorted(names[4:6])
    assert [len(one["pairs"]) for one in (many, few)] == [6, 1]
    assert few["pairs"][0]["p_holm"] == few["pairs"][0]["p"]
    assert many["question"]["words"] == "label (classification), 30 % of the rows tested once"
    assert few["question"]["train_per_class"] == 2
    assert [one["step"] for one in said["alone"]] == ["fit 7"]
    assert said["alone"][0]["question"]["splits"] == "5 folds"
    text = " ".join(featx(*words).stdout.split())
    assert f"2 runs that were asked the same: {few['question']['words']}" in text
    assert "fit 7 is compared with no other step, for none was asked the same: label" in text


def test_what_a_run_was_asked() -> None:
    asked = {"split": None, "test_size": None, "cv": "5", "repeats": 1, "missing": ["NA", "-"]}
    record = {"target": "age", "task": "regression", "group": "person"}

    def words(**more: object) -> str:
        arguments = asked | {"train_per_class": None} | more
        return question_of(Run(record | {"arguments": arguments}, pd.DataFrame())).words()

    rest = "rows of one person together, rows with - or NA left out"
    assert words() == f"age (regression), 5 folds, {rest}"
    assert words(missing=["-", "NA"], seed=3) == words()
    assert words(cv="random:10:0.2", repeats=2) == (
        f"age (regression), 10 random splits with 20 % test rows, drawn 2 times, {rest}"
    )
    assert words(test_size=0.1, cv="5") == words(test_size=0.1, cv="9") != words()
    column = words(split="part", cv="9")
    assert column == f"age (regression), tested where column part says so, {rest}"


def test_a_head_that_is_trained_gets_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.pipeline.run.device_here", lambda name: name)
    nn = {"head": "nn", "set": "epochs=2"}
    told = with_device(nn, "cuda")
    assert told == {"head": "nn", "set": {"device": "cuda", "epochs": 2}}
    assert nn["set"] == "epochs=2"
    assert with_device({"head": "nn"}, "cuda:all")["set"] == {"device": "cuda:0"}
    for step in (
        {"head": "nn", "set": {"device": "cpu"}},
        {"head": "nn", "grid": {"device": ["cpu", "cuda"]}},
        {"head": "svm", "set": "C=1"},
        {},
    ):
        assert with_device(step, "cuda") == step
    assert with_device(nn, "cpu") == nn


def test_the_device_reaches_the_fits_of_a_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = []

    def fit(*_: object, **options: object) -> None:
        told.append((options["head"], options.get("set"), "device" in options))
        raise UsageError("enough")

    monkeypatch.setattr("featx.pipeline.run.fit", fit)
    monkeypatch.setattr("featx.pipeline.run.device_here", lambda _: "cuda:0")
    found = read_pipeline(place / "recipe.toml", changes=["fit.1.head=nn", "fit.1.search=true"])
    list(run_pipeline(found, cache=place / "cache", out=tmp_path))
    assert told == [("nn", {"device": "cuda:0"}, False), ("knn", "n_neighbors=2", False)]


def test_it_runs_on_other_images_and_again_for_nothing(place: Path) -> None:
    words = (str(place / "others"), "--set", "data.limit-per-class=4", "--set", "fit.2.cv=2")
    run(place, *words)
    said = run(place, *words)
    assert {(s["data"], s["rows"], s["computed"]) for s in said["extract"][0]} == {
        ("others", 12, 0)
    }
    assert [len(fit["folds"]) for fit in said["fit"]] == [3, 2]


def test_each_step_is_told_as_its_command_tells_it(place: Path) -> None:
    where = ["--cache", str(place / "cache"), "--out", str(place / "runs")]
    result = featx("run", str(place / "recipe.toml"), *where)
    assert result.exit_code == 0, result.output
    assert "knn for label (classification)" in result.stdout
    assert "95 % intervals of a mean" in result.stdout


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = """
    [extra]
    [data]
    limt = 3
    limit-per-class = "20"
    [[extract]]
    backbon = "vgg16"
    seed = "one"
    [[fit]]
    head = "smv"
    grid = "C"
    search = 1
    repeats = true
    [[fit]]
    name = "same"
    head = "ridge"
    cv = "abc"
    grid = "alpha=1"
    set = "alpha=2"
    [[fit]]
    name = "same"
    set = "max_itr=3"
    """
    with pytest.raises(UsageError) as error:
        read_pipeline(write(tmp_path / "a.toml", text), weights={"vgg16": "x.pth"})
    message = str(error.value)
    for part in (
        "unknown table 'extra'",
        "no data",
        "[data]: unknown option 'limt'; did you mean 'limit'",
        "extract 1: unknown option 'backbon'; did you mean 'backbone'",
        "extract 1: backbone is missing",
        "extract 1: seed is 'one'; expected a whole number",
        "[data]: limit-per-class is '20'; expected a whole number",
        "fit 1: unknown head 'smv'; did you mean 'svr' or 'svm'",
        "fit 2: 'alpha' is both set and searched",
        "fit 2: cv is 'abc'",
        "fit 3: unknown parameter of 'svm' 'max_itr'; did you mean 'max_iter'",
        "two fits have the name 'same'",
        "fit 1: search is 1; expected true or false",
        "fit 1: repeats is True; expected a whole number",
        "--weights vgg16: no step extracts it",
    ):
        assert part in message


@pytest.mark.parametrize(
    "change", ["cv=3", "fit.3.cv=3", "fit.x.cv=3", "nope.cv=3", "fit.cv", "fit.0.cv=3"]
)
def test_a_change_of_no_step_is_refused(place: Path, change: str) -> None:
    with pytest.raises(UsageError, match=r"expected STEP\.OPTION=VALUE"):
        read_pipeline(place / "recipe.toml", changes=[change])


def test_changes_and_weights_reach_their_steps(place: Path) -> None:
    found = read_pipeline(
        place / "recipe.toml",
        weights={"helpers_photos:tiny": "w.pth"},
        changes=["extract.image-size=64", "fit.head=rbf", "fit.2.set=C=1", "fit.1.cv=random:3:0.5"],
    )
    assert found.extracts[0]["image_size"] == 64
    assert found.extracts[0]["weights"] == "w.pth"
    assert [step["head"] for step in found.fits] == ["rbf", "rbf"]
    assert [step["cv"] for step in found.fits] == ["random:3:0.5", "3"]
    assert found.data == str(place / "photos")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fit = 3", r"expected 'fit' as \[\[fit\]\]"),
        ("[fit]\nhead = 'svm'", r"expected 'fit' as \[\[fit\]\]"),
        ("[[data]]\npath = 'x'", r"expected 'data' as \[data\]"),
        ("[fit", "no TOML file"),
        ("[data]\npath = 'x'", "nothing to fit on"),
    ],
)
def test_what_is_no_recipe(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_pipeline(write(tmp_path / "a.toml", text))
    with pytest.raises(SourceNotFoundError, match="recipe file"):
        read_pipeline(tmp_path / "none.toml")


def test_features_are_looked_up_before_the_first_image(place: Path) -> None:
    found = read_pipeline(place / "recipe.toml", "nowhere", changes=["fit.1.features=*:gem@*"])
    with pytest.raises(NotFoundError, match="no features of this file"):
        next(run_pipeline(found, cache=place / "cache"))


def test_fits_that_cannot_be_are_told_before_the_first_image(place: Path) -> None:
    (place / "taken" / "x").mkdir(parents=True)
    changes = ["fit.1.mix=1:2", "fit.2.name=x"]
    found = read_pipeline(place / "recipe.toml", "nowhere", changes=changes)
    with pytest.raises(UsageError, match=r"fit 1: weights .* fit 2: the run 'x' exists already"):
        next(run_pipeline(found, cache=place / "cache", out=place / "taken"))


PUBLISHED = (
    *("--set", "fit.1.published=0.797", "--set", "fit.1.published-as=frozen ResNet18, report 4"),
    *("--set", "fit.2.published=0.5", "--set", "fit.2.published-metric=log_loss"),
)


def test_published_numbers_stand_beside_what_was_measured(place: Path) -> None:
    plain, said = run(place), run(place, *PUBLISHED)
    assert [(row["published"], row["as"]) for row in plain["rows"]] == [(None, ""), (None, "")]
    first, second = said["rows"]
    measured = said["fit"][0]["metrics"]["accuracy"]
    assert {name: first[name] for name in ("step", "row", "run", "head", "metric", "skipped")} == {
        "step": "fit 1",
        "row": "knn",
        "run": said["fit"][0]["name"],
        "head": "knn",
        "metric": "accuracy",
        "skipped": None,
    }
    assert (first["mean"], first["std"]) == (measured["mean"], measured["std"])
    kind = "" if measured["corrected_low"] is None else "corrected_"  # none: all splits are alike
    assert (first["low"], first["high"]) == (measured[f"{kind}low"], measured[f"{kind}high"])
    assert first["metrics"]["accuracy"] == measured["mean"]
    assert (first["published"], first["as"]) == (0.797, "frozen ResNet18, report 4")
    assert (second["step"], second["metric"], second["as"]) == ("fit 2", "log_loss", "")
    for one, other in zip(plain["fit"], said["fit"], strict=True):
        assert set(one) == set(other)
        assert one["arguments"] == other["arguments"]
        assert one["metrics"] == other["metrics"]


def test_published_numbers_are_told_in_the_end(place: Path) -> None:
    where = ["--cache", str(place / "cache"), "--out", str(place / "runs")]
    result = featx("run", str(place / "recipe.toml"), *PUBLISHED, *where)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("step   row"))
    assert at > max(i for i, line in enumerate(lines) if "95 % intervals of a mean" in line)
    assert lines[at].split() == ["step", "row", "metric", "score", "95", "%", "time", "published"]
    assert lines[at + 1].startswith("fit 1  knn  accuracy")
    assert lines[at + 1].endswith("0.797")
    assert lines[at + 2].endswith("0.500")
    assert "fit 1: published as frozen ResNet18, report 4" in lines
    assert max(map(len, lines[at:])) <= 80


def test_mistakes_about_published_numbers(tmp_path: Path) -> None:
    text = (
        TEXT
        + """
    [[fit]]
    published = 79.7
    published-metric = "accuracy"
    [[fit]]
    published-as = "report 4"
    [[fit]]
    published = true
    published-as = 4
    [[fit]]
    published = nan
    published-metric = "acuracy"
    [[fit]]
    publishd = 0.7
    """
    )
    with pytest.raises(UsageError) as error:
        read_pipeline(write(tmp_path / "a.toml", text))
    for part in (
        "fit 3: published is 79.7; expected accuracy as featx gives it, 0 to 1",
        "fit 4: a published number is missing",
        "fit 5: published is True; expected a number",
        "fit 5: published-as is 4; expected a text",
        "fit 6: published is nan; expected a number",
        "fit 6: unknown metric 'acuracy'; did you mean 'accuracy'",
        "fit 7: unknown option 'publishd'; did you mean 'published'",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_that_come_along_hold_no_mistake(path: Path) -> None:
    found = read_pipeline(path, "photos")
    assert isinstance(found, Pipeline)
    own = [len(step.get("layers", [1])) * len(step["pools"]) for step in found.extracts]
    for step in found.fits:
        named = step.get("features", [f"extract {i}" for i in range(1, len(own) + 1)])
        if not all(name.startswith("extract ") for name in named):
            assert "mix" not in step
            continue
        kinds = sum(own[int(name.removeprefix("extract ")) - 1] for name in named)
        assert read_mixes(tokens_of(step.get("mix", "equal")), kinds)
