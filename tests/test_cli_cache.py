from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_cli import Workflow, featx, replace_module

STORE = {"features": "vgg16:features:flatten@224", "dim": 25088, "done": 40, "undecodable": 1}
BROKEN = [{"store": "old.zarr", "reason": "written by a newer featx"}]
DAMAGE = {
    "features": "vgg16:features:flatten@224",
    "array": "features",
    "block": 3,
    "file": "cache/vgg16.zarr/features/c/3/0",
    "reason": "the checksum differs",
}


def fake_manage(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> dict[str, Workflow]:
    workflows = {name: Workflow(answer) for name, answer in answers.items()}
    replace_module(monkeypatch, "manage", **workflows)
    return workflows


def test_an_empty_cache_says_how_to_fill_it(tmp_path: Path) -> None:
    pytest.importorskip("featx.manage")
    result = featx("ls", "--cache", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"cache {tmp_path}\nempty; `featx extract")
    value = json.loads(featx("ls", "--cache", str(tmp_path), "--json").stdout)
    assert value == {"cache": str(tmp_path), "stores": [], "data": [], "unreadable": []}


def test_ls(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {
        "cache": "/c",
        "stores": [{**STORE, "size_bytes": 2 << 20}],
        "data": [{"data": "photos", "rows": 41, "source": "the folder photos"}],
        "unreadable": BROKEN,
    }
    manage = fake_manage(monkeypatch, ls=value)
    assert featx("ls", "--cache", "/c").stdout == (
        "cache /c\n"
        "\n"
        "data set  rows  from\n"
        "photos      41  the folder photos\n"
        "\n"
        "rows  failed    dim     size  features\n"
        "  40       1  25088  2.0 MiB  vgg16:features:flatten@224\n"
        "cannot be read: old.zarr: written by a newer featx\n"
    )
    assert manage["ls"].args == ("/c",)


def test_info(monkeypatch: pytest.MonkeyPatch) -> None:
    store = {
        "features": "vgg16:features:flatten@224",
        "map_shape": [512, 7, 7],
        "size_bytes": 2048,
        "recipe": {"backbone": "vgg16"},
        "runs": [{"blocks": [[0, 38]], "rows": 40, "engine": "derived"}],
        "provenance": [{"engine": "derived"}],
    }
    fake_manage(monkeypatch, info=store)
    assert featx("info").stdout == (
        "features    vgg16:features:flatten@224\n"
        "map shape   512 x 7 x 7\n"
        "size        2.0 KiB\n"
        "computed with\n"
        "  blocks 0-37: pooled from the flattened store\n"
    )
    data = {"data": "photos", "rows": 41, "columns": {"label": {"distinct": 7, "empty": 0}}}
    manage = fake_manage(monkeypatch, info=data)
    assert featx("info", "photos").stdout == (
        "data     photos\nrows     41\n\ncolumn  values  empty\nlabel        7      0\n"
    )
    assert manage["info"].args == ("photos", None)
    assert json.loads(featx("info", "photos", "--json").stdout) == data


def report(damages: list[Any], unreadable: list[Any]) -> dict[str, Any]:
    return {
        "cache": "/c",
        "stores": 1,
        "blocks": 5,
        "damages": damages,
        "unreadable": unreadable,
        "drift": [],
    }


def test_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_manage(monkeypatch, verify=report([], []))
    good = featx("verify")
    assert good.exit_code == 0
    assert good.stdout == "read 1 store, 5 blocks in /c\nnothing is damaged\n"

    fake_manage(monkeypatch, verify=report([DAMAGE], BROKEN))
    bad = featx("verify", "vgg16")
    assert (bad.exit_code, bad.stderr) == (1, "")
    assert "damaged: vgg16:features:flatten@224, features block 3: the checksum" in bad.stdout
    assert "1 chunk damaged; `featx extract`" in bad.stdout
    assert featx("verify", "--json").exit_code == 1

    for passed in (True, False):
        drift = {"features": "vgg16", "rows": 5, "min_cosine": 0.5, "relative_error": 0.25}
        manage = fake_manage(
            monkeypatch, verify=report([], []) | {"drift": [drift | {"passed": passed}]}
        )
        sampled = featx("verify", "--sample", "5")
        assert manage["verify"].options["sample"] == 5
        assert sampled.exit_code == (0 if passed else 1)
        assert "5 rows of vgg16" in sampled.stdout
        assert ("OUT OF tolerance" in sampled.stdout) is not passed

    fake_manage(monkeypatch, verify=report([], BROKEN))
    unreadable = featx("verify", "--json")
    assert unreadable.exit_code == 1
    assert json.loads(unreadable.stdout)["unreadable"] == BROKEN


def fake_removal(monkeypatch: pytest.MonkeyPatch, kind: str = "store") -> Workflow:
    value = {"removed": "/c/a.zarr", "kind": kind, "size_bytes": 10}
    return fake_manage(monkeypatch, locate=(Path("/c/a.zarr"), kind), remove=value)["remove"]


def test_rm_without_a_terminal_wants_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    remove = fake_removal(monkeypatch)
    refused = featx("rm", "vgg16", "--cache", "/c")
    assert refused.exit_code == 2
    assert "say --yes" in refused.stderr
    assert remove.args == ()
    done = featx("rm", "vgg16", "--cache", "/c", "--yes")
    assert (done.exit_code, done.stdout) == (0, "removed /c/a.zarr (10 B)\n")
    assert remove.args == ("vgg16", "/c")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_rm_asks_on_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    remove = fake_removal(monkeypatch, "data")
    monkeypatch.setattr("featx.cli.console._is_terminal", lambda _: True)
    monkeypatch.setenv("TERM", "dumb")
    result = featx("rm", "photos", input=answer)
    assert result.exit_code == code
    assert bool(remove.args) == (code == 0)
    assert "Remove the data set " in result.output
    assert ("nothing was removed" in result.output) == (code == 1)


def test_gc(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {
        "cache": "/c",
        "stores": 2,
        "before_bytes": 3 << 20,
        "after_bytes": 1 << 20,
        "products_bytes": 1 << 20,
        "unreadable": [],
    }
    fake_manage(monkeypatch, collect=value)
    text = featx("gc").stdout
    assert text == "2 stores in /c\n3.0 MiB before, 1.0 MiB now, 3.0 MiB freed\n"


def test_export(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "photos.csv"
    file.write_bytes(b"12345")
    manage = fake_manage(monkeypatch, export=file)
    result = featx("export", "photos", "--to", "csv", "-o", str(file), "--features", "vgg16")
    assert result.stdout == f"written to {file} (5 B)\n"
    assert manage["export"].args == ("photos", "csv", str(file))
    fake_manage(monkeypatch, export=tmp_path)
    value = json.loads(featx("export", "--to", "zarr", "--json").stdout)
    assert value == {"output": str(tmp_path), "format": "zarr", "size_bytes": 5}
    assert featx("export", "--to", "xls").exit_code == 2
