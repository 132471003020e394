from __future__ import annotations

import errno
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from helpers_cli import EXTRACTION, Workflow, featx, replace_module
from helpers_photos import folder

from featx.errors import (
    AmbiguousNameError,
    NotFoundError,
    SourceNotFoundError,
    SourceReadError,
    TooManyFailedError,
    WeightsNotFoundError,
    WeightsUnreachableError,
)


def fake_extract(monkeypatch: pytest.MonkeyPatch, answer: Any) -> Workflow:
    workflow = Workflow(answer)
    replace_module(monkeypatch, "extraction", extract=workflow)
    return workflow


def test_no_command_shows_the_help() -> None:
    bare, asked = featx(), featx("--help")
    assert bare.exit_code == asked.exit_code == 0
    assert bare.stdout.strip() == asked.stdout.strip()
    assert "extract" in bare.stdout


def test_help_fits_80_columns_and_ascii() -> None:
    for args in ([], ["extract"], ["plan"], ["inspect"]):
        text = featx(*args, "-h").stdout
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["extract"], "missing option '--backbone'"),
        (["extract", "--backbone"], "requires an argument"),
        (["extract", "--backbone", "vgg16", "--resize", "cut"], "'cut'"),
        (["extract", "--backbone", "vgg16", "--limit", "0"], "'--limit'"),
        (["extract", "--backbon", "vgg16"], "--backbone"),
        (["extrct"], "did you mean 'extract'"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(args: list[str], word: str) -> None:
    result = featx(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("featx: ")
    assert result.stderr.count("\n") == 1
    assert word.lower() in result.stderr.lower()
    assert "--help`" in result.stderr


def test_a_usage_error_as_json() -> None:
    result = featx("extract", "--json")
    assert json.loads(result.stdout)["error"]["exit_code"] == 2
    assert result.exit_code == 2


def test_options_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    extract = fake_extract(monkeypatch, [EXTRACTION])
    words = "a b --backbone vgg16,resnet50 --backbone googlenet --pool avg,max --mean 0.1,0.2,0.3"
    more = "--max-failed 3 --image-size weights --cache here --page all --append"
    result = featx("extract", *words.split(), *more.split())
    assert result.exit_code == 0, result.stderr
    assert extract.args == (["a", "b"],)
    expected = {
        "backbone": ("vgg16", "resnet50", "googlenet"),
        "pools": ("avg", "max"),
        "mean": (0.1, 0.2, 0.3),
        "std": None,
        "max_failed": 3,
        "image_size": "weights",
        "cache": "here",
        "page": "all",
        "append": True,
        "layers": (),
    }
    assert {name: extract.options[name] for name in expected} == expected
    assert "featx fit --head svm --data photos" in result.stdout
    assert "--cache here" in result.stdout


def test_the_environment_names_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    extract = fake_extract(monkeypatch, [EXTRACTION])
    assert featx("extract", "--backbone", "vgg16", env={"FEATX_CACHE": "there"}).exit_code == 0
    assert extract.options["cache"] == "there"
    assert extract.args == (None,)


def test_json_is_one_object_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy(progress: Any, **_: Any) -> list[Any]:
        print("a library that prints")  # noqa: T201
        progress.start("embedding", 2)
        progress.advance(2)
        progress.say("preprocessing: crop")
        progress.finish()
        return [EXTRACTION]

    fake_extract(monkeypatch, noisy)
    result = featx("extract", "x", "--backbone", "vgg16", "--json")
    assert json.loads(result.stdout) == EXTRACTION
    assert result.stdout.count("\n") == 1
    assert result.stderr == "a library that prints\npreprocessing: crop\n"


def test_several_stores_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    second = {**EXTRACTION, "features": "vgg16:features:avg@224", "dim": 512}
    fake_extract(monkeypatch, [EXTRACTION, second])
    value = json.loads(featx("extract", "x", "--backbone", "vgg16", "--json").stdout)
    assert value["dim"] == [25088, 512]
    assert value["failed"] == [[], []]
    fake_extract(monkeypatch, [EXTRACTION, second])
    text = featx("extract", "x", "--backbone", "vgg16").stdout
    assert "vgg16:features:flatten@224: 40 x 25088" in text
    assert "computed 38, reused 2, derived 0, failed 0, 1.2 s, 30.4 images/s" in text
    assert "vgg16:features:avg@224: 40 x 512" in text


def test_failed_images_are_named_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = [{"path": f"{i}\n.jpg", "reason": "zero bytes" if i else "cut"} for i in range(19)]
    fake_extract(monkeypatch, [{**EXTRACTION, "failed": failed, "images_per_second": 0}])
    text = featx("extract", "x", "--backbone", "vgg16").stdout
    assert "19 images failed:" in text
    assert "  0\\n.jpg: cut" in text
    assert "and 14 more" in text
    assert "    18 zero bytes" in text
    assert "images/s" not in text


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (SourceNotFoundError("no folder photos"), 2, "featx: no folder photos\n"),
        (NotFoundError("unknown data set 'x'"), 2, "featx: unknown data set 'x'\n"),
        (WeightsNotFoundError("no weights file x"), 2, "featx: no weights file x\n"),
        (WeightsUnreachableError("no route to host"), 1, "featx: no route to host\n"),
        (SourceReadError("permission denied"), 1, "featx: permission denied\n"),
        (AmbiguousNameError("vgg16 fits two\nstores"), 2, "featx: vgg16 fits two\\nstores\n"),
        (TooManyFailedError("12 of 20 failed"), 3, "featx: 12 of 20 failed\n"),
        (MemoryError(), 1, "out of memory"),
        (ZeroDivisionError("oops"), 1, "unexpected ZeroDivisionError: oops"),
        (KeyboardInterrupt(), 130, "to go on: featx extract 'my photos' --backbone vgg16"),
        (KeyboardInterrupt(15), 143, "to go on: featx extract"),
    ],
)
def test_an_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    fake_extract(monkeypatch, error)
    result = featx("extract", "my photos", "--backbone", "vgg16")
    assert result.exit_code == code
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("featx: ")

    fake_extract(monkeypatch, error)
    value = json.loads(featx("extract", "x", "--backbone", "vgg16", "--json").stdout)
    assert value["error"]["type"] == type(error).__name__
    assert value["error"]["exit_code"] == code


