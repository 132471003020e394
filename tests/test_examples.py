"""The example notebooks, run as they are committed, and what is committed of them."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import featx

ROOT = Path(featx.__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))
REUSE, REPORT, SCORES, FUSED, MAP, PANDAS = NOTEBOOKS


def read(name: str) -> Any:
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))


def source(name: str) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in read(name)["cells"])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_as_it_was_written(name: str) -> None:
    book = read(name)
    nbformat.validate(book)
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert 8 <= len(book["cells"]) <= 15
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"]] == []
    assert {key for cell in book["cells"] for key in cell["metadata"]} == set()
    assert set(book["metadata"]) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_names_no_place_of_one_machine(name: str) -> None:
    assert re.findall(r"[\"'](?:/|~|[A-Za-z]:[\\/])[^\"']*", source(name)) == []
    assert "shared" not in source(name)


def test_the_page_names_every_notebook_and_every_variable() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\d\d-[^)]+)\)", page)) == NOTEBOOKS
    text = "\n".join(map(source, NOTEBOOKS))
    assert set(re.findall(r"FEATX_[A-Z_0-9]+", page)) == set(re.findall(r"FEATX_[A-Z_0-9]+", text))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a kernel to run in, which knows nothing of the person who runs the tests."""
    for name in [name for name in os.environ if name.startswith("FEATX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "work").mkdir()
    return tmp_path


@pytest.fixture
def photos(place: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cartoons and faces, named to the notebooks, and MobileNetV2 where downloads go."""
    for name in ("dog", "elephant", "giraffe"):
        (place / "photos" / name).mkdir(parents=True)
        for image in sorted((shared / "data" / "pacs_cartoon" / name).iterdir())[:16]:
            shutil.copy(image, place / "photos" / name)
    faces = shared / "data" / "utkface_2000"
    table = pd.read_csv(faces / "ages.csv").iloc[:60]
    for path in table["path"]:
        (place / "faces" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(faces / path, place / "faces" / path)
    table.to_csv(place / "faces" / "ages.csv", index=False)
    downloaded = place / "torch" / "hub" / "checkpoints"
    downloaded.mkdir(parents=True)
    shutil.copy(shared / "weights" / "mobilenet_v2-b0353104.pth", downloaded)
    for name, value in {
        "PHOTOS": place / "photos",
        "TABLE": place / "faces" / "ages.csv",
        "TARGET": "label",
        "BACKBONE": "mobilenet_v2",
        "WEIGHTS": "IMAGENET1K_V1",
        "WEIGHTS_2": shared / "weights" / "squeezenet1_1.pth",
    }.items():
        monkeypatch.setenv(f"FEATX_EXAMPLE_{name}", str(value))
    return place


def run(name: str, place: Path) -> dict[str, str]:
    """Run a notebook in ``place``/work; give what each cell showed, by its id, figures as `image`.

    A warning would be shown on stderr: none is.
    """
    book = nbformat.read(EXAMPLES / name, as_version=4)
    client = NotebookClient(
        book,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(place / "work")}},
    )
    client.execute()
    shown = {cell["id"]: cell["outputs"] for cell in book.cells if cell["cell_type"] == "code"}
    errors = [o for outputs in shown.values() for o in outputs if o.get("name") == "stderr"]
    assert errors == []
    return {cell: "\n".join(map(_text, outputs)) for cell, outputs in shown.items()}


def _text(output: Any) -> str:
    if "text" in output:
        return str(output["text"])
    data = output["data"]
    return "image" if "image/png" in data else str(data.get("text/html", data["text/plain"]))


def numbers(text: str, name: str) -> list[float]:
    """Give the numbers that stand after a name."""
    found = [float(value) for value in re.findall(rf"{name} (-?\d\.\d+)", text)]
    assert found, text
    return found


def is_share(values: list[float]) -> bool:
    return all(0 <= value <= 1 for value in values)


def check_reuse(shown: dict[str, str]) -> None:
    assert shown["extract-twice"].startswith("computed 0, reused ")
    assert "float32" in shown["look-at-arrays"]
    scores = numbers(shown["cross-validate"], "accuracy")
    assert len(scores) == 2
    assert is_share(scores)
    assert "<td" in shown["fit"]


def check_scores(shown: dict[str, str]) -> None:
    told = [*numbers(shown["fit-ridge"], "PLCC"), *numbers(shown["fit-ridge"], "SROCC")]
    by_hand = [float(value) for value in re.findall(r"-?\d\.\d{4,}", shown["by-hand"])]
    assert by_hand == pytest.approx(told, abs=6e-4)
    assert all(-1 <= value <= 1 for value in told)
    assert shown["against-true"] == shown["residuals"] == "image"


def check_map(shown: dict[str, str], place: Path) -> None:
    assert shown["map-of-classes"] == "image"
    assert shown["probability-of-the-label"].endswith("image")
    assert is_share(numbers(shown["probability-of-the-label"], "accuracy"))
    assert (place / "work" / "map.png").read_bytes().startswith(b"\x89PNG")


def check_pandas(shown: dict[str, str]) -> None:
    assert "the same vectors: True" in shown["zarr"]
    assert "all valid: True" in shown["zarr"]
    assert "backbone" in shown["recipe"]
    assert "the same vectors: True" in shown["xarray"]
    assert "xarray.DataArray" in shown["xarray"]


@pytest.mark.slow
def test_reuse_on_the_demo(place: Path) -> None:
    check_reuse(run(REUSE, place))


@pytest.mark.slow
def test_scores_of_the_demo(place: Path) -> None:
    check_scores(run(SCORES, place))


@pytest.mark.slow
def test_a_map_of_the_demo(place: Path) -> None:
    check_map(run(MAP, place), place)


@pytest.mark.slow
def test_pandas_and_xarray_on_the_demo(place: Path) -> None:
    check_pandas(run(PANDAS, place))


@pytest.mark.slow
@pytest.mark.shared
def test_reuse_of_photos(photos: Path) -> None:
    check_reuse(run(REUSE, photos))


@pytest.mark.slow
@pytest.mark.shared
def test_from_photos_to_a_report(photos: Path) -> None:
    shown = run(REPORT, photos)
    assert shown["confusion-matrix"] == "image"
    wrong, tested = map(int, re.findall(r"\d+", shown["list-errors"])[:2])
    assert 0 <= wrong <= tested == 48
    page = (photos / "work" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!")
    assert "giraffe" in page
    assert str(photos / "work" / "report.html") in shown["write-report"]
    assert re.search(r"score_dog.*ok", shown["predict-new"], re.DOTALL)


@pytest.mark.slow
@pytest.mark.shared
def test_ages_of_faces(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATX_EXAMPLE_TARGET", "age")
    check_scores(run(SCORES, photos))


@pytest.mark.slow
@pytest.mark.shared
def test_two_backbones(photos: Path) -> None:
    shown = run(FUSED, photos)
    assert is_share(numbers(shown["fit-each"], "accuracy"))
    assert is_share(numbers(shown["fit-together"], "fused: accuracy"))
    assert "'mix': " in shown["fit-together"]
    assert shown["compare"].count("<tr") == 4
    assert shown["intervals"] == "image"


@pytest.mark.slow
@pytest.mark.shared
def test_a_map_of_photos(photos: Path) -> None:
    check_map(run(MAP, photos), photos)


@pytest.mark.slow
@pytest.mark.shared
def test_pandas_and_xarray_on_photos(photos: Path) -> None:
    check_pandas(run(PANDAS, photos))