@pytest.mark.parametrize(
    "words",
    [
        "extract gone --backbone squeezenet1_1",
        "extract photos --backbone nope",
        "extract photos --backbone squeezenet1_1 --weights gone.pth",
        "extract photos --backbone squeezenet1_1 --views 3",
        "fit --head svm --data gone",
        "fit --head svm --features gone",
        "info gone",
        "predict gone photos",
        "report photos",
    ],
)
def test_what_cannot_be_ends_in_two(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "photos", per_class=1)
    result = featx(*words.split())
    assert (result.exit_code, result.stderr.count("featx: ")) == (2, 1), result.stderr


def test_debug_shows_where_before_and_after_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_extract(monkeypatch, ZeroDivisionError("oops"))
    for args in (["--debug", "extract"], ["extract", "--debug"]):
        result = featx(*args, "x", "--backbone", "vgg16")
        assert result.exit_code == 1
        assert "Traceback" in result.stderr
        assert "featx: unexpected ZeroDivisionError: oops" in result.stderr


def test_a_bad_value_stops_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    extract = fake_extract(monkeypatch, [EXTRACTION])
    result = featx("extract", "x", "--backbone", "vgg16", "--image-size", "big")
    assert result.exit_code == 2
    assert extract.options == {}


def test_quiet_leaves_stderr_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(progress: Any, **_: Any) -> list[Any]:
        progress.start("embedding", None)
        progress.advance()
        progress.say("preprocessing: crop")
        progress.finish()
        return [EXTRACTION]

    fake_extract(monkeypatch, work)
    result = featx("extract", "x", "--backbone", "vgg16", "--quiet")
    assert result.stderr == ""
    assert "40 x 25088" in result.stdout


def test_a_warning_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(**_: Any) -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("did not\nconverge", RuntimeWarning, stacklevel=1)
        return [EXTRACTION]

    fake_extract(monkeypatch, work)
    result = featx("extract", "x", "--backbone", "vgg16")
    assert result.stderr == "warning (RuntimeWarning): did not converge\n"


def test_a_reader_that_left_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featx.cli.command.leave_stdout", lambda: None)
    fake_extract(monkeypatch, BrokenPipeError(errno.EPIPE, "gone"))
    result = featx("extract", "x", "--backbone", "vgg16")
    assert (result.exit_code, result.output) == (1, "")


def test_the_version() -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        expected = f"featx {version('featx')}\n"
    except PackageNotFoundError:
        pytest.skip("featx runs from a checkout that is not installed")
    result = featx("--version")
    assert (result.exit_code, result.stdout) == (0, expected)


C, R, S = {"role": "classification", "least": 5}, {"role": "regression"}, {"role": "split"}
FIT = "next: featx fit --head"
OF = "--data photos --features vgg16:features:flatten@224"
OTHERS = "or --target with another column:"


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ({"label": C}, f"{FIT} svm {OF}\n"),
        ({"label": C | {"least": 2}}, f"{FIT} svm {OF} --cv 2 --no-search\n"),
        ({"label": C | {"least": 4}}, f"{FIT} svm {OF} --cv 4\n"),
        ({"label": C | {"least": 3}, "part": S}, f"{FIT} svm {OF} --split part\n"),
        ({"label": C, "part": S}, f"{FIT} svm {OF} --split part\n"),
        ({"age": R, "my site": C}, f"{FIT} ridge {OF} --target age\n{OTHERS} my site\n"),
        ({"my site": C}, f"{FIT} svm {OF} --target 'my site'\n"),
        (
            {"age": R | {"missing": ["NaN", "-"]}},
            f"{FIT} ridge {OF} --target age --missing NaN,-\n",
        ),
        ({"age": R, "label": R}, f"{FIT} ridge {OF}\n{OTHERS} age\n"),
        ({}, "next: featx export photos --features vgg16:features:flatten@224\n"),
        ({"split": S}, "next: featx export photos --features vgg16:features:flatten@224\n"),
    ],
)
def test_the_next_command_fits_the_columns(
    monkeypatch: pytest.MonkeyPatch, roles: dict[str, Any], expected: str
) -> None:
    fake_extract(monkeypatch, [{**EXTRACTION, "roles": roles}])
    assert featx("extract", "x", "--backbone", "vgg16").stdout.endswith(expected)
    fake_extract(monkeypatch, [{**EXTRACTION, "rows": 0, "roles": roles}])
    assert "next:" not in featx("extract", "x", "--backbone", "vgg16").stdout


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([], "no labels, so no head can be fitted yet: sort the images into one folder a class"),
        (["part"], "no labels, so no head can be fitted yet: sort the images into one folder"),
        (["label", "part"], "one label alone, and a head needs two: add images of another class"),
        (["label", "title"], "no column looks like a target (label, title): a head needs numbers"),
    ],
)
def test_without_a_target_it_says_what_is_lacking(
    monkeypatch: pytest.MonkeyPatch, columns: list[str], said: str
) -> None:
    roles = {"part": S} if "part" in columns else {}
    fake_extract(monkeypatch, [{**EXTRACTION, "columns": columns, "roles": roles}])
    text = featx("extract", "x", "--backbone", "vgg16").stdout
    assert said in " ".join(text.split())
    assert text.splitlines()[-1].startswith("next: featx export photos ")
